"""The line that puts answers right: only what is proven is changed, and what no line mends is told."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from kairos.errors import UsageError
from kairos.stats.recalibration import Recalibration, fit_recalibration

Floats = NDArray[np.float64]
N, DAYS = 600, np.arange(600) // 24


def numbers(level: float, slope: float, seed: int) -> tuple[Floats, Floats]:
    """What a model said, and truths around a line of it that differ by day."""
    random = np.random.default_rng(seed)
    said = random.uniform(50.0, 350.0, N)
    return said, level + slope * said + random.normal(0.0, 20.0, N) + random.normal(0.0, 5.0, 25)[DAYS]


def test_a_level_that_is_off_is_shifted_and_the_slope_left_alone() -> None:
    """In 40 worlds: the slope is changed in few of them, and the level is found to within its noise."""
    found = [fit_recalibration(*numbers(60.0, 1.0, seed), DAYS) for seed in range(40)]
    assert sum(one is not None and one.slope == 1.0 for one in found) >= 34
    shifts = [one.level for one in found if one is not None and one.slope == 1.0]
    assert abs(float(np.mean(shifts)) - 60.0) < 1.0
    assert max(abs(shift - 60.0) for shift in shifts) < 5.0


def test_a_slope_that_is_off_is_proven_and_changed() -> None:
    """The line is found."""
    found = fit_recalibration(*numbers(10.0, 1.4, 1), DAYS)
    assert found is not None
    assert found.slope == pytest.approx(1.4, abs=0.05)
    assert found.level == pytest.approx(10.0, abs=10.0)


def test_the_absolute_error_asks_for_the_middle() -> None:
    """A few truths far above move the mean, not the median."""
    said, truth = numbers(60.0, 1.0, 2)
    truth[::20] += 2_000.0
    middle = fit_recalibration(said, truth, DAYS, is_median=True)
    mean = fit_recalibration(said, truth, DAYS)
    assert middle is not None
    assert mean is not None
    assert middle.level == pytest.approx(60.0, abs=8.0)
    assert mean.level > 120.0


def chances(level: float, slope: float, seed: int) -> tuple[Floats, Floats]:
    """What a model said, and truths whose log-odds are a line of its own."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1.0, 1.5, 4_000)
    return special.expit(odds), (random.random(4_000) < special.expit(level + slope * odds)).astype(float)


@pytest.mark.parametrize(("level", "slope"), [(1.0, 1.0), (0.0, 0.5), (-0.5, 1.6)])
def test_chances_are_put_right_between_log_odds(level: float, slope: float) -> None:
    """Another share of ones shifts them, too sure or too timid a model is stretched."""
    said, truth = chances(level, slope, 3)
    found = fit_recalibration(said, truth, np.arange(4_000) // 160, scale="log_odds")
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=0.12)
    assert found.level == pytest.approx(level, abs=0.12)
    assert found(said).mean() == pytest.approx(truth.mean(), abs=1e-9)
    assert (found(said) > 0).all()
    assert (found(said) < 1).all()


def test_what_no_line_mends_has_none() -> None:
    """Two days, one class, or a model that says the contrary."""
    said, truth = numbers(60.0, 1.0, 4)
    assert fit_recalibration(said[:48], truth[:48], DAYS[:48]) is None
    assert fit_recalibration(said, 400.0 - truth, DAYS) is None
    ones = np.ones(N)
    assert fit_recalibration(said / 400.0, ones, DAYS, scale="log_odds") is None
    chance, happened = chances(0.0, 1.0, 5)
    assert fit_recalibration(chance, 1.0 - happened, np.arange(4_000) // 160, scale="log_odds") is None


def test_a_model_that_always_says_the_same_is_shifted() -> None:
    """There is no slope to learn."""
    found = fit_recalibration(np.full(N, 200.0), numbers(0.0, 1.0, 6)[1], DAYS)
    assert found is not None
    assert found.slope == 1.0
    share = fit_recalibration(np.full(N, 0.2), (np.arange(N) % 2).astype(float), DAYS, scale="log_odds")
    assert share is not None
    assert share([0.2])[0] == pytest.approx(0.5)


def test_chances_have_to_be_chances() -> None:
    """Refused with what is accepted."""
    with pytest.raises(UsageError, match="cannot be put right"):
        fit_recalibration(np.full(N, 2.0), np.zeros(N), DAYS, scale="log_odds")


def test_it_says_what_it_does() -> None:
    """For people."""
    assert Recalibration(level=12.34).words == "+12.34"
    assert Recalibration(level=-0.4, slope=0.5, scale="log_odds").words == "log-odds 0.5 x -0.4"
