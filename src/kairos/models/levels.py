"""Which values of a text column may be named: those that several rows share, so that none points at one person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["MOST_LEVELS", "SHARED_ROWS", "fewest_rows", "is_category", "shared_levels"]

MOST_LEVELS = 100
"""A text column with more distinct values than this is text, not a category."""

SHARED_ROWS = 10
"""A level is shared if at least so many rows hold it; in a table of under 100 rows a tenth of them, at least 5."""

_SHARED_SHARE = 0.95
"""A text column is a category if at least this share of its values are shared levels."""


def fewest_rows(rows: int) -> int:
    """How many rows must hold a level before it is named, in a table of so many rows.

    >>> fewest_rows(20), fewest_rows(80), fewest_rows(5000)
    (5, 8, 10)
    """
    return max(5, min(SHARED_ROWS, rows // 10))


def shared_levels(values: Iterable[object]) -> frozenset[str]:
    """The texts that enough rows hold to be named; ``None`` is a row without a value."""
    counts = Counter(values)
    fewest = fewest_rows(counts.total())
    return frozenset(str(text) for text, count in counts.items() if text is not None and count >= fewest)


def is_category(values: Iterable[object], *, most: int | None = MOST_LEVELS) -> bool:
    """Whether a text column is a category: few distinct values, and nearly all rows with a shared one.

    Args:
        values: One a row, ``None`` where missing.
        most: Distinct values that a category may have; ``None`` if its data type says that it is one.
    """
    counts = Counter(values)
    fewest = fewest_rows(counts.total())
    del counts[None]
    if most is not None and len(counts) > most:
        return False
    return sum(count for count in counts.values() if count >= fewest) >= _SHARED_SHARE * counts.total()
