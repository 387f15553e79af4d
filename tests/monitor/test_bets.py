"""Error rates and speed of the bets on daily differences, by simulation; ``sd`` is in units of the scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.monitor.bets import mean_log_e, mean_lower, mean_upper

ALPHA = 0.05


def steps(rng: np.random.Generator, runs: int, days: int, alike: float) -> NDArray[np.float64]:
    """Daily values of mean 0 and standard deviation 1, each like the one before to that degree, shape (runs, days)."""
    x = rng.normal(size=(runs, days))
    for day in range(1, days):
        x[:, day] = alike * x[:, day - 1] + math.sqrt(1 - alike**2) * x[:, day]
    return x


def ever(x: NDArray[np.float64]) -> float:
    """Share of runs whose e-value reaches 1 / alpha at any of the daily looks."""
    need = math.log(1 / ALPHA)
    return float(np.mean([any(mean_log_e(run[:n], scale=1.0) >= need for n in range(1, len(run) + 1)) for run in x]))


@pytest.mark.parametrize("sd", [0.2, 0.5, 0.75])
def test_a_harmless_difference_is_seldom_called_harm(sd: float) -> None:
    """500 runs of six weeks without a difference, looked at every day: at most 5 % (+ 5 errors) ever call harm."""
    rate = ever(sd * steps(np.random.default_rng(1), 500, 42, 0.0))
    assert rate <= ALPHA + 5 * math.sqrt(ALPHA * (1 - ALPHA) / 500)


def test_days_that_resemble_each_other_a_little_do_no_damage() -> None:
    """A correlation of 0.3 between neighbouring days, at a standard deviation of a third of the scale: still 5 %."""
    rate = ever(steps(np.random.default_rng(2), 500, 42, 0.3) / 3)
    assert rate <= ALPHA + 5 * math.sqrt(ALPHA * (1 - ALPHA) / 500)


def test_a_mean_that_moves_is_judged_by_its_average_so_far() -> None:
    """Worse by half the scale for a week after a week that was better by as much: on average never worse, no alarm."""
    rng = np.random.default_rng(3)
    week = np.repeat([-0.5, 0.5, -0.5, 0.5], 7)
    rate = ever(week + 0.2 * rng.normal(size=(300, 28)))
    assert rate <= ALPHA + 5 * math.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_bounds_hold_at_every_look() -> None:
    """200 skewed runs, looked at every few days: each bound ever misses the true mean in at most 5 % (+ 5 errors)."""
    x = 0.4 * (np.random.default_rng(4).exponential(size=(200, 28)) - 1) + 0.1
    low = np.mean([any(mean_lower(r[:n], scale=1.0, alpha=ALPHA) > 0.1 for n in range(3, 29, 5)) for r in x])
    high = np.mean([any(mean_upper(r[:n], scale=1.0, alpha=ALPHA) < 0.1 for n in range(3, 29, 5)) for r in x])
    assert max(low, high) <= ALPHA + 5 * math.sqrt(ALPHA * (1 - ALPHA) / 200)


def test_a_difference_as_large_as_the_scale_is_proven_within_a_week() -> None:
    """Better by nine tenths of the scale, with a daily standard deviation of four tenths: 9 in 10 within 10 days."""
    x = -0.9 + 0.4 * steps(np.random.default_rng(5), 200, 10, 0.4)
    proven = [next((n for n in range(1, 11) if mean_upper(r[:n], scale=1.0, alpha=ALPHA) < 0), 99) for r in x]
    assert np.median(proven) <= 7
    assert np.mean(np.array(proven) <= 10) >= 0.9


def test_a_disaster_does_not_hide_behind_the_cut() -> None:
    """Thirty days a little better and one a hundred times worse: the bound rises by what was cut off."""
    days = np.full(30, -0.3)
    assert mean_upper(days, scale=1.0, alpha=ALPHA) < 0
    assert mean_upper(np.append(days, 100.0), scale=1.0, alpha=ALPHA) > 3


def test_a_great_gain_does_not_hide_behind_the_cut() -> None:
    """Thirty days a little worse and two a great deal better: better on average, and no proof of harm."""
    days = np.full(30, 0.3)
    assert mean_log_e(days, scale=1.0) > math.log(1 / ALPHA)
    assert mean_log_e(np.append(days, [-6.0, -6.0]), scale=1.0) < 0


def test_order_does_not_matter_and_workers_add_up() -> None:
    """Evidence is a function of the values as a set; a bound agrees with the e-value about every null."""
    x = np.random.default_rng(6).normal(0.3, 1, size=40)
    assert mean_log_e(x, scale=1.0) == pytest.approx(mean_log_e(np.sort(x), scale=1.0))
    low = mean_lower(x, scale=1.0, alpha=ALPHA)
    assert (
        mean_log_e(x, scale=1.0, null_mean=low - 1e-6)
        >= math.log(1 / ALPHA)
        > mean_log_e(x, scale=1.0, null_mean=low + 1e-6)
    )


def test_without_days_nothing_is_known() -> None:
    """No evidence, and bounds that exclude nothing."""
    none = np.empty(0)
    assert mean_log_e(none, scale=1.0) == pytest.approx(0.0)
    assert (mean_lower(none, scale=1.0, alpha=ALPHA), mean_upper(none, scale=1.0, alpha=ALPHA)) == (-math.inf, math.inf)
