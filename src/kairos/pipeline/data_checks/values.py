"""What is asked of an artifact, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, get_args

from kairos.values import Verdict

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CHECK_NAMES", "CheckName", "Checked", "DataChecks"]

CheckName = Literal["fresh", "rows", "volume", "unique", "distance"]
CHECK_NAMES: tuple[CheckName, ...] = get_args(CheckName)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChecks:
    """What is asked of one artifact, a table; whatever is ``None`` or empty is not asked."""

    artifact: str
    """``rentals`` or ``split.train``."""
    time: str | None = None
    """Column of times, for ``fresh``."""
    fresh: timedelta | None = None
    """How much older than the end of the run's window the newest row may be."""
    rows: int | None = None
    """As many rows at least."""
    volume: float | None = None
    """How far rows a day may be from the median of past runs, as a share of it."""
    unique: tuple[str, ...] = ()
    """Columns that name a row: no two rows have the same values in all of them."""
    distance: float | None = None
    """Jensen-Shannon distance from the reference that is tolerated in a column, 0 to 0.83."""
    columns: tuple[str, ...] = ()
    """Those whose distribution is looked at; empty: all but times."""
    reference: str | None = None
    """A table as ``kairos data diff`` takes them; ``None``: the artifact of the last run that finished."""
    warn: tuple[CheckName, ...] = ()
    """Checks that tell and stop nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one check."""

    check: CheckName
    verdict: Verdict
    """``hold``: there is nothing yet to compare with, or too few rows."""
    what: str
    """A sentence; no values of rows are in it."""
    columns: tuple[str, ...] = ()
    rows: int = 0
    """Rows that break it."""
    bad: pl.DataFrame | None = None
    """Some of these rows, as they are; 10,000 at most."""
