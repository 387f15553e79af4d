"""How often a page of fifty inputs, which move together, cries wolf.

Run: ``python -m benchmarks.decisions.drift_pages``. Fifty inputs of which any two correlate by a half are watched at
one look, by ``monitor.checks.drift`` itself, on seven days. *Anything* is a finding of any level on the page; *a false
warning* one of ``warn`` about an input that did not move by more than is tolerated, for which the stated chance is 5 %
however many inputs there are; *false among all* is the mean share of such inputs among all that is found, for which 5 %
are stated where the inputs stand at the limit of ``info``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks.decisions.report import Row, main, share
from benchmarks.decisions.streams import Floats
from kairos.models.profile import ColumnProfile
from kairos.monitor.checks.drift import ColumnDrift, column_drift, input_drift
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy

__all__ = ["COLUMNS", "POLICY", "folded", "pages", "shift_of", "simulate"]

COLUMNS, DAYS = 50, 7
POLICY = MonitorPolicy()
_UNTIL = datetime(2024, 1, 8, tzinfo=UTC)


def shift_of(index: float) -> float:
    """By how much a normal input has to move, in standard deviations, for a stability index of that size."""
    edges = norm.ppf(np.arange(1, 10) / 10)

    def excess(shift: float) -> float:
        shares = np.diff(norm.cdf(np.concatenate([[-np.inf], edges - shift, [np.inf]])))
        return float(((shares - 0.1) * np.log(shares / 0.1)).sum()) - index

    return float(brentq(excess, 1e-6, 5.0))


def pages(
    rng: np.random.Generator, runs: int, shifts: NDArray[np.float64], *, rows: int = 30
) -> Iterator[tuple[Finding, ...]]:
    """What is found on each page.

    Args:
        rng: Of the draws.
        runs: How many pages.
        shifts: By how much each input moved, in standard deviations, shape (COLUMNS,).
        rows: A day.
    """
    reference = norm.ppf((np.arange(20_000) + 0.5) / 20_000)  # so that what is tolerated is exactly what it says
    profile = ColumnProfile.fit("number", reference)
    for _ in range(runs):
        common = rng.normal(size=(DAYS, rows, 1))
        x = np.sqrt(0.5) * (common + rng.normal(size=(DAYS, rows, COLUMNS))) + shifts
        counts = folded(profile, x)
        found: dict[str, ColumnDrift] = {}
        for column in range(COLUMNS):
            drift = column_drift(profile, counts[:, column], POLICY)
            if drift is not None:
                found[f"c{column:02}"] = drift
        yield input_drift(found, policy=POLICY, until=_UNTIL, version=1)


def folded(profile: ColumnProfile, x: Floats) -> NDArray[np.int64]:
    """What ``bins.fold`` gives for each day and input at once, shape (days, inputs, cells).

    Args:
        profile: Of every input.
        x: Without missing values, shape (days, rows, inputs).
    """
    cells = len(profile.edges)
    bins = np.searchsorted(np.asarray(profile.edges[1:-1]), x, side="left")
    place = np.arange(x.shape[0])[:, None, None] * x.shape[2] + np.arange(x.shape[2])
    counts = np.bincount((place * cells + bins).ravel(), minlength=x.shape[0] * x.shape[2] * cells)
    return counts.reshape(x.shape[0], x.shape[2], cells).astype(np.int64)


def simulate(runs: int) -> Iterator[Row]:
    """One table."""
    still, limit = np.zeros(COLUMNS), shift_of(POLICY.drift_warn)
    moved_by = np.where(np.arange(COLUMNS) < 10, shift_of(0.6), shift_of(POLICY.drift_info))
    cases = (
        ("no change, 30 rows a day", still, 30),
        (f"all at the {POLICY.drift_warn:g} that is tolerated, 100 rows a day", still + limit, 100),
        (f"all at the {POLICY.drift_warn:g} that is tolerated, 30 rows a day", still + limit, 30),
        (f"ten moved to 0.6, the others at {POLICY.drift_info:g}, 100 rows a day", moved_by, 100),
    )
    for number, (case, shifts, rows) in enumerate(cases):
        found = list(pages(np.random.default_rng(number), runs, shifts, rows=rows))
        moved = {f"c{column:02}" for column in np.flatnonzero(shifts >= shift_of(0.6) - 1e-9)}
        figures = {
            "anything": float(np.mean([bool(page) for page in found])),
            "a false warning": float(
                np.mean([any(f.level == "warn" and f.column not in moved for f in p) for p in found])
            ),
            "false among all": float(np.mean([_false_share(page, moved) for page in found])),
        }
        for figure, value in figures.items():
            yield Row(table="fifty inputs, one look", case=case, who="kairos", figure=figure, value=share(value, runs))


def _false_share(page: tuple[Finding, ...], moved: set[str]) -> float:
    return sum(finding.column not in moved for finding in page) / len(page) if page else 0.0


if __name__ == "__main__":
    raise SystemExit(main("Pages of drift", lambda n: list(simulate(n)), runs=2000))
