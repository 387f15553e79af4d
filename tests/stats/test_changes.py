"""Changes: detectors of either kind, of distributions, of harm, and from intervals that disagree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.bindetector import BinState, bin_limits, watch_bins
from kairos.stats.changes import mean_change
from kairos.stats.detector import BETS, change_point, e_cusum, e_sr, e_sr_of_counts
from kairos.stats.harmful import harmful_shift


def test_the_cusum_kind_follows_its_recursion() -> None:
    """M = L max(M, 1), averaged over the bets."""
    x, want, before = [0.5, 0.0, 0.7], [], np.zeros(len(BETS))
    for value in x:
        before = (1 + np.array(BETS) / 0.25 * (value - 0.25)) * np.maximum(before, 1)
        want.append(before.mean())
    assert np.exp(e_cusum(x, 0.25).log_m).tolist() == pytest.approx(want)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_the_cusum_kind_is_never_above_the_other(x: list[float]) -> None:
    """The best of several products is at most their sum."""
    assert (e_cusum(x, 0.3).log_m <= e_sr(x, 0.3).log_m + 1e-9).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_watching_for_a_fall_is_watching_the_mirror_image_for_a_rise(x: list[float]) -> None:
    """Both kinds, and the estimated change point."""
    mirror = [1 - value for value in x]
    for detector in (e_sr, e_cusum):
        assert np.allclose(detector(x, 0.7, side="less").log_m, detector(mirror, 1 - 0.7).log_m, atol=1e-9)
    assert change_point(x, 0.7, side="less") <= len(x) - 1


def test_the_change_point_is_near_the_change() -> None:
    """An error rate that goes from 10 % to 30 % at value 500: within 25 values for half of the streams."""
    rng = np.random.default_rng(1)
    off = []
    for _ in range(60):
        x = (rng.uniform(size=700) < np.r_[np.full(500, 0.1), np.full(200, 0.3)]) * 1.0
        alarm = e_sr(x, 0.12).first_alarm(10_000)
        if alarm is not None and alarm >= 500:
            off.append(abs(change_point(x[: alarm + 1], 0.12) - 500))
    assert len(off) >= 50
    assert np.median(off) <= 25
    with pytest.raises(ShapeMismatch, match="one series"):
        change_point([[0.1]], 0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_batches_of_one_are_single_values(batches: list[tuple[int, int]]) -> None:
    """A batch of one event or none gives the detector of single values; empty batches only let time pass."""
    x = [float(event) for events, others in batches for event in [1] * events + [0] * others]
    if x:
        assert np.allclose(e_sr_of_counts(x, np.ones(len(x)), 0.3).log_m, e_sr(x, 0.3).log_m)
        assert np.allclose(e_sr_of_counts(x, 1, 0.3, side="less").log_m, e_sr(x, 0.3, side="less").log_m)
    assert np.allclose(np.exp(e_sr_of_counts([0, 0], 0, 0.3).log_m), [1, 2])


def test_batches_add_up_over_workers() -> None:
    """Counts of two workers are added before the detector sees them; impossible counts are refused."""
    one, two = np.array([1, 2, 0]), np.array([0, 3, 1])
    assert np.array_equal(e_sr_of_counts(one + two, 40, 0.1).log_m, e_sr_of_counts(two + one, 40, 0.1).log_m)
    with pytest.raises(UsageError, match="more events"):
        e_sr_of_counts([3], [2], 0.1)
    with pytest.raises(UsageError, match="rate"):
        e_sr_of_counts([1], [2], 1.0)


def test_limits_of_bins_hold_the_reference_and_its_uncertainty() -> None:
    """Exact bounds, then the tolerance; a bin that was never seen, or that is all there is, has one side only."""
    limits = bin_limits([0, 1000], tolerance=0.0, alpha=0.05)
    assert limits.smallest.tolist()[0] == 0.0
    assert limits.largest[0] == pytest.approx(1 - 0.0125 ** (1 / 1000))
    assert limits.largest.tolist()[1] == 1.0
    wider = bin_limits([500, 500], tolerance=0.1)
    assert wider.largest[0] - bin_limits([500, 500], tolerance=0.0).largest[0] == pytest.approx(0.1)
    with pytest.raises(UsageError, match="reference"):
        bin_limits([0, 0])


def test_a_distribution_that_moves_is_seen_and_one_that_wanders_a_little_is_not() -> None:
    """Ten bins, 200 rows a flush: a fifth of the rows moves to the end; or shares move within the tolerance."""
    rng = np.random.default_rng(2)
    limits = bin_limits(rng.multinomial(20_000, np.full(10, 0.1)), tolerance=0.03)
    little = np.full(10, 0.1) + np.tile([0.01, -0.01], 5)
    moved = np.r_[np.full(8, 0.075), 0.2, 0.2]
    quiet = watch_bins(rng.multinomial(200, little, size=200).T, limits)
    assert quiet.first_alarm(1000) is None
    after = watch_bins(rng.multinomial(200, moved, size=20).T, limits).first_alarm(1000)
    assert after is not None
    assert after <= 5
    with pytest.raises(ShapeMismatch, match="bins"):
        watch_bins(np.ones((3, 4)), limits)


def test_bins_that_may_be_anything_never_alarm() -> None:
    """A tolerance of everything."""
    assert watch_bins(np.ones((2, 5)), bin_limits([5, 5], tolerance=1.0)).last == -math.inf


def test_harm_is_found_and_a_tolerated_rise_is_not() -> None:
    """Held-out rows at 10 %, tolerance 2 points: quiet at 12 %; 20 % and 30 % are seen as soon as the table says."""
    rng = np.random.default_rng(3)

    def alarms(rate: float, labels: int, claim: str) -> list[float]:
        found = []
        for _ in range(40):
            source, target = (rng.uniform(size=2000) < 0.10) * 1.0, (rng.uniform(size=labels) < rate) * 1.0
            at = harmful_shift(source, target, tolerance=0.02, claim=claim).alarm_at
            found.append(math.inf if at is None else at)
        return found

    for claim in ("average", "ever"):
        assert np.isfinite(alarms(0.12, 2000, claim)).sum() <= 3  # of 40; the promise is 5 % at the very most
        assert np.median(alarms(0.20, 2000, claim)) <= 650
        assert np.median(alarms(0.30, 600, claim)) <= 140


def test_a_limit_that_no_loss_can_exceed_never_alarms() -> None:
    """With three held-out rows the bound is the end of the range; nothing is proven, whatever comes."""
    found = harmful_shift([0.0, 1.0, 0.0], [1.0] * 500, tolerance=0.1)
    assert (found.alarm_at, found.log_e) == (None, 0.0)
    with pytest.raises(UsageError, match="claim"):
        harmful_shift([0.0] * 500, [0.0], tolerance=0.1, claim="sometimes")
    with pytest.raises(UsageError, match="tolerance"):
        harmful_shift([0.0], [0.0], tolerance=-0.1)


@pytest.mark.parametrize("step", [-0.3, 0.3])
def test_intervals_that_disagree_show_a_change_in_either_direction(step: float) -> None:
    """Nobody said what level is tolerated; the change is dated, and the bounds before and after lie apart."""
    rng = np.random.default_rng(4)
    x = np.clip(0.5 + np.r_[np.zeros(400), np.full(200, step)] + rng.normal(0, 0.1, 600), 0, 1)
    found = mean_change(x, lower=0, upper=1, alpha=0.001, every=10)
    assert found is not None
    assert 400 <= found.at <= 520
    assert abs(found.began - 400) <= 60
    below, above = (found.before, found.after) if step > 0 else (found.after, found.before)
    assert below[1] < above[0] + 0.1


def test_without_a_change_intervals_agree() -> None:
    """Forty streams of 300 values, a false alarm in 1,000 values or more on average: at most a few."""
    x = np.random.default_rng(5).uniform(size=(40, 300))
    assert sum(mean_change(one, lower=0, upper=1, alpha=0.001, every=10) is not None for one in x) <= 2
    with pytest.raises(UsageError, match="often"):
        mean_change([0.5], lower=0, upper=1, alpha=0.1, every=0)


@given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=1, max_size=12))
def test_a_stream_of_batches_needs_no_more_than_a_state(batches: list[list[int]]) -> None:
    """After each batch the state says what the whole path says; its size does not depend on how many there were."""
    limits = bin_limits([500, 0, 200], tolerance=0.02)
    state = BinState.of(limits)
    for n, batch in enumerate(batches, start=1):
        state = state.update(batch)
        assert state.log_m == pytest.approx(watch_bins(np.array(batches[:n]).T, limits).last, abs=1e-9)
    assert state.log_sr.shape == BinState.of(limits).log_sr.shape
    with pytest.raises(ShapeMismatch):
        state.update([1, 2])


def test_a_reference_that_allows_anything_is_never_left() -> None:
    """Nothing is watched, so the state stays at nothing."""
    assert BinState.of(bin_limits([5, 5], tolerance=1.0)).update([1, 9]).log_m == -math.inf
