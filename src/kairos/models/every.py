"""Which rows of a long training table are asked about where there are no rows held out: every second, third, ..."""

from __future__ import annotations

__all__ = ["MOST_ROWS", "every_so_many"]

MOST_ROWS = 200_000
"""Training rows that a package's predictions are described by, and its compiled form is proven on. Those of a holdout
are taken as they are, however many."""


def every_so_many(rows: int) -> int:
    """The step from row to row.

    >>> every_so_many(200_000), every_so_many(200_001), every_so_many(1_000_000)
    (1, 2, 5)
    """
    return max(1, -(-rows // MOST_ROWS))
