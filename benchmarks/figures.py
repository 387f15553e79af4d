"""What benchmarks measured, and how it is printed: a table, what was aimed at, and what is to be said beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

__all__ = ["US", "Figure", "Findings", "Goal", "Sample", "median_of", "plain", "print_said", "print_table"]

US = "kairos"
"""The contender that the others are compared with."""

_HIGHER_IS_BETTER = {"requests/s"}


class Sample(NamedTuple):
    """One measurement."""

    job: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one contender needed for one job, a value for each round."""

    job: str
    who: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio or a size that is aimed at."""

    what: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def is_reached(self) -> bool:
        """Whether the value is on the right side; not a number is on neither."""
        return self.value >= self.least if self.least is not None else self.value <= (self.most or 0.0)


class Findings(NamedTuple):
    """Figures, and what is to be said of them."""

    figures: Sequence[Figure]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    """Sentences, such as why a peer is missing."""


def median_of(figures: Sequence[Figure], job: str, who: str) -> float:
    """The median of one contender's values for one job; not a number if it has none."""
    return next((figure.median for figure in figures if (figure.job, figure.who) == (job, who)), math.nan)


def _ratio(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """How many times better Kairos is at the same job; below 1 the other one is."""
    ours = [other.median for other in figures if (other.job, other.who) == (figure.job, US)]
    if figure.who == US or not ours:
        return None
    better, worse = (ours[0], figure.median) if figure.unit in _HIGHER_IS_BETTER else (figure.median, ours[0])
    return better / worse if worse else None


def plain(figure: Figure, figures: Sequence[Figure]) -> dict[str, object]:
    """A figure as JSON."""
    return {
        "job": figure.job,
        "who": figure.who,
        "unit": figure.unit,
        "median": figure.median,
        "values": figure.values,
        "kairos_times_better": _ratio(figure, figures),
    }


def print_said(goals: Sequence[Goal], notes: Sequence[str]) -> None:
    """Prints what was aimed at, reached or missed, and notes."""
    for goal in goals:
        wanted = f"at least {goal.least:g}" if goal.least is not None else f"at most {goal.most:g}"
        print(f"  {'reached' if goal.is_reached else 'MISSED ':8} {goal.what}: {goal.value:.3g} ({wanted})")
    for note in notes:
        print(f"  note: {note}")


def print_table(title: str, machine: Mapping[str, object], figures: Sequence[Figure]) -> None:
    """Prints all figures, and on what they were measured."""
    rows = [("", "", "median", "from .. to", "", "kairos is better by")]
    shown = ""
    for figure in figures:
        ratio = _ratio(figure, figures)
        low, high = min(figure.values), max(figure.values)
        rows.append(
            (
                figure.job if figure.job != shown else "",
                figure.who,
                f"{figure.median:.3g}" if figure.median < 100 else f"{figure.median:.0f}",
                f"{low:.3g} .. {high:.3g}" if high < 100 else f"{low:.0f} .. {high:.0f}",
                figure.unit,
                "" if ratio is None else f"{ratio:.2g} x" if ratio < 10 else f"{ratio:.0f} x",
            )
        )
        shown = figure.job
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(title)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    versions = machine["versions"]
    assert isinstance(versions, dict)
    print(
        f"  {machine['at']}, {machine['cores']} cores, load {machine['load_before']:.1f} before and"
        f" {machine['load_after']:.1f} after; " + ", ".join(f"{name} {number}" for name, number in versions.items())
    )
    if machine["quick"]:
        print("  --quick: these figures mean nothing")
