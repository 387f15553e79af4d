"""Rules that others use to take a canary back: simplified, with the defaults that their documentation states.

Each takes counts per minute, arrays of shape (runs, minutes), and gives the minute at which it first takes a canary
back, or the number of minutes if it never does; shape (runs,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["RULES", "Minutes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minutes:
    """What was counted, minute by minute; shape (runs, minutes) each."""

    canary: Ints
    """Requests of the canary."""
    canary_bad: Ints
    champion: Ints
    champion_bad: Ints


def first(fires: NDArray[np.bool_]) -> Ints:
    """The first minute of each run at which something is so."""
    return np.where(fires.any(axis=1), fires.argmax(axis=1), fires.shape[1])


def z_test_every_minute(seen: Minutes) -> Ints:
    """A pooled test of two proportions on all counts so far, at 5 %, one-sided, looked at every minute."""
    a, n = seen.canary_bad.cumsum(axis=1), seen.canary.cumsum(axis=1)
    b, m = seen.champion_bad.cumsum(axis=1), seen.champion.cumsum(axis=1)
    pooled = (a + b) / (n + m)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / np.maximum(n, 1) + 1 / m), 1e-12))
    return first((a / np.maximum(n, 1) - b / m) / spread > stats.norm.ppf(0.95))


def success_below_99_five_times(seen: Minutes) -> Ints:
    """As Flagger: success under 99 % in a minute, and the fifth such minute rolls back."""
    failed = seen.canary_bad / np.maximum(seen.canary, 1) > 0.01
    return first(failed.cumsum(axis=1) >= 5)


def success_below_95_four_times(seen: Minutes) -> Ints:
    """As Argo Rollouts: success under 95 % in five minutes, more than three failures."""
    bad = _windows(seen.canary_bad, 5) / np.maximum(_windows(seen.canary, 5), 1)
    fires = (bad > 0.05).cumsum(axis=1) > 3
    return np.minimum(5 * (first(fires) + 1) - 1 + (first(fires) == fires.shape[1]), seen.canary.shape[1])


def mann_whitney_every_half_hour(seen: Minutes) -> Ints:
    """As Kayenta beside a baseline of the canary's size, its documented set-up.

    The minutes' error rates so far, p under 2 %, and the mean more than a quarter higher.
    """
    part = np.minimum(seen.canary / seen.champion, 1.0)
    baseline_bad = np.random.default_rng(1).binomial(seen.champion_bad, part)
    mine, theirs = (bad / np.maximum(seen.canary, 1) for bad in (seen.canary_bad, baseline_bad))
    minutes, found = mine.shape[1], np.full(len(mine), mine.shape[1])
    for end in range(30, minutes + 1, 30):
        p = stats.mannwhitneyu(mine[:, :end], theirs[:, :end], alternative="greater", axis=1).pvalue
        fires = (p < 0.02) & (mine[:, :end].mean(axis=1) > 1.25 * theirs[:, :end].mean(axis=1))
        found = np.where((found == minutes) & fires, end - 1, found)
    return found


def _windows(counts: Ints, length: int) -> Ints:
    """Sums of stretches that follow each other."""
    return counts.reshape(len(counts), -1, length).sum(axis=2)


RULES = {
    "z-test of all counts, every minute": z_test_every_minute,
    "success < 99 % in a minute, five times (as Flagger)": success_below_99_five_times,
    "success < 95 % in five minutes, four times (as Argo)": success_below_95_four_times,
    "Mann-Whitney every half hour (as Kayenta)": mann_whitney_every_half_hour,
}
