"""One input of a model: what it accepts, and the parser that refuses what does not fit, naming row and field.

Pure Python and numpy; the model server parses every request here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kairos.errors import InputRefused, did_you_mean
from kairos.models.arrays import LARGEST_ARRAY, is_free, ragged, read_nested, shape_of, shape_words
from kairos.values import Json

__all__ = ["LARGEST_NUMBER", "LONGEST_TEXT", "Column", "ColumnKind", "accepts", "refuse"]

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
    """Of one cell of an array, with ``FREE`` where cells differ in length; empty for other kinds."""
    is_whole: bool = False
    """Whether an array holds whole numbers only."""
    seen: tuple[tuple[int, int], ...] = ()
    """Of an array whose cells differ in length, the shortest and longest of each axis in training; else empty."""
    taken: tuple[tuple[int, int], ...] = ()
    """The same of what is accepted."""

    @property
    def dtype(self) -> type:
        """The type of an array of the column; where cells differ in length of each cell."""
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

    @property
    def is_free(self) -> bool:
        """Whether its cells are arrays that differ in length."""
        return is_free(self.shape)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """A shape that is accepted: where cells differ in length the shortest of training."""
        return tuple(least for least, _ in self.seen) or self.shape

    @property
    def words(self) -> str:
        """Its kind, as a person is told; of arrays with the shape that is accepted."""
        return f"array {shape_words(self.shape, self.taken)}" if self.shape else self.kind

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape is accepted, whatever it holds."""
        if not self.is_free:
            return shape == self.shape
        within = len(shape) == len(self.taken) and all(
            least <= length <= most for length, (least, most) in zip(shape, self.taken, strict=True)
        )
        return within and math.prod(shape) <= LARGEST_ARRAY

    def gather(self, values: Sequence[Any]) -> np.ndarray[Any, Any]:
        """What ``parse`` gave of many rows as one array of shape (n,), or (n, *shape) of arrays of one shape."""
        if self.is_free:
            return ragged(values)
        found: np.ndarray[Any, Any] = np.array(values, dtype=self.dtype)
        return found if found.size or not self.shape else found.reshape(0, *self.shape)

    def lacking(self, count: int) -> np.ndarray[Any, Any]:
        """So many rows of a column that may be left out."""
        return self.gather([self.null] * count)

    def parse(self, value: Json, row: int) -> Any:
        """Reads one value, as an array of the column holds it.

        Raises:
            InputRefused: it does not fit; ``facts`` hold ``row`` as given here and ``field``.
        """
        if value is not None:
            return _PARSERS[self.kind](value, self, row)
        if self.nullable:
            return self.null
        raise refuse(f"Column {self.name!r} of row {row} is null.", row, self.name, accepted=accepts(self))

    def told(self, *, is_hidden: bool) -> Column:
        """The column as whoever sends requests may see it: without values of free text, or any if it is hidden."""
        if is_hidden:
            return replace(self, levels=(), lower=None, upper=None)
        return replace(self, levels=()) if self.kind == "text" else self


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
        raise refuse(
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
        raise refuse(
            f"Column {column.name!r} of row {index} has a level that the model has never seen and cannot handle.",
            index,
            column.name,
            given=repr(_shorten(text)),
            accepted=accepts(column),
            hint=did_you_mean(text, column.levels),
        )
    return text


def _parse_array(value: Json, column: Column, index: int) -> np.ndarray[Any, Any]:
    found = read_nested(value, column.shape)
    if found is None or not column.takes(found.shape):
        shape = shape_of(value)
        given = _shorten(value) if not isinstance(value, list) else "lists" if shape is None else f"shape {list(shape)}"
        what = f"Column {column.name!r} of row {index} is not {accepts(column)}."
        raise refuse(what, index, column.name, given=given, accepted=accepts(column))
    worst = float(np.abs(found).max(initial=0.0))
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


def accepts(column: Column) -> str:
    """What a column takes, in words."""
    if column.kind == "array":
        shape = shape_words(column.shape, column.taken)
        text = f"an array of {'whole ' if column.is_whole else ''}numbers of shape {shape}"
        if math.prod(most for _, most in column.taken) > LARGEST_ARRAY:
            text += f", up to {LARGEST_ARRAY} in all"
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
    what = f"Column {column.name!r} of row {index} is not {accepts(column)}."
    return refuse(what, index, column.name, given=given, accepted=accepts(column))


def _out_of_bounds(value: float, column: Column, index: int) -> InputRefused:
    finite = isinstance(value, int) or math.isfinite(value)
    return refuse(
        f"Column {column.name!r} of row {index} is {'too large' if finite else 'not a finite number'}.",
        index,
        column.name,
        given=_shorten(value) if isinstance(value, float) else f"an integer of {value.bit_length()} bits",
        accepted=f"{accepts(column)} between -{LARGEST_NUMBER:g} and {LARGEST_NUMBER:g}",
    )


def refuse(
    what: str,
    row: int,
    field: str | None,
    *,
    given: object = None,
    accepted: str | None = None,
    hint: str | None = None,
) -> InputRefused:
    """The refusal of a row, or of one field of it."""
    return InputRefused(what, given=given, accepted=accepted, hint=hint, row=row, field=field)
