"""Well-formed plain JSON, read straight into a type that is made for a model's columns; no dictionary on the way.

It is where a request costs most. What is odd in any respect is left to whoever knows what to say about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from msgspec.structs import astuple

from kairos.models.signature import LARGEST_NUMBER, LONGEST_TEXT, Column
from kairos.serving.body import MOST_ROWS, envelope_of, read_entities, read_lists, read_name, read_times
from kairos.serving.rows import Intake, Rows
from kairos.values import Json

__all__ = ["TypedRows"]

Values = Sequence[Any]
"""One value a row; ``UNSET`` where a row does not have it."""

_TYPES: Mapping[str, Any] = {"number": float, "integer": float, "boolean": bool}  # a whole number may be told as 3.0
_INPUTS = b'"inputs"'
_MANY = 64
"""Of more numbers numpy is quicker than Python."""
_LACKING = frozenset({type(None), type(UNSET)})


class TypedRows:
    """Reads requests for one version of a model; made once for it.

    Args:
        intake: What it takes.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        taken_columns = sorted(intake.signature.columns, key=_rank)
        self._whole = sum(_rank(column) == 0 for column in taken_columns)
        self._plain = sum(_rank(column) <= 1 for column in taken_columns)
        self._others = [(at, column, _accepts(column)) for at, column in enumerate(taken_columns) if at >= self._plain]
        self._order = [taken_columns.index(column) for column in intake.signature.columns]
        self._names = [*(column.name for column in taken_columns), *sorted(intake.beside)]
        colons = [1 + name.count(":") for name in self._names]  # that a field is written with
        self._colons = sum(colons)
        self._optional = [(at, colons[at]) for at, column in enumerate(taken_columns) if not column.required]
        self._optional += [(at, colons[at]) for at in range(len(taken_columns), len(self._names))]
        self._says = sorted(intake.says)
        self._envelope = envelope_of(intake.rank_within)
        keys = [f"f{at}" for at in range(len(self._names))]  # a column's name may be anything, a field's may not
        taken = [_field(key, column) for key, column in zip(keys, taken_columns, strict=False)]
        row = msgspec.defstruct(
            "Row",
            [*taken, *((key, Any, UNSET) for key in keys[len(taken) :])],
            rename=dict(zip(keys, self._names, strict=True)),
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )
        several = list[row] | row  # type: ignore[valid-type]
        parts: list[tuple[str, Any, Any] | tuple[str, Any]] = [
            ("inputs", several),
            *((part, Any, UNSET) for part in self._envelope if part != "inputs"),
        ]
        self._bare = msgspec.json.Decoder(several)
        self._wrapped = msgspec.json.Decoder(msgspec.defstruct("Envelope", parts, forbid_unknown_fields=True))

    def read(self, body: bytes) -> Rows | None:
        """The rows of a request; ``None``: something is odd.

        Raises:
            msgspec.DecodeError: something is odd, or the body is not JSON.
            UnicodeDecodeError, RecursionError: the same.
            UsageError: a name or a time cannot be read.
        """
        if b"\\" in body:  # then colons of texts cannot be counted without reading it twice
            return None
        told: Mapping[str, Json] = {}
        if _INPUTS in body and "inputs" not in self._intake.names:
            envelope = self._wrapped.decode(body)
            told = {part: value for part in self._envelope if (value := getattr(envelope, part)) is not UNSET}
            inputs = told["inputs"]
        else:
            inputs = self._bare.decode(body)
        is_batch = type(inputs) is list
        rows = inputs if is_batch else [inputs]
        if not 1 <= len(rows) <= MOST_ROWS:
            return None
        values: list[Values] = list(zip(*map(astuple, rows), strict=True))
        if not self._is_each_field_once(body, told, values, len(rows)):
            return None
        arrays = self._arrays(values, len(rows))
        return None if arrays is None else self._rows(arrays, values, len(rows), told, is_batch=is_batch)

    def _arrays(self, values: Sequence[Values], count: int) -> dict[str, np.ndarray[Any, Any]] | None:
        """One array a column, in the order of the signature; ``None``: a value is not plainly right."""
        found: list[np.ndarray[Any, Any]] = []
        if self._plain:
            block = np.array(values[: self._plain], dtype=np.float64)
            if not (_is_right if block.size > _MANY else _is_right_one_by_one)(block, self._whole):
                return None
            found.extend(block[: self._whole].astype(np.int64))
            found.extend(block[self._whole :])
        for at, column, accepts in self._others:
            array = _array(column, accepts, values[at])
            if array is None:
                return None
            found.append(array)
        return {self._names[at]: found[at] for at in self._order}

    def _said(self, values: Sequence[Values]) -> dict[str, Sequence[Mapping[str, Json]]]:
        """The fields that say whom rows are about, and when, where any row has them."""
        said: dict[str, Sequence[Mapping[str, Json]]] = {}
        for name in self._says:
            each = values[self._names.index(name)]
            if each.count(UNSET) < len(each):
                said[name] = [{} if value is UNSET else {name: value} for value in each]
        return said

    def _rows(
        self,
        arrays: Mapping[str, np.ndarray[Any, Any]],
        values: Sequence[Values],
        count: int,
        told: Mapping[str, Json],
        *,
        is_batch: bool,
    ) -> Rows:
        entity, time, request_id = told.get("entity"), told.get("time"), told.get("id")
        intake, named = self._intake, self._said(values) if self._says else {}
        none: Sequence[Mapping[str, Json]] = [{}] * count
        entities = times = None
        if entity is not None or intake.entity in named:
            rows = named.get(intake.entity or "", none)
            entities = read_entities(entity, rows, intake.entity, columns=intake.names)
        if time is not None or intake.time in named:
            rows = named.get(intake.time or "", none)
            times = read_times(time, rows, intake.time, columns=intake.names)
        lists, items = (None, None) if intake.rank_within is None else self._listed(named, told.get("list"), none)
        return Rows(
            columns=arrays,
            count=count,
            entities=entities,
            times=times,
            lists=lists,
            items=items,
            request_id=None if request_id is None else read_name("id", request_id, None),
            form=is_batch,
        )

    def _listed(
        self, named: Mapping[str, Sequence[Mapping[str, Json]]], told: Json, none: Sequence[Mapping[str, Json]]
    ) -> tuple[Sequence[str | None] | None, Sequence[str | None] | None]:
        """In which list each row is, and which thing of it."""
        intake, fields = self._intake, (self._intake.rank_within or "", self._intake.item or "")
        pairs = zip(named.get(fields[0], none), named.get(fields[1], none), strict=True)
        rows = [{**one, **other} for one, other in pairs]
        return read_lists(told, rows, intake.rank_within, intake.item, columns=intake.names)

    def _is_each_field_once(self, body: bytes, told: Mapping[str, Json], values: Sequence[Values], count: int) -> bool:
        """Whether there are as many colons as fields and texts account for; of two fields JSON readers keep the last.

        Exact where no text holds a backslash: a colon is either behind a name, or in a name or a text.
        """
        expected = count * self._colons + len(told)
        for at, colons in self._optional:
            expected -= values[at].count(UNSET) * colons
        found = body.count(b":")
        if found > expected:
            expected += sum(_colons_in(value) for part, value in told.items() if part != "inputs")
            expected += sum(_colons_in(value) for each in values[self._plain :] for value in each)
        return found == expected


