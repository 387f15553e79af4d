"""Are predictions too high or too low on average, by more than matters?"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.checks.unlabelled import unlabelled_sentence
from kairos.monitor.days import Days
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.betting import betting_log_e
from kairos.values import Window

__all__ = ["bias_interval", "prediction_bias"]

_SPAN = 3.0
"""A day's mean error beyond this many usual errors counts as this many."""


def prediction_bias(
    days: Days,
    *,
    label_level: float,
    usual_error: float,
    since: datetime,
    policy: MonitorPolicy,
    version: int,
    unlabelled: NDArray[np.float64] | None = None,
    target: str | None = None,
) -> Finding | None:
    """Finds that predictions are off by more than the tolerated share of the label level.

    Intervals hold at every look: while the expected error of each day, given the past, is tolerated, the chance of ever
    alarming is at most ``alpha``.

    Args:
        days: Mean of prediction minus label of each day since the version went live.
        label_level: Mean size of the labels over the same rows, in their unit.
        usual_error: Mean absolute error on the holdout, same unit; sets the range of a day's error.
        since: When the version went live.
        policy: ``bias_tolerance`` and ``alpha``.
        version: Which one is watched.
        unlabelled: Share of the rows of each day that have no label, shape (n,); with the policy ``missing`` these
            count as the worst case on either side.
        target: Which of several; ``None``: there is one.

    Returns:
        ``alarm`` if the interval lies outside the tolerance, else ``None``.
    """
    tolerated, bound = policy.bias_tolerance * abs(label_level), _SPAN * usual_error
    if days.means.size == 0 or not 0 < tolerated < bound:
        return None
    errors = np.clip(days.means, -bound, bound)
    none = np.zeros_like(errors) if unlabelled is None or policy.unlabelled != "missing" else unlabelled
    least, most = errors * (1 - none) - bound * none, errors * (1 - none) + bound * none
    need = math.log(2 / policy.alpha)
    is_high = betting_log_e(least, null_mean=tolerated, lower=-bound, upper=bound) >= need
    is_low = betting_log_e(most, null_mean=-tolerated, lower=-bound, upper=bound, side="less") >= need
    if not is_high and not is_low:
        return None
    lower = bias_interval(least, bound=bound, alpha=policy.alpha)[0]
    upper = bias_interval(most, bound=bound, alpha=policy.alpha)[1]
    lower, upper = (max(lower, tolerated), upper) if is_high else (lower, min(upper, -tolerated))
    nearest = lower if is_high else -upper
    clipped, of = int((np.abs(days.means) > bound).sum()), "" if target is None else f" of {target!r}"
    return Finding(
        check="prediction_bias",
        level="alarm",
        column=target,
        value=float(errors.mean()),
        lower=lower,
        upper=upper,
        threshold=tolerated,
        window=Window(since, max(since, days.ends[-1])),
        rows=int(days.rows.sum()),
        sentence=(
            f"Predictions{of} are too {'high' if is_high else 'low'} by at least {nearest:.4g} on average "
            f"({1 - policy.alpha:.0%} at any number of looks), above the {tolerated:.4g} tolerated "
            f"({policy.bias_tolerance:.0%} of the mean label), over {days.means.size} days"
            f"{f', {clipped} of them cut to {bound:.4g}' if clipped else ''}."
            f"{unlabelled_sentence(days, unlabelled, policy)}"
        ),
        version=version,
    )


def bias_interval(errors: NDArray[np.float64], *, bound: float, alpha: float) -> tuple[float, float]:
    """Bounds for a mean error that stays the same from day to day, right at every number of days with chance 1 - alpha.

    Each bound is where a test by betting stops rejecting, at ``alpha / 2``.

    Args:
        errors: Mean error per day, shape (n,), within plus and minus ``bound``.
        bound: Largest possible size of an error, known beforehand.
        alpha: Chance that the bounds ever miss, in (0, 1).

    Examples:
        >>> [round(x, 2) for x in bias_interval(np.full(60, 0.5), bound=1.0, alpha=0.05)]
        [0.32, 0.56]

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), Theorem 3.
    """
    if errors.size == 0:
        return -bound, bound
    need, mean = math.log(2 / alpha), float(errors.mean())

    def is_refused(null: float, side: Literal["greater", "less"]) -> bool:
        return betting_log_e(errors, null_mean=null, lower=-bound, upper=bound, side=side) >= need

    inside = 0.999999 * bound
    return (
        _edge(-inside, min(max(mean, -inside), inside), lambda m: is_refused(m, "greater"), -bound),
        _edge(inside, min(max(mean, -inside), inside), lambda m: is_refused(m, "less"), bound),
    )


def _edge(outside: float, kept: float, is_refused: Callable[[float], bool], none: float) -> float:
    """The last refused value from ``outside`` towards ``kept``, by bisection; ``none`` if not even the first is."""
    if not is_refused(outside):
        return none
    for _ in range(30):
        middle = (outside + kept) / 2
        outside, kept = (middle, kept) if is_refused(middle) else (outside, middle)
    return outside
