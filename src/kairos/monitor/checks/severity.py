"""Do inputs that moved matter to the model? Their drift, weighted by how much it relies on each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from kairos.monitor.checks.drift import ColumnDrift
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.values import Window

__all__ = ["drift_severity"]

_MATTERS = 1.0
"""As much as if every input were twice as far from training as is worth a line."""

_SHOWN = 3


def drift_severity(
    columns: Mapping[str, ColumnDrift],
    importances: Mapping[str, float],
    *,
    policy: MonitorPolicy,
    until: datetime,
    version: int,
) -> Finding | None:
    """Finds that inputs which the model relies on have moved far.

    The severity is ``sum of importance * max(0, lower bound of the index - drift_info) / drift_info``.

    Args:
        columns: Inputs that have a verdict, moved or not, by name; those that follow the season are left out.
        importances: How much the model relies on each input; they add up to 1.
        policy: ``drift_info``.
        until: End of the last day looked at.
        version: Which one is watched.

    Returns:
        ``warn`` from a severity of 1 on; ``None`` below, and where nobody knows what the model relies on.
    """
    eps = policy.drift_info
    beyond = {
        name: importances.get(name, 0.0) * (drift.test.lower - eps) / eps
        for name, drift in columns.items()
        if drift.test is not None and drift.test.lower > eps
    }
    severity = sum(beyond.values())
    if severity < _MATTERS:
        return None
    worst = sorted(beyond, key=lambda name: (-beyond[name], name))[:_SHOWN]
    told = ", ".join(
        f"{name!r} (importance {importances[name]:.0%}, PSI at least {_lower(columns[name]):.2f})" for name in worst
    )
    days = max(columns[name].days for name in beyond)
    return Finding(
        check="drift_severity",
        level="warn",
        column=None,
        value=severity,
        lower=None,
        upper=None,
        threshold=_MATTERS,
        window=Window(until - timedelta(days=days), until),
        rows=max(columns[name].rows for name in beyond),
        sentence=f"Inputs that the model relies on have moved since training, severity {severity:.1f}: {told}.",
        version=version,
    )


def _lower(drift: ColumnDrift) -> float:
    return 0.0 if drift.test is None else float(drift.test.lower)
