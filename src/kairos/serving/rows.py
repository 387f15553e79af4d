"""What every protocol is parsed into and writes: columns in; one number a row out, or several with names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from kairos.errors import KairosError
from kairos.models.outputs import ClassName
from kairos.models.signature import Column, Signature
from kairos.serving.guard import GuardAction
from kairos.values import Json

__all__ = [
    "Answers",
    "Codec",
    "Infer",
    "Intake",
    "Rows",
    "Told",
    "Written",
    "join",
    "take",
    "told_column",
    "told_columns",
    "told_rows",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What a codec has to know of the version that a request is for; made once for each."""

    signature: Signature
    entity: str | None = None
    """The field of a row that says whom it is about; it need not be a column."""
    time: str | None = None
    """The field that says when a row is about; the same."""
    rank_within: str | None = None
    """The field that says in which list a row is ranked; ``None``: the model ranks nothing."""
    item: str | None = None
    """The field that says which thing of its list a row is."""
    names: frozenset[str] = field(init=False, compare=False)
    """Of the signature's columns."""
    kept: dict[str, Any] = field(init=False, compare=False, default_factory=dict)
    """What codecs have worked out of it, by their names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(self.signature.names))

    @property
    def says(self) -> tuple[str, ...]:
        """The fields that say what a row is about, each once; they need not be columns."""
        told = (self.entity, self.time, self.rank_within, self.item)
        return tuple(dict.fromkeys(name for name in told if name is not None))

    @property
    def beside(self) -> tuple[str, ...]:
        """Those of them that are no columns."""
        return tuple(name for name in self.says if name not in self.names)


class Rows(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rows of one request, or of several that were joined; ``count`` is at least 1."""

    columns: Mapping[str, np.ndarray[Any, Any]]
    """One array a column of shape (count,), as ``Signature.parse_rows`` gives them."""
    count: int
    entities: Sequence[str | None] | None = None
    """Whom each row is about; ``None``: no row says it."""
    times: Sequence[datetime | None] | None = None
    """When each row is about, aware UTC; the same."""
    lists: Sequence[str | None] | None = None
    """In which list each row is ranked; the same."""
    items: Sequence[str | None] | None = None
    """Which thing of its list each row is; the same."""
    request_id: str | None = None
    parameters: Mapping[str, Json] = MappingProxyType({})
    """What else a protocol lets a client say, such as V2's ``parameters``."""
    form: object = None
    """What the codec must remember to write the answer; nobody else reads it."""


T = TypeVar("T")

Told = float | dict[str, ClassName]
"""What a client is told of a row."""


