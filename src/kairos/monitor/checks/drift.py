"""Did inputs or predictions move by more than matters, since training?

The test is on an effect size (population stability index above a threshold), never on "different". Rows of one day
resemble each other, so the rows are first counted down to what they are worth as independent rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.models.profile import ColumnProfile
from kairos.monitor.findings import Check, Finding, Level
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.holm import benjamini_hochberg, holm
from kairos.stats.psi import PsiTest, psi, psi_test
from kairos.values import Window

__all__ = ["ColumnDrift", "column_drift", "day_effect", "input_drift", "output_drift", "prediction_drift"]

_MIN_DAYS = 3
"""Fewer days say too little about how alike the rows of one day are."""

_ROWS_PER_CELL = 10
"""With fewer independent rows per cell the index is mostly noise, and is not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column's window against its profile."""

    days: int
    """Length of the window, which ends with the last day given."""
    rows: int
    effect: float
    """How many rows of the window say as much as one independent row, 1 or more."""
    psi: float
    """The index itself, from counts worth as many independent rows."""
    test: PsiTest | None = None
    """Against ``threshold``; ``None`` if the index itself is below ``drift_info``, which proves nothing."""
    threshold: float = 0.0
    """``drift_warn`` if this column alone is proven to be above it, else ``drift_info``."""


def day_effect(day_counts: NDArray[np.int64]) -> float:
    """How many rows say as much as one independent row, from how much the days' histograms differ; 1 or more.

    The first-order Rao-Scott correction: Pearson's statistic of days by cells over its degrees of freedom.

    Args:
        day_counts: Counts, shape (days, cells).

    Examples:
        >>> day_effect(np.array([[10, 10], [10, 10], [10, 10]]))
        1.0
        >>> day_effect(np.array([[20, 0], [0, 20], [20, 0], [0, 20]]))  # a day has one value: 80 rows, 3 free days
        26.666666666666668

    References:
        Rao & Scott (1984).
    """
    counts = day_counts[day_counts.sum(axis=1) > 0][:, day_counts.sum(axis=0) > 0].astype(np.float64)
    freedom = int((counts.shape[0] - 1) * (counts.shape[1] - 1))
    if freedom <= 0:
        return 1.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    pearson = float(((counts - expected) ** 2 / expected).sum())
    return max(1.0, pearson / freedom)


def column_drift(profile: ColumnProfile, day_counts: NDArray[np.int64], policy: MonitorPolicy) -> ColumnDrift | None:
    """Tests one column on its last ``drift_window``, or on more days if these hold too few rows.

    Args:
        profile: What training looked like.
        day_counts: Counts per day in the cells that ``profile.bins.fold`` gives, shape (days, cells), the most recent
            day last; days before ``drift_window_max`` are not looked at.
        policy: Its thresholds and windows.

    Returns:
        ``None`` if even the longest window holds fewer than three days with rows, or too few rows for the change that
        they show.
    """
    reference = profile.bins.fold(np.asarray(profile.counts))
    step, most = policy.drift_window.days, min(policy.drift_window_max.days, len(day_counts))
    for days in [*range(step, most, step), most]:
        found = _window_drift(reference, day_counts[-days:], policy) if days else None
        if found is not None:
            return found
    return None


def _window_drift(
    reference: NDArray[np.int64], day_counts: NDArray[np.int64], policy: MonitorPolicy
) -> ColumnDrift | None:
    if int((day_counts.sum(axis=1) > 0).sum()) < _MIN_DAYS:
        return None
    effect, days, rows = day_effect(day_counts), len(day_counts), int(day_counts.sum())
    counts = day_counts.sum(axis=0) / effect
    if counts.sum() < _ROWS_PER_CELL * int(((reference > 0) | (counts > 0)).sum()):
        return None
    distance = float(psi(reference, counts))
    if distance <= policy.drift_info:
        return ColumnDrift(days=days, rows=rows, effect=effect, psi=distance)
    for threshold in (policy.drift_warn, policy.drift_info):
        if distance > threshold:
            test = psi_test(reference, counts, eps=threshold, alpha=policy.alpha)
            if test.alarm or (threshold == policy.drift_info and not test.too_small):
                return ColumnDrift(days=days, rows=rows, effect=effect, psi=distance, test=test, threshold=threshold)
    return None


