"""What a model accepts and gives: its columns, and the parser that refuses what does not fit, naming row and field.

Pure Python and numpy; the model server parses every request here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from kairos.errors import InputRefused, PackageError, did_you_mean
from kairos.models.arrays import read_nested, shape_of
from kairos.models.outputs import Output
from kairos.models.truths import Truths
from kairos.values import Json, unplain

__all__ = ["LARGEST_NUMBER", "LONGEST_TEXT", "Column", "ColumnKind", "OutputSpec", "Signature"]

ColumnKind = Literal["number", "integer", "boolean", "category", "text", "array"]

LARGEST_NUMBER = 1e15
"""Largest magnitude of an input; up to here every integer is exact as float64."""

LONGEST_TEXT = 10_000
"""Most characters of one text input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One input of a model."""

    name: str
    kind: ColumnKind
    required: bool = True
    """An optional column may be left out of a request; it is then read as null."""
    nullable: bool = False
    """Whether null is accepted: it is where the training data had missing values."""
    levels: tuple[str, ...] = ()
    """Values of a category that several rows of training share, sorted; of a fixed data type all, in its order.

    Empty for other kinds, but for text of a fixed data type, which cannot be built without them; never shown there.
    """
    open_levels: bool = False
    """Whether the model was seen to answer for a level that training did not hold."""
    rare_levels: bool = False
    """Whether training held levels that too few rows share to be named; then a level that is not named is accepted."""
    lower: float | None = None
    """Smallest number seen in training; for information, not a limit."""
    upper: float | None = None
    """Largest number seen in training; for information, not a limit."""
    shape: tuple[int, ...] = ()
    """Of one cell of an array; empty for other kinds."""
    is_whole: bool = False
    """Whether an array holds whole numbers only."""

    @property
    def dtype(self) -> type:
        """The type of an array of the column."""
        if self.kind == "array":
            return np.int64 if self.is_whole else np.float64
        may_lack = self.nullable or not self.required
        if self.kind == "number" or (self.kind == "integer" and may_lack):
            return np.float64
        if self.kind == "integer":
            return np.int64
        return np.bool_ if self.kind == "boolean" and not may_lack else np.object_

    @property
    def null(self) -> float | None:
        """What stands in an array of the column for a value that is missing."""
        return math.nan if self.kind in ("number", "integer") else None

    def parse(self, value: Json, row: int) -> Any:
        """Reads one value, as an array of the column holds it.

        Raises:
            InputRefused: it does not fit; ``facts`` hold ``row`` as given here and ``field``.
        """
        if value is not None:
            return _PARSERS[self.kind](value, self, row)
        if self.nullable:
            return self.null
        raise _refuse(f"Column {self.name!r} of row {row} is null.", row, self.name, accepted=_accepts(self))

    def told(self, *, is_hidden: bool) -> Column:
        """The column as whoever sends requests may see it: without values of free text, or any if it is hidden."""
        if is_hidden:
            return replace(self, levels=(), lower=None, upper=None)
        return replace(self, levels=()) if self.kind == "text" else self


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """The range that may leave the server of a model's number, or of each of several; and what labels can be."""

    kind: Literal["number"] = "number"
    lower: float | None = None
    upper: float | None = None
    truths: Truths = field(default_factory=Truths)
    """What its labels can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A model's columns, in the order of training, and its output."""

    columns: tuple[Column, ...]
    output: OutputSpec
    outputs: tuple[Output, ...] = ()
    """What it gives of a model of several numbers a row; none: one number."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of training."""
        return tuple(column.name for column in self.columns)

    def parse_rows(self, rows: Sequence[Mapping[str, Json]]) -> dict[str, np.ndarray[Any, Any]]:
        """Reads rows of JSON into one array a column, each of shape (n,), in the order of training.

        Numbers become float64 with NaN for null; integers int64, or float64 if the column is nullable; booleans bool,
        or objects if nullable; categories and text objects (``str`` or ``None``).

        Raises:
            InputRefused: a row does not fit; ``facts`` hold ``row`` (0-based) and ``field``.
        """
        known = set(self.names)
        for index, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise _refuse("A row is not an object.", index, None, given=row, accepted='an object such as {"a": 1}')
            if not row.keys() <= known:
                name = min(map(str, row.keys() - known))
                raise _refuse(
                    f"Row {index} has a column {name!r} that the model does not know.",
                    index,
                    name,
                    accepted=", ".join(self.names),
                    hint=did_you_mean(name, known - row.keys()),
                )
        return {column.name: _parse_column(column, rows) for column in self.columns}

    @classmethod
    def from_plain(cls, value: Json) -> Signature:
        """Reads what ``plain`` wrote.

        Raises:
            PackageError: the value is not a signature of this format.
        """
        try:
            value = unplain(value)
            columns = tuple(_column(item) for item in value["columns"])
            output = {**value["output"], "truths": Truths.from_plain(value["output"].get("truths", {"classes": ()}))}
            outputs = tuple(Output.from_plain(item) for item in value.get("outputs", ()))
            return cls(columns=columns, output=OutputSpec(**output), outputs=outputs)
        except (KeyError, TypeError) as error:
            raise PackageError("A model's signature cannot be read.", given=str(error)) from error


