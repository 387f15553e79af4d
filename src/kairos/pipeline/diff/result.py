"""What differs between two versions of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kairos.values import Distance

__all__ = ["Bound", "ColumnDiff", "ColumnFacts", "Example", "RowCounts", "TableDiff"]

Bound = float | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows of two versions, told apart."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    """Rows with the same key and another value; 0 where rows are compared without a key."""
    unchanged: int = 0
    repeated_before: int = 0
    """Rows whose key is another row's as well, on either side; they count as added, removed or unchanged, never as
    changed."""
    repeated_after: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(**{name: getattr(self, name) + getattr(other, name) for name in RowCounts.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column of one version, over all its rows."""

    type: str
    missing: int
    """Null; a number that is NaN counts as well."""
    mean: float | None = None
    """Of the numbers, and of booleans as 0 and 1; ``None`` for all else, and where there is none."""
    sd: float | None = None
    """Of the whole population of rows."""
    least: Bound = None
    """Of numbers and times (as ISO text); of text nothing is told."""
    most: Bound = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDiff:
    """One column in both versions."""

    name: str
    before: ColumnFacts | None
    """``None``: the column was added."""
    after: ColumnFacts | None
    """``None``: it was removed."""
    changed: int | None = None
    """Rows of the same key whose value differs; ``None`` without a key, of the key itself, or where a side lacks it."""
    distance: Distance | None = None
    """Jensen-Shannon distance of the two distributions, 0 to 0.83, on a sample of rows; ``None`` if a side has none."""
    has_moved: bool = False
    """The distance is proven, on the sample, to be above 0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row that differs; only made when it is asked for, because it shows what is in the table."""

    how: str
    """``added``, ``removed`` or ``changed``."""
    row: Mapping[str, Any]
    """Of a changed row the key alone."""
    was: Mapping[str, Any] | None = None
    """Of a changed row: the columns that differ, before."""
    now: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDiff:
    """Two versions of a table."""

    before: str
    after: str
    rows_before: int
    rows_after: int
    key: tuple[str, ...]
    """Empty: rows are compared as a whole, as often as they occur, in any order."""
    rows: RowCounts
    columns: tuple[ColumnDiff, ...]
    """In the order of the later version; removed ones at the end."""
    sampled: int
    """Rows of each version, at most, on which distances rest."""
    examples: tuple[Example, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing differs: rows, columns, and their types. The order of rows and columns does not count."""
        types = all(
            c.before is not None and c.after is not None and c.before.type == c.after.type for c in self.columns
        )
        return types and not (self.rows.added or self.rows.removed or self.rows.changed)
