"""From rows and policy to evidence: every number that a verdict may rest on, and nothing that identifies a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.compare import Comparer
from kairos.gates.evidence import CheckResult, GateEvidence, PackageCost
from kairos.gates.grouping import compare_groups
from kairos.gates.losses import loss_named
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.gates.searching import search_slices
from kairos.stats.bootstrap import Statistic
from kairos.stats.comparison import Comparison, unknown
from kairos.stats.dependence import Dependence, spread
from kairos.stats.reliability import Calibration, calibrate
from kairos.values import plain

__all__ = ["measure"]

_TIED = 1.5
"""A design effect above which a dependence that nobody declared is told."""


def measure(
    rows: GateRows,
    policy: GatePolicy,
    *,
    functions: Mapping[str, Statistic] | None = None,
    checks: tuple[CheckResult, ...] = (),
    cost: PackageCost | None = None,
    rank: int = 1,
    rows_per_day: float | None = None,
    label_delay_days: float = 0.0,
    as_of: datetime | None = None,
    incomparable: str | None = None,
) -> GateEvidence:
    """Measures a version on fresh rows.

    Args:
        rows: Without a champion's answers the version is compared with the simple baseline.
        policy: What will be asked.
        functions: The project's own metrics, by name.
        checks: What came of the project's own checks.
        cost: What the package costs, if that was measured.
        rank: The how-manyeth version this is that is judged on these rows.
        rows_per_day: How many rows with a known truth a day brings; ``None``: as the moments of the rows say.
        label_delay_days: How late the truth is known.
        as_of: When it is judged.
        incomparable: Why the champion cannot be asked about these rows.

    Raises:
        ShapeMismatch: columns are not of one length.
        UsageError: a column that the policy names is missing, or a metric does not fit the rows.
        SettingsError: a column that the policy names has more than 50 levels.
    """
    oldest, freshest = rows.span
    base = GateEvidence(
        baseline="champion" if rows.champion is not None else "simple baseline",
        primary=policy.primary.metric,
        metrics={},
        checks=checks,
        cost=cost,
        rank=rank,
        rows_digest=rows.digest,
        oldest=oldest,
        freshest=freshest,
        rows_per_day=rows_per_day if rows_per_day is not None else _pace(rows),
        label_delay_days=label_delay_days,
        as_of=plain(as_of),
        incomparable=incomparable,
    )
    named = {*policy.slices, *(name.partition("=")[0] for name in policy.protected), *policy.groups}
    levels = {name: rows.levels(name) for name in sorted(named)}
    against = rows.champion if rows.champion is not None else rows.simple
    bad, bad_other = _not_numbers(rows.challenger), _not_numbers(against)
    if bad or bad_other or against is None:
        nothing = {rule.metric: unknown(math.nan, math.nan, math.nan, n=rows.n) for rule in policy.rules}
        mine = f"{bad} of {rows.n} of its answers are not numbers" if bad else None
        other = f"{bad_other} of {rows.n} of the {base.baseline}'s answers are not numbers"
        return replace(base, metrics=nothing, unusable=mine, incomparable=other if bad_other else incomparable)
    compare = Comparer(rows=rows, policy=policy, functions=functions or {})
    metrics = {rule.metric: compare(policy.known(rule.metric), against, rows.challenger) for rule in policy.rules}
    primary = policy.known(policy.primary.metric)
    simple = None
    if rows.champion is not None and rows.simple is not None and np.isfinite(rows.simple).all():
        simple = compare(primary, rows.simple, rows.challenger, part="simple baseline")
    sliced = [name for name in levels if name in policy.slices or any(p.startswith(name) for p in policy.protected)]
    slices = {
        f"{name}={level}": compare(primary, against, rows.challenger, levels[name] == level, f"{name}={level}")
        for name in sliced
        for level in np.unique(levels[name]).tolist()
    }
    return replace(
        base,
        metrics=metrics,
        simple=simple,
        slices=slices,
        search=search_slices(rows, policy, against),
        calibration=_calibration(rows, policy),
        groups=compare_groups(rows, policy, levels, against if rows.champion is not None else None),
        undeclared=_undeclared(rows, policy, against, metrics[policy.primary.metric]),
    )


def _not_numbers(answers: NDArray[Any] | None) -> int:
    if answers is None:
        return 0
    bad = ~np.isfinite(answers)
    return int((bad if bad.ndim == 1 else bad.any(axis=1)).sum())


def _calibration(rows: GateRows, policy: GatePolicy) -> Calibration | None:
    """Of answers that are numbers of the target's kind, or chances; classes and several numbers have none."""
    if rows.is_wide or rows.truth.dtype.kind not in "iufb" or rows.n == 0:
        return None
    return calibrate(
        rows.truth, rows.challenger, alpha=policy.alpha, dependence=rows.dependence, probability=rows.is_chance
    )


def _undeclared(rows: GateRows, policy: GatePolicy, against: NDArray[Any], whole: Comparison) -> str | None:
    """What seems to tie rows together, although the settings do not name it."""
    if rows.time_column is not None and whole.design_effect > _TIED:
        return f"the settings name no time; {rows.time_column!r} was taken as the moments of the rows"
    loss = loss_named(policy.loss)
    difference = loss(rows.truth, against) - loss(rows.truth, rows.challenger)
    for name, values in rows.names:
        effect = spread(difference, Dependence(entities=values)).design_effect
        if effect > _TIED:
            return (
                f"rows of one {name!r} are alike ({effect:.1f} of them count as one), which was not reckoned with: "
                f'write entity = "{name}" in the settings'
            )
    return None


def _pace(rows: GateRows) -> float | None:
    """Rows a day, from the first moment to the last; ``None`` if these do not tell."""
    if rows.times is None or rows.n < 2 or rows.times.dtype.kind != "M":
        return None
    days = float((rows.times.max() - rows.times.min()) / np.timedelta64(1, "s")) / 86400
    return (rows.n - 1) / days if days > 0 else None
