"""Is the live loss above what its reference allows? A detector over days whose false alarms are rare by design."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.checks.unlabelled import unlabelled_sentence
from kairos.monitor.days import Days
from kairos.monitor.findings import Finding
from kairos.monitor.policy import MonitorPolicy
from kairos.stats.dependence import Dependence
from kairos.stats.detector import e_sr
from kairos.stats.paired import paired_mean
from kairos.values import Window

__all__ = ["LossReference", "loss_reference", "quality"]

_BETS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""In units of 1 / tolerated loss; the largest sees a doubled loss within about two weeks of days."""

_CAP_QUANTILE = 0.999
_ONSET_BET = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReference:
    """What the version's loss was on its holdout."""

    mean: float
    upper: float
    """The true mean is below this with chance ``1 - alpha``, rows taken as a time series."""
    cap: float
    """99.9 % quantile of the loss; a day's mean above it counts as this."""
    rows: int


def loss_reference(losses: NDArray[np.float64], *, alpha: float = 0.05) -> LossReference | None:
    """Describes the losses of a holdout, in order of time; ``None`` if they cannot serve as a measure.

    That is so with fewer than two rows, and when every loss is 0.

    Args:
        losses: Loss per row, shape (n,), 0 or more, finite.
        alpha: Chance that the true mean is above ``upper``.

    Examples:
        >>> reference = loss_reference(np.array([1.0, 3.0] * 100))
        >>> reference.mean, reference.cap
        (2.0, 3.0)
    """
    if losses.size < 2 or not losses.max() > 0:
        return None
    in_time = Dependence(times=np.arange(losses.size))
    bounds = paired_mean(losses, np.zeros_like(losses), alpha=alpha, dependence=in_time)
    return LossReference(
        mean=bounds.difference,
        upper=bounds.upper,
        cap=float(np.quantile(losses, _CAP_QUANTILE)),
        rows=losses.size,
    )


def quality(
    days: Days,
    reference: LossReference,
    *,
    loss: str,
    policy: MonitorPolicy,
    version: int,
    unlabelled: NDArray[np.float64] | None = None,
) -> Finding | None:
    """Finds that the mean loss rose above its reference by more than the tolerance.

    Watches for ever: while the expected loss of each day, given the past, is tolerated, an alarm comes on average after
    at least ``false_alarm_days`` days with labels. The tolerated loss is the reference's upper bound plus the
    tolerance, so a holdout of few rows makes the detector more patient, not more nervous.

    Args:
        days: Mean loss of each day since the version went live.
        reference: Loss on the holdout.
        loss: Its name, for the sentence.
        policy: ``quality_tolerance`` and ``false_alarm_days``.
        version: Which one is watched.
        unlabelled: Share of the rows of each day that have no label, shape (n,); with the policy ``missing`` these
            count as rows without a loss, so the alarm holds whatever their labels are.

    Returns:
        ``alarm`` while the detector is at its threshold, ``warn`` if it was there before and the loss came down again,
        else ``None``.

    References:
        Shin, Ramdas & Rinaldo (NEJSDS 2024), e-SR with a mixture of bets.
    """
    if days.means.size == 0:
        return None
    tolerated = reference.upper * (1 + policy.quality_tolerance)
    cap = max(reference.cap, 2 * tolerated)
    means = days.means if unlabelled is None or policy.unlabelled != "missing" else days.means * (1 - unlabelled)
    path = e_sr(means, tolerated, lower=0.0, upper=cap, bets=_BETS)
    first = path.first_alarm(policy.false_alarm_days)
    if first is None:
        return None
    is_now = bool(path.log_m[-1] >= math.log(policy.false_alarm_days))
    last = days.means.size - 1 if is_now else first
    start = _onset(np.minimum(means[: last + 1], cap) / tolerated)
    rows = days.rows[start : last + 1]
    mean = float(np.average(means[start : last + 1], weights=rows))
    window = Window(days.ends[start] - timedelta(days=1), days.ends[last])
    came_down = "" if is_now else " It has come down since."
    return Finding(
        check="quality",
        level="alarm" if is_now else "warn",
        column=None,
        value=mean,
        lower=None,
        upper=None,
        threshold=tolerated,
        window=window,
        rows=int(rows.sum()),
        sentence=(
            f"The mean {loss.replace('_', ' ')} rose to {mean:.4g} from {window.start:%Y-%m-%d} on, above the "
            f"{tolerated:.4g} tolerated (holdout: {reference.mean:.4g}, at most {reference.upper:.4g}, plus "
            f"{policy.quality_tolerance:.0%}); first seen with the day that ended {days.ends[first]:%Y-%m-%d}; a false "
            f"alarm comes at most once in {policy.false_alarm_days:.0f} days on average.{came_down}"
            f"{unlabelled_sentence(days, unlabelled, policy)}"
        ),
        version=version,
    )


def _onset(ratios: NDArray[np.float64]) -> int:
    """Index of the first day of the change: where the evidence that ends at the last day begins."""
    evidence = np.concatenate([[0.0], np.cumsum(np.log1p(_ONSET_BET * (ratios - 1)))])
    return int(np.argmin(evidence[:-1]))
