"""A straight line through standardised numbers and the commonest levels, as numbers in JSON: run with numpy alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kairos.models.frames import FrameColumn
from kairos.values import Json

__all__ = ["Features", "Linear", "Terms", "design", "find_terms"]

Floats = NDArray[np.float64]

_MOST_LEVELS = 30
"""Levels of a column that get a term of their own; a whole number of no more values gets one for each, too."""
_MOST_TERMS = 300
_FAR = 8.0
"""Standard deviations beyond which a number counts as so far away and no farther: a line goes on for ever."""
_ROWS_AT_ONCE = 65_536

Features = Mapping[str, np.ndarray[Any, Any]]
"""Columns by name, shape (n,): numbers with NaN, booleans, or objects with ``None``."""


class _Number(NamedTuple):
    name: str
    mean: float
    scale: float
    missing: bool
    """Whether being missing has a term of its own; a missing number counts as the mean."""


class _Levels(NamedTuple):
    name: str
    values: tuple[str | float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a line adds up; in the order of ``numbers``, each with its term for missing, then ``levels``."""

    numbers: tuple[_Number, ...] = ()
    levels: tuple[_Levels, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that it needs."""
        return tuple(dict.fromkeys([*(each.name for each in self.numbers), *(each.name for each in self.levels)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A fitted line."""

    terms: Terms
    weights: tuple[tuple[float, ...], ...]
    """Shape (terms + 1, numbers of an answer); the last row is what every answer begins with."""
    link: Literal["identity", "logistic", "softmax"] = "identity"
    classes: tuple[float, ...] = ()
    """With ``softmax``: the answer is the likeliest of these; none: it is a chance for each class."""

    def answers(self, columns: Features, rows: int) -> Floats:
        """One number a row, shape (n,); of chances of classes, several targets or quantiles shape (n, numbers).

        Args:
            columns: At least those of ``terms``.
            rows: Length of each.
        """
        weights = np.array(self.weights)
        found = np.empty((rows, weights.shape[1]))
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = {name: columns[name][start : start + _ROWS_AT_ONCE] for name in self.terms.names}
            count = min(_ROWS_AT_ONCE, rows - start)
            found[start : start + count] = design(self.terms, part, count) @ weights[:-1] + weights[-1]
        if self.link == "logistic":
            return np.asarray(1 / (1 + np.exp(-np.clip(found[:, 0], -500, 500))))
        if self.link == "softmax":
            raised = np.exp(found - found.max(axis=1, keepdims=True))
            if self.classes:
                return np.asarray(np.array(self.classes)[raised.argmax(axis=1)])
            return np.asarray(raised / raised.sum(axis=1, keepdims=True))
        return found if self.is_wide else found[:, 0]

    @property
    def is_wide(self) -> bool:
        """Whether an answer is several numbers."""
        return len(self.weights[-1]) > 1

    @classmethod
    def from_plain(cls, value: Json) -> Linear:
        """Reads what ``plain`` of ``values`` wrote."""
        terms = Terms(
            numbers=tuple(_Number(*each) for each in value["terms"]["numbers"]),
            levels=tuple(_Levels(name, tuple(values)) for name, values in value["terms"]["levels"]),
        )
        weights = tuple(tuple(row) for row in value["weights"])
        return cls(terms=terms, weights=weights, link=value["link"], classes=tuple(value["classes"]))


def find_terms(columns: Mapping[str, FrameColumn], chosen: NDArray[np.int64], target: Floats) -> Terms:
    """The terms of a line through these rows: free text has none.

    Args:
        columns: Of the training table.
        chosen: Places of rows that are looked at.
        target: Of these rows, shape (n,) or (n, targets): of more columns than a line takes the most related stay.
    """
    numbers = [number for column in columns.values() if (number := _number(column, chosen)) is not None]
    levels = [found for column in columns.values() if (found := _levels(column, chosen)).values]
    size = 2 * len(numbers) + sum(len(each.values) for each in levels)
    if size > _MOST_TERMS:
        goal = target.reshape(len(target), -1)[:, 0]
        ranked = sorted(_strengths(columns, numbers, levels, chosen, goal), key=lambda each: (-each[0], each[1]))
        numbers, levels = _strongest([term for _, _, term in ranked])
    return Terms(numbers=tuple(numbers), levels=tuple(levels))


def design(terms: Terms, columns: Features, rows: int) -> Floats:
    """What a line weighs, shape (rows, terms)."""
    parts: list[Floats] = []
    for number in terms.numbers:
        values = _as_numbers(columns[number.name])
        known = np.isfinite(values)
        scaled = np.where(known, (np.where(known, values, 0.0) - number.mean) / number.scale, 0.0)
        parts.append(np.clip(scaled, -_FAR, _FAR)[:, None])
        if number.missing:
            parts.append((~known).astype(np.float64)[:, None])
    for level in terms.levels:
        values = columns[level.name]
        if values.dtype == np.object_:
            place: dict[object, int] = {value: at for at, value in enumerate(level.values)}
            codes = np.fromiter((place.get(value, -1) for value in values.tolist()), np.int64, len(values))
            parts.append((codes[:, None] == np.arange(len(level.values))).astype(np.float64))
        else:
            parts.append((values[:, None] == np.array(level.values)).astype(np.float64))
    return np.hstack(parts) if parts else np.empty((rows, 0))


def _as_numbers(values: np.ndarray[Any, Any]) -> Floats:
    return np.asarray(values.astype(np.float64))  # None among objects becomes NaN


def _number(column: FrameColumn, chosen: NDArray[np.int64]) -> _Number | None:
    if column.kind not in ("number", "integer", "boolean"):
        return None
    values = _as_numbers(column.values[chosen])
    known = values[np.isfinite(values)]
    spread = float(known.std()) if known.size else 0.0
    if not np.isfinite(spread) or spread <= 1e-12 * max(1.0, abs(float(known.mean())) if known.size else 0.0):
        return None  # it says the same in every row
    return _Number(column.name, float(known.mean()), spread, missing=bool(known.size < values.size))


def _levels(column: FrameColumn, chosen: NDArray[np.int64]) -> _Levels:
    if column.kind == "category":
        held = Counter(value for value in column.values[chosen].tolist() if value in set(column.levels))
        common = sorted(held, key=lambda value: (-held[value], value))
        return _Levels(column.name, tuple(sorted(common[:_MOST_LEVELS])))
    if column.kind == "integer":
        values = column.values[chosen]
        found = np.unique(values[np.isfinite(values)])
        if 2 < found.size <= _MOST_LEVELS:
            return _Levels(column.name, tuple(found.astype(np.float64).tolist()))
    return _Levels(column.name, ())


def _strengths(
    columns: Mapping[str, FrameColumn],
    numbers: Sequence[_Number],
    levels: Sequence[_Levels],
    chosen: NDArray[np.int64],
    goal: Floats,
) -> Iterator[tuple[float, int, _Number | _Levels]]:
    """How much of the goal each term tells alone, as a squared correlation; and its place."""
    centred = goal - goal.mean()
    whole = float(centred @ centred) or 1.0
    for at, number in enumerate(numbers):
        held = _held(Terms(numbers=(number,)), columns, chosen)[:, 0]
        values = held - held.mean()
        yield float(values @ centred) ** 2 / (float(values @ values) or 1.0) / whole, at, number
    for at, level in enumerate(levels, start=len(numbers)):
        held = _held(Terms(levels=(level,)), columns, chosen)
        yield float(((held.T @ centred) ** 2 / np.maximum(held.sum(axis=0), 1.0)).sum()) / whole, at, level


def _held(terms: Terms, columns: Mapping[str, FrameColumn], chosen: NDArray[np.int64]) -> Floats:
    return design(terms, {name: columns[name].values[chosen] for name in terms.names}, chosen.size)


def _strongest(ranked: Sequence[_Number | _Levels]) -> tuple[list[_Number], list[_Levels]]:
    room = _MOST_TERMS
    numbers: list[_Number] = []
    levels: list[_Levels] = []
    for term in ranked:
        size = 2 if isinstance(term, _Number) else len(term.values)
        if size > room:
            break
        room -= size
        numbers.append(term) if isinstance(term, _Number) else levels.append(term)
    return numbers, levels