def input_drift(
    columns: Mapping[str, ColumnDrift],
    *,
    seasonal: Collection[str] = (),
    policy: MonitorPolicy,
    until: datetime,
    version: int,
) -> tuple[Finding, ...]:
    """Says which inputs moved; never an alarm, since a change of inputs alone need not harm.

    ``warn``: the index is above ``drift_warn`` for this column, with chance ``alpha`` of *any* false warning at one
    look (Holm). ``info``: above ``drift_info``, with at most a share ``alpha`` of false ones expected among them
    (Benjamini-Hochberg; a p-value against the larger threshold stands in for the smaller one, which it exceeds).

    Args:
        columns: By name; every input that has a verdict, moved or not, since each adds to the chance of error.
        seasonal: Those that were like this a year ago; they are told with ``info`` at most.
        policy: Its thresholds.
        until: End of the last day looked at.
        version: Which one is watched.
    """
    return _several("input_drift", columns, seasonal, policy, until, version)


def output_drift(
    columns: Mapping[str, ColumnDrift],
    *,
    seasonal: Collection[str] = (),
    policy: MonitorPolicy,
    until: datetime,
    version: int,
) -> tuple[Finding, ...]:
    """Says which outputs beside the lead moved, as ``input_drift`` does of inputs; the lead is the prediction's."""
    return _several("prediction_drift", columns, seasonal, policy, until, version)


def _several(
    check: Check,
    columns: Mapping[str, ColumnDrift],
    seasonal: Collection[str],
    policy: MonitorPolicy,
    until: datetime,
    version: int,
) -> tuple[Finding, ...]:
    """Findings about columns that are tested together."""
    if not columns:
        return ()
    names = sorted(columns)
    info = benjamini_hochberg([_p_value(columns[name], policy.drift_info) for name in names])
    warn = holm([_p_value(columns[name], policy.drift_warn) for name in names])
    found = []
    for name, info_p, warn_p in zip(names, info, warn, strict=True):
        if warn_p <= policy.alpha and name not in seasonal:
            found.append(_finding(check, name, columns[name], "warn", policy, until, version))
        elif info_p <= policy.alpha:
            is_usual = name in seasonal
            found.append(_finding(check, name, columns[name], "info", policy, until, version, is_seasonal=is_usual))
    return tuple(found)


def prediction_drift(
    drift: ColumnDrift, *, is_seasonal: bool = False, policy: MonitorPolicy, until: datetime, version: int
) -> Finding | None:
    """Says whether the predictions moved, against the predictions (not the labels) of the holdout.

    What was like this a year ago is told with ``info`` at most.
    """
    if drift.test is None or not drift.test.alarm:
        return None
    level: Level = "warn" if drift.threshold == policy.drift_warn and not is_seasonal else "info"
    return _finding("prediction_drift", None, drift, level, policy, until, version, is_seasonal=is_seasonal)


def _p_value(drift: ColumnDrift, threshold: float) -> float:
    """Against ``threshold`` or a larger one; 1 if the column was not tested against any such."""
    return drift.test.p_value if drift.test is not None and drift.threshold >= threshold else 1.0


def _finding(
    check: Check,
    column: str | None,
    drift: ColumnDrift,
    level: Level,
    policy: MonitorPolicy,
    until: datetime,
    version: int,
    *,
    is_seasonal: bool = False,
) -> Finding:
    assert drift.test is not None  # nothing is found without it
    test, threshold = drift.test, policy.drift_warn if level == "warn" else policy.drift_info
    subject = "Predictions" if column is None else f"{'Input' if check == 'input_drift' else 'Output'} {column!r}"
    return Finding(
        check=check,
        level=level,
        column=column,
        value=max(0.0, test.corrected),
        lower=test.lower,
        upper=test.upper,
        threshold=threshold,
        window=Window(until - timedelta(days=drift.days), until),
        rows=drift.rows,
        sentence=(
            f"{subject} moved since training: PSI is at least {test.lower:.2f} ({1 - policy.alpha:.0%}), above the "
            f"{threshold:.2f} tolerated, over {drift.days} days ({drift.rows} rows, worth "
            f"{drift.rows / drift.effect:.0f} independent ones)."
            f"{' A year ago it was much the same.' if is_seasonal else ''}"
        ),
        version=version,
        is_seasonal=is_seasonal,
    )
