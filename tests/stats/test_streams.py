"""One value at a time: states that know the past in a few numbers give what the whole series gives."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.stats.betting import BettingState, betting_path
from kairos.stats.detector import DetectorState, change_point, e_cusum, e_sr
from kairos.stats.sequence import MeanState, mean_log_e_path, mean_path, mean_sequence

Side = Literal["greater", "less"]
SIDES: st.SearchStrategy[Side] = st.sampled_from(["greater", "less"])
VALUES = st.lists(st.floats(-2, 3), min_size=1, max_size=60)


@given(VALUES, SIDES)
def test_bets_one_by_one_are_those_of_the_whole_series(x: list[float], side: Side) -> None:
    """After each value; on either side."""
    path = betting_path(x, null_mean=0.4, lower=-2, upper=3, side=side)
    state = BettingState(null_mean=0.4, lower=-2, upper=3, side=side)
    for n, value in enumerate(x, start=1):
        state = state.update(value)
        assert state.n == n
        assert state.log_e == pytest.approx(path[n - 1], abs=1e-9)


@given(VALUES)
def test_bounds_one_by_one_are_those_of_the_whole_series(x: list[float]) -> None:
    """Mean and both bounds; and the quick test says whether a limit is outside of them."""
    state = MeanState(lower=-2, upper=3)
    for value in x:
        state = state.update(value)
    whole = mean_sequence(x, lower=-2, upper=3, alpha=0.1)
    found = state.bounds(alpha=0.1)
    assert (found.n, found.mean, found.lower, found.upper) == pytest.approx(
        (whole.n, whole.mean, whole.lower, whole.upper), abs=1e-9
    )
    for limit in (found.upper + 0.01, found.upper - 0.01):
        if found.mean < limit < 3:
            assert (state.log_e_below(limit, alpha=0.1) >= math.log(2 / 0.1)) == (limit > found.upper)
    for limit in (found.lower + 0.01, found.lower - 0.01):
        if -2 < limit < found.mean:
            assert (state.log_e_above(limit, alpha=0.1) >= math.log(2 / 0.1)) == (limit < found.lower)


@given(VALUES, SIDES)
def test_detectors_one_by_one_are_those_of_the_whole_series(x: list[float], side: Side) -> None:
    """e-SR, e-CUSUM and the estimated change point, after each value."""
    state = DetectorState(tolerated=0.4, lower=-2, upper=3, side=side)
    both = [detector(x, 0.4, lower=-2, upper=3, side=side).log_m for detector in (e_sr, e_cusum)]
    for n, value in enumerate(x, start=1):
        state = state.update(value)
        assert (state.log_sr, state.log_cusum) == pytest.approx((both[0][n - 1], both[1][n - 1]), abs=1e-9)
    began = change_point(x, 0.4, lower=-2, upper=3, side=side)
    assert began == state.began or max(state.cusum) < 1e-6  # where nothing has been won, any place is as good


def test_evidence_for_many_series_is_that_of_each() -> None:
    """Two dimensions are only a quicker way; and bounds leave out exactly what has evidence against it."""
    x = np.random.default_rng(0).uniform(size=(3, 50))
    truth = np.linspace(0.2, 0.6, 50)
    together = mean_log_e_path(x, truth, lower=0, upper=1, alpha=0.1)
    bets = betting_path(x, null_mean=0.5, lower=0, upper=1)
    for one, log_e, bet in zip(x, together, bets, strict=True):
        assert np.allclose(betting_path(one, null_mean=0.5, lower=0, upper=1), bet)
        _, lower, upper = mean_path(one, lower=0, upper=1, alpha=0.1)
        assert ((log_e >= math.log(20)) == ((truth < lower) | (truth > upper))).all()


def test_streams_refuse_what_cannot_be_a_value() -> None:
    """NaN and values outside the range; nothing is quietly cut but what lies beyond a detector's far end."""
    for state in (BettingState(null_mean=0.5, lower=0, upper=1), MeanState(lower=0, upper=1)):
        for value in (math.nan, 1.5, -0.1):
            with pytest.raises(UsageError, match="outside its range"):
                state.update(value)
    with pytest.raises(UsageError, match="null mean"):
        BettingState(null_mean=1.0, lower=0, upper=1)
    for value in (math.nan, -0.1):
        with pytest.raises(UsageError, match="cannot be watched"):
            DetectorState(tolerated=0.5).update(value)
    assert DetectorState(tolerated=0.5).update(7.0) == DetectorState(tolerated=0.5).update(1.0)
    with pytest.raises(UsageError, match="tolerated"):
        DetectorState(tolerated=1.5).update(1.0)
    assert math.isnan(MeanState(lower=0, upper=1).bounds(alpha=0.05).mean)
