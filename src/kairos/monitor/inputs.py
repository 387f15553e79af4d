"""The inputs and predictions of one version against its training: missing, moved, seasonal, and how much it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kairos.models.profile import Profile
from kairos.monitor.checks.drift import ColumnDrift, column_drift, input_drift, output_drift, prediction_drift
from kairos.monitor.checks.missing import missing_input
from kairos.monitor.checks.severity import drift_severity
from kairos.monitor.days import day_start
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.monitor.season import LastYear, is_seasonal
from kairos.monitor.tallies import Tallies
from kairos.monitor.watched import Watched, watched_inputs

__all__ = ["look_at_inputs"]


def look_at_inputs(
    tallies: Tallies, profile: Profile, last_year: LastYear, *, today: int, policy: MonitorPolicy, version: int
) -> list[Finding]:
    """Everything that the last whole days say without labels, in the order of ``Check``.

    Args:
        tallies: Of the version.
        profile: What its training looked like.
        last_year: What the same days looked like a year ago.
        today: Number of the day that has not ended.
        policy: Thresholds and error rates.
        version: Which one is watched.
    """
    days, until = policy.drift_window_max.days, day_start(today)
    watched = watched_inputs(profile)
    counts = {name: tallies.input_counts(name, until=today, days=days) for name in sorted(watched)}
    missing = [
        missing_input(
            name,
            profile.columns[name],
            counts[name],
            rows=profile.rows,
            policy=policy,
            alpha=policy.alpha / len(profile.columns),
            until=until,
            version=version,
        )
        for name in sorted(profile.columns)
    ]
    moved: dict[str, ColumnDrift] = {}
    for name, each in counts.items():
        # What is watched of one input shares its error: the severity takes the one that moved most.
        own = replace(policy, alpha=policy.alpha / watched[name].beside)
        drift = column_drift(watched[name].profile, each, own)
        if drift is not None:
            moved[name] = drift
    seasonal = {
        name
        for name, drift in moved.items()
        if _is_proven(drift)
        and _came_before(last_year.input_counts(name, until=today, days=drift.days), counts[name], drift, policy)
    }
    found = input_drift(moved, seasonal=seasonal, policy=policy, until=until, version=version)
    ours = _furthest({name: drift for name, drift in moved.items() if name not in seasonal}, watched)
    severity = drift_severity(ours, profile.importances, policy=policy, until=until, version=version)
    answers = tallies.prediction_counts(until=today, days=days)
    drift = column_drift(profile.prediction, answers, policy)
    prediction = None
    if drift is not None:
        then = last_year.prediction_counts(until=today, days=drift.days) if _is_proven(drift) else None
        is_usual = then is not None and _came_before(then, answers, drift, policy)
        prediction = prediction_drift(drift, is_seasonal=is_usual, policy=policy, until=until, version=version)
    others = _outputs(tallies, profile, last_year, today=today, policy=policy, version=version)
    return [each for each in (*missing, *found, severity, prediction, *others) if each is not None]


def _furthest(moved: Mapping[str, ColumnDrift], watched: Mapping[str, Watched]) -> dict[str, ColumnDrift]:
    """Of each input that which moved most of what is watched of it."""
    found: dict[str, ColumnDrift] = {}
    for name, drift in moved.items():
        column = watched[name].column
        if column not in found or _proven(found[column]) < _proven(drift):
            found[column] = drift
    return found


def _proven(drift: ColumnDrift) -> float:
    return 0.0 if drift.test is None else float(drift.test.lower)


def _outputs(
    tallies: Tallies, profile: Profile, last_year: LastYear, *, today: int, policy: MonitorPolicy, version: int
) -> tuple[Finding, ...]:
    """Which outputs beside the lead have moved."""
    days, moved, seasonal = policy.drift_window_max.days, dict[str, ColumnDrift](), set[str]()
    for name, column in sorted(profile.outputs.items()):
        counts = tallies.output_counts(name, until=today, days=days)
        drift = column_drift(column, counts, policy)
        if drift is None:
            continue
        moved[name] = drift
        if _is_proven(drift) and _came_before(
            last_year.output_counts(name, until=today, days=drift.days), counts, drift, policy
        ):
            seasonal.add(name)
    return output_drift(moved, seasonal=seasonal, policy=policy, until=day_start(today), version=version)


def _is_proven(drift: ColumnDrift) -> bool:
    return drift.test is not None and drift.test.alarm


def _came_before(then: NDArray[np.int64], now: NDArray[np.int64], drift: ColumnDrift, policy: MonitorPolicy) -> bool:
    return is_seasonal(now[-drift.days :], then, drift, policy)
