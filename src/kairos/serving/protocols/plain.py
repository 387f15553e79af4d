"""Plain JSON: one object, a list of objects, or either in an envelope.

Well-formed requests take a quick way from bytes to arrays. Whatever is odd in any respect takes the careful one, which
knows what to say about it; both give the same rows, which a property test holds them to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from kairos.errors import KairosError, UsageError
from kairos.models.signature import LARGEST_NUMBER, LONGEST_TEXT, Column
from kairos.serving.body import ENVELOPE, MOST_ROWS, read_entities, read_json, read_name, read_predict, read_times
from kairos.serving.protocols.cells import Cell, cell, read_row
from kairos.serving.rows import Answers, Intake, Rows, Written
from kairos.serving.wire_errors import error_of
from kairos.values import Json

__all__ = ["Plain", "read_carefully", "read_quickly"]

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()
_JSON = {"content-type": "application/json"}


class _Absent:
    """Stands for a column that a row leaves out."""


_ABSENT = _Absent()


class Plain:
    """The codec of ``POST /predict/MODEL``; ``Rows.form`` says whether the answer is a list."""

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """See ``Codec``."""
        return read_quickly(body, intake) or read_carefully(body, intake)

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """See ``Codec``."""
        each = [_row(answers, row) for row in range(rows.count)]
        return Written(headers=_JSON, body=_ENCODER.encode({"predictions": each} if rows.form else each[0]))

    def refuse(self, error: KairosError) -> Written:
        """See ``Codec``."""
        headers = {**_JSON, "retry-after": "1"} if error.http_status == 503 else _JSON
        return Written(headers=headers, body=_ENCODER.encode(error_of(error)), status=error.http_status)


def _row(answers: Answers, row: int) -> Json:
    body = {
        "prediction": answers.outputs[row],
        "prediction_id": answers.ids[row],
        "model": answers.model,
        "version": answers.versions[row],
    }
    if answers.actions[row] is not None:
        body["guard"] = answers.actions[row]
    if not answers.captured:
        body["captured"] = False
    return body


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
        columns=frozenset(intake.signature.names),
    )
    return Rows(
        columns=intake.signature.parse_rows(read.rows),
        count=len(read.rows),
        entities=read.entities,
        times=read.times,
        request_id=read.request_id,
        form=read.is_batch,
    )


def read_quickly(body: bytes, intake: Intake) -> Rows | None:
    """Reads a request in which nothing is odd; ``None``: the careful reader is to have it."""
    if b"\\" in body:  # then strings cannot be counted in without being read, see _names_a_field_twice
        return None
    try:
        value = _DECODER.decode(body)
        return _read(body, value, intake)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, OverflowError, RecursionError):
        return None


def _read(body: bytes, value: Json, intake: Intake) -> Rows | None:
    columns = intake.signature.columns
    inputs, envelope = value, {}
    if type(value) is dict and "inputs" in value and "inputs" not in intake.names:
        inputs, envelope = value["inputs"], value
        if not envelope.keys() <= set(ENVELOPE):
            return None
    rows = inputs if type(inputs) is list else [inputs]
    if not 1 <= len(rows) <= MOST_ROWS or any(type(row) is not dict for row in rows):
        return None
    members = sum(map(len, rows))
    if _names_a_field_twice(body, members + len(envelope), value):
        return None
    if len(rows) == 1:
        read = read_row(rows[0], _cells(intake))
        if read is None:
            return None
        arrays, found = read
        members -= found
    else:
        arrays = {}
        for column in columns:
            values = [row.get(column.name, _ABSENT) for row in rows]
            members -= len(values) - values.count(_ABSENT)
            array = _array(column, values)
            if array is None:
                return None
            arrays[column.name] = array
    if members and members != _members_beside_columns(rows, intake):
        return None  # a column that is unknown
    request_id, names = envelope.get("id"), intake.names
    entity, time = envelope.get("entity"), envelope.get("time")
    has_entities = entity is not None or (intake.entity is not None and any(intake.entity in row for row in rows))
    has_times = time is not None or (intake.time is not None and any(intake.time in row for row in rows))
    return Rows(
        columns=arrays,
        count=len(rows),
        entities=read_entities(entity, rows, intake.entity, columns=names) if has_entities else None,
        times=read_times(time, rows, intake.time, columns=names) if has_times else None,
        request_id=None if request_id is None else read_name("id", request_id, None),
        form=type(inputs) is list,
    )


def _cells(intake: Intake) -> Sequence[Cell]:
    """The readers of the intake's columns, made once."""
    cells: Sequence[Cell] | None = intake.kept.get("plain")
    if cells is None:
        cells = intake.kept["plain"] = [cell(column) for column in intake.signature.columns]
    return cells


def _names_a_field_twice(body: bytes, members: int, value: Json) -> bool:
    """Whether there are more colons than fields and texts account for; the reader keeps the last of two fields.

    Exact where no text holds a backslash: a colon is either between a name and its value, or in a text.
    """
    colons = body.count(b":")
    if colons == members:
        return False
    found, left = members, [value]
    while left and found <= colons:
        item = left.pop()
        if type(item) is str:
            found += item.count(":")
        elif type(item) is list:
            left += item
        elif type(item) is dict:
            left += item
            left += item.values()
    return found != colons


def _members_beside_columns(rows: Sequence[Mapping[str, Json]], intake: Intake) -> int:
    names = intake.names
    beside = {name for name in (intake.entity, intake.time) if name is not None and name not in names}
    return sum(name in row for name in beside for row in rows)


def _array(column: Column, values: list[Any]) -> np.ndarray[Any, Any] | None:
    """The array of a column; ``None`` if a value is not plainly right."""
    kinds = set(map(type, values))
    if kinds & {type(None), _Absent}:
        if (_Absent in kinds and column.required) or (type(None) in kinds and not column.nullable):
            return None
        values = [column.null if value is None or value is _ABSENT else value for value in values]
        kinds -= {type(None), _Absent}
    if column.kind in ("number", "integer"):
        return _numbers(column, values) if kinds <= {int, float} else None
    if column.kind == "boolean":
        return np.array(values, dtype=column.dtype) if kinds <= {bool} else None
    if not kinds <= {str} or any(value is not None and len(value) > LONGEST_TEXT for value in values):
        return None
    is_closed = column.kind == "category" and not column.open_levels and not column.rare_levels
    if is_closed and not set(values) <= {*column.levels, None}:
        return None
    return np.array(values, dtype=np.object_)


def _numbers(column: Column, values: list[Any]) -> np.ndarray[Any, Any] | None:
    array = np.array(values, dtype=np.float64)
    known = array[~np.isnan(array)] if column.dtype is np.float64 else array  # what is NaN was null: JSON has none
    if not (np.abs(known) <= LARGEST_NUMBER).all():
        return None
    if column.kind == "integer" and not (known == np.floor(known)).all():
        return None
    return array.astype(column.dtype, copy=False)