def _column(item: Mapping[str, Json]) -> Column:
    return Column(**{**item, "levels": tuple(item["levels"]), "shape": tuple(item.get("shape", ()))})


def _parse_column(column: Column, rows: Sequence[Mapping[str, Json]]) -> np.ndarray[Any, Any]:
    values: list[Any] = []
    name = column.name
    for index, row in enumerate(rows):
        if name in row:
            values.append(column.parse(row[name], index))
        elif column.required:
            raise _refuse(f"Row {index} lacks the column {name!r}.", index, name, accepted=_accepts(column))
        else:
            values.append(column.null)
    found: np.ndarray[Any, Any] = np.array(values, dtype=column.dtype)
    return found if found.size or not column.shape else found.reshape(0, *column.shape)


def _parse_number(value: Json, column: Column, index: int) -> float:
    if type(value) is not float and type(value) is not int:  # bool is an int, and is refused
        raise _wrong_type(value, column, index)
    if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # NaN fails every comparison
        raise _out_of_bounds(value, column, index)
    return float(value)


def _parse_integer(value: Json, column: Column, index: int) -> int:
    number = _parse_number(value, column, index)
    if not number.is_integer():
        raise _wrong_type(value, column, index)
    return int(value)


def _parse_boolean(value: Json, column: Column, index: int) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(value, column, index)
    return value


def _parse_text(value: Json, column: Column, index: int) -> str:
    if not isinstance(value, str):
        raise _wrong_type(value, column, index)
    if len(value) > LONGEST_TEXT:
        raise _refuse(
            f"Column {column.name!r} of row {index} is too long.",
            index,
            column.name,
            given=f"{len(value)} characters",
            accepted=f"up to {LONGEST_TEXT} characters",
        )
    return value


def _parse_category(value: Json, column: Column, index: int) -> str:
    text = _parse_text(value, column, index)
    if text not in column.levels and not column.open_levels and not column.rare_levels:
        raise _refuse(
            f"Column {column.name!r} of row {index} has a level that the model has never seen and cannot handle.",
            index,
            column.name,
            given=repr(_shorten(text)),
            accepted=_accepts(column),
            hint=did_you_mean(text, column.levels),
        )
    return text


def _parse_array(value: Json, column: Column, index: int) -> np.ndarray[Any, Any]:
    found = read_nested(value, column.shape)
    if found is None:
        shape = shape_of(value)
        given = _shorten(value) if not isinstance(value, list) else "lists" if shape is None else f"shape {list(shape)}"
        what = f"Column {column.name!r} of row {index} is not {_accepts(column)}."
        raise _refuse(what, index, column.name, given=given, accepted=_accepts(column))
    worst = float(np.abs(found).max())
    if not worst <= LARGEST_NUMBER:
        raise _out_of_bounds(worst, column, index)
    if column.is_whole and (np.floor(found) != found).any():
        raise _wrong_type(float(found[np.floor(found) != found].ravel()[0]), column, index)
    return found.astype(column.dtype)


_PARSERS: dict[ColumnKind, Callable[[Json, Column, int], Any]] = {
    "number": _parse_number,
    "integer": _parse_integer,
    "boolean": _parse_boolean,
    "category": _parse_category,
    "text": _parse_text,
    "array": _parse_array,
}


def _accepts(column: Column) -> str:
    if column.kind == "array":
        text = f"an array of {'whole ' if column.is_whole else ''}numbers of shape {list(column.shape)}"
    elif column.kind == "category" and not column.open_levels and not column.rare_levels:
        shown = ", ".join(repr(level) for level in column.levels[:20])
        text = f"one of {shown}" + (", ..." if len(column.levels) > 20 else "")
    else:
        text = {
            "number": "a number",
            "integer": "a whole number",
            "boolean": "true or false",
            "category": "text",
            "text": "text",
        }[column.kind]
    return f"{text} or null" if column.nullable else text


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_type(value: object, column: Column, index: int) -> InputRefused:
    given = repr(_shorten(value)) if isinstance(value, str) else _shorten(value)
    what = f"Column {column.name!r} of row {index} is not {_accepts(column)}."
    return _refuse(what, index, column.name, given=given, accepted=_accepts(column))


def _out_of_bounds(value: float, column: Column, index: int) -> InputRefused:
    finite = isinstance(value, int) or math.isfinite(value)
    return _refuse(
        f"Column {column.name!r} of row {index} is {'too large' if finite else 'not a finite number'}.",
        index,
        column.name,
        given=_shorten(value) if isinstance(value, float) else f"an integer of {value.bit_length()} bits",
        accepted=f"{_accepts(column)} between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}",
    )


def _refuse(
    what: str,
    row: int,
    field: str | None,
    *,
    given: object = None,
    accepted: str | None = None,
    hint: str | None = None,
) -> InputRefused:
    return InputRefused(what, given=given, accepted=accepted, hint=hint, row=row, field=field)