class Answers(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What came of the rows of one request; every sequence has one item a row."""

    model: str
    outputs: Sequence[Told]
    """A number; or of several outputs what each says, by name."""
    ids: Sequence[str]
    """Prediction ids."""
    versions: Sequence[int]
    """Numbers of the versions that answered."""
    actions: Sequence[GuardAction | None]
    """What the output guard did."""
    captured: bool = True
    """Whether the predictions are on record."""
    ranks: Sequence[int] | None = None
    """The place of each row in its list, 1 for the highest score; ``None``: the model ranks nothing."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it leaves."""

    headers: Mapping[str, str]
    """With ``content-type``; names in lower case."""
    body: bytes
    status: int = 200


class Codec(Protocol):
    """One protocol: pure functions from bytes to rows, and from answers or a refusal to bytes."""

    def decode(self, headers: Mapping[str, str], body: bytes, intake: Intake) -> Rows:
        """Reads a request.

        Args:
            headers: Names in lower case.
            body: Neither compressed nor larger than the server's limit.
            intake: What the version takes.

        Raises:
            InputRefused: the rows do not fit; ``facts`` hold ``field`` and ``row``.
            UsageError: the bytes are not of this protocol.
        """
        ...

    def encode(self, rows: Rows, answers: Answers) -> Written:
        """Writes the answer to these rows, as their request asked for it."""
        ...

    def refuse(self, error: KairosError) -> Written:
        """Writes an error in the protocol's own shape and with its own status."""
        ...


class Infer(Protocol):
    """What answers a prediction request in any protocol; to be awaited in the server's event loop."""

    async def __call__(
        self,
        model: str,
        data: bytes,
        codec: Codec,
        *,
        version: int | None,
        headers: Mapping[str, str],
        within_s: float | None,
    ) -> Written:
        """Answers.

        Args:
            model: Its name.
            data: The body, not compressed.
            codec: The protocol that it is written in.
            version: The number of a loaded version that is to answer alone; ``None``: whoever the ledger says.
            headers: Names in lower case.
            within_s: When the client stops waiting; ``None``: she does not say.

        Raises:
            KairosError: a refusal.
        """
        ...


def join(several: Sequence[Rows]) -> Rows:
    """All rows of several requests of one model, in order. Request ids, parameters and forms stay with the requests.

    >>> one, two = (Rows(columns={"a": np.array([v])}, count=1, entities=e) for v, e in ((1.0, ["x"]), (2.0, None)))
    >>> together = join([one, two])
    >>> together.columns["a"].tolist(), together.entities
    ([1.0, 2.0], ['x', None])
    """
    if len(several) == 1:
        return several[0]
    columns = {name: np.concatenate([rows.columns[name] for rows in several]) for name in several[0].columns}
    return Rows(
        columns=columns,
        count=sum(rows.count for rows in several),
        entities=_joined(several, [rows.entities for rows in several]),
        times=_joined(several, [rows.times for rows in several]),
        lists=_joined(several, [rows.lists for rows in several]),
        items=_joined(several, [rows.items for rows in several]),
    )


def _joined(several: Sequence[Rows], said: Sequence[Sequence[T | None] | None]) -> list[T | None] | None:
    """What the rows of several requests say, one after the other; ``None``: none says anything."""
    if all(each is None for each in said):
        return None
    return [one for rows, each in zip(several, said, strict=True) for one in each or [None] * rows.count]


def take(rows: Rows, positions: Sequence[int]) -> Rows:
    """Some of the rows, in the order of ``positions`` (0-based)."""
    chosen = list(positions)
    return Rows(
        columns={name: values[chosen] for name, values in rows.columns.items()},
        count=len(chosen),
        entities=None if rows.entities is None else [rows.entities[row] for row in chosen],
        times=None if rows.times is None else [rows.times[row] for row in chosen],
        lists=None if rows.lists is None else [rows.lists[row] for row in chosen],
        items=None if rows.items is None else [rows.items[row] for row in chosen],
        request_id=rows.request_id,
        parameters=rows.parameters,
        form=rows.form,
    )


def told_columns(columns: Mapping[str, np.ndarray[Any, Any]], signature: Signature) -> dict[str, list[Any]]:
    """Columns as JSON has them: whole numbers as such, and ``None`` for what is missing.

    >>> from kairos.models.signature import Column, OutputSpec
    >>> hour = Column(name="hour", kind="integer", nullable=True)
    >>> told_columns({"hour": np.array([3.0, np.nan])}, Signature(columns=(hour,), output=OutputSpec()))
    {'hour': [3, None]}
    """
    return {column.name: told_column(columns[column.name], column) for column in signature.columns}


def told_column(array: np.ndarray[Any, Any], column: Column) -> list[Any]:
    """One column's values as JSON has them."""
    if column.is_free:
        return [cell.tolist() for cell in array]
    values: list[Any] = array.tolist()
    if column.shape:
        return values
    if array.dtype == np.float64:
        if column.kind == "integer":
            return [None if value != value else int(value) for value in values]
        if math.isnan(sum(values)):  # or else none of them is; infinities are not taken
            return [None if value != value else value for value in values]
    return values


def told_rows(columns: Mapping[str, np.ndarray[Any, Any]], signature: Signature) -> list[dict[str, Json]]:
    """The rows as JSON objects; a value that is missing from an optional column is left out."""
    told = told_columns(columns, signature)
    required = {column.name for column in signature.columns if column.required}
    return [
        {name: value for name, value in zip(told, row, strict=True) if value is not None or name in required}
        for row in zip(*told.values(), strict=True)
    ]
