"""Is an input missing more often than in training, by more than matters? Then something before the model is broken."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile
from kairos.monitor.checks.drift import day_effect
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.rates import rate_log_e
from kairos.values import Window

__all__ = ["missing_input"]


def missing_input(
    name: str,
    column: ColumnProfile,
    day_counts: NDArray[np.int64],
    *,
    rows: int,
    policy: MonitorPolicy,
    alpha: float,
    until: datetime,
    version: int,
) -> Finding | None:
    """Finds that the share of rows without this input is proven to be above that of training plus a tolerance.

    Rows of one day are counted for what they are worth: a source that failed for an hour is one mishap, not sixty.

    Args:
        name: Of the input.
        column: What training looked like.
        day_counts: Counts per day in the cells that ``column.bins.fold`` gives, the last one missing, shape (days,
            cells), the most recent day last.
        rows: Rows of training.
        policy: ``missing_tolerance`` and ``drift_window``.
        alpha: Chance of error of this one look at this one input.
        until: End of the last day.
        version: Which one is watched.

    Returns:
        ``warn``, or ``None``.
    """
    window = day_counts[-policy.drift_window.days :]
    gone = window[:, -1]
    total, missing = int(window.sum()), int(gone.sum())
    usual = column.missing / rows if rows else 0.0
    cap = usual + policy.missing_tolerance
    if not missing or not cap < 1 or missing / total <= cap:
        return None
    effect = day_effect(np.column_stack([gone, window.sum(axis=1) - gone]))
    n = math.floor(total / effect)
    k = min(math.floor(missing / effect), n)
    if not rate_log_e(k, n, cap, "greater") >= math.log(1 / alpha):
        return None
    return Finding(
        check="missing_input",
        level="warn",
        column=name,
        value=missing / total,
        lower=cap,
        upper=None,
        threshold=cap,
        window=Window(until - timedelta(days=len(window)), until),
        rows=total,
        sentence=(
            f"Input {name!r} is missing in {missing / total:.1%} of {total} rows of the last {len(window)} days, in "
            f"training in {usual:.1%}: more than the {policy.missing_tolerance:.1%} tolerated on top of that "
            f"({1 - alpha:.1%}). Look at where it comes from."
        ),
        version=version,
    )