def _colons_in(value: Json) -> int:
    """How many colons a value is written with."""
    found, left = 0, [value]
    while left:
        item = left.pop()
        if type(item) is str:
            found += item.count(":")
        elif type(item) is list:
            left += item
        elif type(item) is dict:
            found += len(item)
            left += item
            left += item.values()
    return found


def _rank(column: Column) -> int:
    """Columns that are read as one block come first: whole numbers, then numbers, none of which may be missing."""
    if column.nullable or not column.required or column.kind not in ("number", "integer"):
        return 2
    return 0 if column.kind == "integer" else 1


def _is_right(block: np.ndarray[Any, Any], whole: int) -> bool:
    """Whether numbers, shape (columns, rows), are none too large, and those of the first columns whole."""
    first = block[:whole]
    return bool(np.abs(block).max() <= LARGEST_NUMBER and (np.floor(first) == first).all())


def _is_right_one_by_one(block: np.ndarray[Any, Any], whole: int) -> bool:
    """The same, quicker for few."""
    values, first = block.ravel().tolist(), block[:whole].ravel().tolist()
    return _in_reach(values) and all(map(float.is_integer, first))


def _field(key: str, column: Column) -> tuple[Any, ...]:
    kind: Any = _TYPES.get(column.kind, str)
    if column.kind == "array":
        kind = float
        for _ in column.shape:
            kind = list[kind]
    kind = kind | None if column.nullable else kind
    return (key, kind) if column.required else (key, kind, UNSET)


def _array(column: Column, accepts: Callable[[Values], bool], values: Values) -> np.ndarray[Any, Any] | None:
    """The array of a column; ``None`` if a value is not plainly right."""
    if column.kind == "array":
        return _free_arrays(column, values) if column.is_free else _arrays(column, values)
    if (column.nullable or not column.required) and not _LACKING.isdisjoint(map(type, values)):
        known = [value for value in values if type(value) not in _LACKING]
        if known and not accepts(known):
            return None
        null = column.null
        values = [null if type(value) in _LACKING else value for value in values]
    elif not accepts(values):
        return None
    return np.array(values, dtype=column.dtype)


def _arrays(column: Column, values: Values) -> np.ndarray[Any, Any] | None:
    try:
        found = np.array(values, dtype=np.float64)
    except ValueError:  # lists of other lengths
        return None
    if not column.takes(found.shape[1:]) or not np.abs(found).max(initial=0.0) <= LARGEST_NUMBER:
        return None
    if column.is_whole and (np.floor(found) != found).any():
        return None
    return found.astype(column.dtype)


def _free_arrays(column: Column, values: Values) -> np.ndarray[Any, Any] | None:
    found: list[np.ndarray[Any, Any]] = []
    for value in values:
        array = _arrays(column, [value]) if value else None  # an empty list says nothing of its inner axes
        if array is None:
            return None
        found.append(array[0])
    return column.gather(found)


def _accepts(column: Column) -> Callable[[Values], bool]:
    """What says whether all of some values, at least one, are plainly right."""
    if column.kind == "number":
        return _in_reach
    if column.kind == "integer":
        return lambda values: _in_reach(values) and all(map(float.is_integer, values))
    if column.kind == "boolean":
        return lambda values: True
    if column.kind == "category" and not column.open_levels and not column.rare_levels:
        return frozenset(column.levels).issuperset
    return lambda values: max(map(len, values)) <= LONGEST_TEXT


def _in_reach(values: Values) -> bool:
    return bool(min(values) >= -LARGEST_NUMBER and max(values) <= LARGEST_NUMBER)
