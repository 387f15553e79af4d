"""Plain JSON: one object, a list of objects, or either in an envelope.

Well-formed requests take a quick way from bytes to arrays. Whatever is odd in any respect takes the careful one, which
knows what to say about it; both give the same rows, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

import msgspec

from kairos.errors import KairosError, UsageError
from kairos.serving.body import read_json, read_predict
from kairos.serving.protocols.typed_rows import TypedRows
from kairos.serving.rows import Answers, Intake, Rows, Told, Written
from kairos.serving.wire_errors import error_of

__all__ = ["Plain", "read_carefully", "read_quickly"]

_ENCODER = msgspec.json.Encoder()
_JSON = {"content-type": "application/json"}


class _Row(msgspec.Struct, omit_defaults=True, gc=False):
    """What a client is told of one row."""

    prediction: Told
    prediction_id: str
    model: str
    version: int
    guard: str | None = None
    captured: bool = True


class _RankedRow(msgspec.Struct, omit_defaults=True, gc=False):
    """The same of a row that is ranked in a list."""

    prediction: Told
    rank: int
    prediction_id: str
    model: str
    version: int
    guard: str | None = None
    captured: bool = True


class _Rows(msgspec.Struct, gc=False):
    predictions: list[_Row] | list[_RankedRow]


class Plain:
    """The codec of ``POST /predict/MODEL``; ``Rows.form`` says whether the answer is a list."""

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """See ``Codec``."""
        return read_quickly(body, intake) or read_carefully(body, intake)

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """See ``Codec``."""
        rest = (answers.ids, repeat(answers.model), answers.versions, answers.actions, repeat(answers.captured))
        written: Iterator[Any] = (
            map(_Row, answers.outputs, *rest)
            if answers.ranks is None
            else map(_RankedRow, answers.outputs, answers.ranks, *rest)
        )
        body = _Rows(list(written)) if rows.form else next(written)
        return Written(headers=_JSON, body=_ENCODER.encode(body))

    def refuse(self, error: KairosError) -> Written:
        """See ``Codec``."""
        headers = {**_JSON, "retry-after": "1"} if error.http_status == 503 else _JSON
        return Written(headers=headers, body=_ENCODER.encode(error_of(error)), status=error.http_status)


def read_carefully(body: bytes, intake: Intake) -> Rows:
    """Reads any request, and says exactly what is wrong with it.

    Raises:
        InputRefused: the rows do not fit.
        UsageError: it is not JSON.
    """
    read = read_predict(
        read_json(body),
        entity_field=intake.entity,
        time_field=intake.time,
        list_field=intake.rank_within,
        item_field=intake.item,
        columns=frozenset(intake.signature.names),
    )
    return Rows(
        columns=intake.signature.parse_rows(read.rows),
        count=len(read.rows),
        entities=read.entities,
        times=read.times,
        lists=read.lists,
        items=read.items,
        request_id=read.request_id,
        form=read.is_batch,
    )


def read_quickly(body: bytes, intake: Intake) -> Rows | None:
    """Reads a request in which nothing is odd; ``None``: the careful reader is to have it."""
    typed: TypedRows | None = intake.kept.get("plain")
    if typed is None:
        typed = intake.kept["plain"] = TypedRows(intake)
    try:
        return typed.read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, RecursionError):
        return None
