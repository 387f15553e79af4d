"""How sure a mean is when rows depend on each other: in time, within an entity, or both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch
from kairos.stats.dependence import INDEPENDENT, Dependence, spread

GOLDEN = (math.sqrt(5) - 1) / 2


def sequence(n: int = 200) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Numbers that look random and are the same everywhere."""
    i = np.arange(1, n + 1)
    return np.asarray(np.round((i * math.sqrt(2)) % 1 - (i * math.sqrt(3)) % 1 + 0.1, 3))


def test_independent_rows_have_the_standard_error_of_a_mean() -> None:
    """And as many degrees of freedom as rows, less one."""
    x = sequence()
    found = spread(x)
    assert found.se == pytest.approx(x.std(ddof=1) / math.sqrt(x.size))
    assert (found.df, found.design_effect, found.block_length) == (199.0, 1.0, 1.0)


def test_copies_of_rows_in_one_block_are_no_new_evidence() -> None:
    """Ten copies of each row, declared as one entity, are as sure as the single rows."""
    x = sequence(60)
    copies = spread(np.repeat(x, 10), Dependence(entities=np.repeat(np.arange(60), 10)))
    assert copies.se == pytest.approx(spread(x).se)
    assert copies.design_effect == pytest.approx(10, rel=0.02)
    assert (copies.df, copies.block_length) == (59.0, 10.0)


def test_blocks_have_the_cluster_robust_error_of_statsmodels() -> None:
    """Pinned: statsmodels' cluster covariance of a mean, but for its factor (n - 1) / (n - k); a wave of 40 rows."""
    x = np.sin(np.arange(200) / 6.5) + sequence()
    blocks = np.arange(200) // 10
    residual = x - x.mean()
    sums = np.bincount(blocks, weights=residual)
    assert spread(x, Dependence(entities=blocks)).se == pytest.approx(math.sqrt((sums**2).sum() * 20 / 19) / 200)
    assert spread(x, Dependence(entities=blocks)).se > 2 * spread(x).se


def test_neighbours_in_time_widen_and_their_order_is_not_that_of_the_rows() -> None:
    """What moves slowly counts for less than its number of rows; shuffled rows with their moments are the same rows."""
    rng = np.random.default_rng(3)
    slow = np.convolve(rng.normal(0, 1, 420), np.ones(20) / 20, mode="valid")[:400]
    times = np.arange(400)
    found = spread(slow, Dependence(times=times))
    assert found.design_effect > 3
    assert found.df < 40
    mix = rng.permutation(400)
    assert spread(slow[mix], Dependence(times=times[mix])).se == pytest.approx(found.se)


@pytest.mark.parametrize(("phi", "fewest", "most"), [(0.0, 20, 38), (0.6, 12, 38), (0.9, 4, 12)])
def test_the_more_neighbours_are_alike_the_fewer_frequencies_are_believed(phi: float, fewest: int, most: int) -> None:
    """Of 336 hours: all 38 cosines where nothing is seen to depend, few where it lasts."""
    rng = np.random.default_rng(4)
    counts = []
    for _ in range(50):
        x = np.zeros(400)
        for t in range(1, 400):
            x[t] = phi * x[t - 1] + rng.standard_normal()
        counts.append(spread(x[64:], Dependence(times=np.arange(336))).df)
    assert fewest <= np.median(counts) <= most


def test_a_level_that_changes_day_by_day_is_seen_although_neighbours_tell_little() -> None:
    """The lowest frequencies carry more than those above them: 14 days are 14 numbers, not 336."""
    rng = np.random.default_rng(5)
    days = np.repeat(rng.standard_normal((200, 14)), 24, axis=1) + 2 * rng.standard_normal((200, 336))
    true = days.mean(axis=1).std()
    found = [spread(x, Dependence(times=np.arange(336))).se for x in days]
    assert np.median(found) == pytest.approx(true, rel=0.2)


def test_two_ways_of_dependence_add_up() -> None:
    """Users who differ for ever, and hours that are good or bad for all: neither alone knows the half of it."""
    rng = np.random.default_rng(6)
    who, when = np.repeat(np.arange(30), 50), np.tile(np.arange(50), 30)
    x = rng.standard_normal(30)[who] + rng.standard_normal(50)[when] + rng.standard_normal(1500)
    one = spread(x, Dependence(times=when)).se, spread(x, Dependence(entities=who)).se
    both = spread(x, Dependence(times=when, entities=who))
    shared = spread(x).se
    assert both.se**2 == pytest.approx(one[0] ** 2 + one[1] ** 2 - shared**2, rel=0.02)
    assert both.df <= 29


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60), st.integers(1, 8), st.integers(1, 8))
def test_dependence_never_makes_a_mean_surer(x: list[float], moments: int, entities: int) -> None:
    """Whatever the rows are: the standard error is at least that of independent rows, and never NaN."""
    values = np.array(x)
    place = np.arange(values.size)
    plain = spread(values)
    for tie in (
        Dependence(times=place // moments),
        Dependence(entities=place % entities),
        Dependence(times=place // moments, entities=place % entities),
    ):
        found = spread(values, tie)
        assert found.se >= plain.se * (1 - 1e-9)
        assert found.df >= 1.0


def test_rows_without_a_moment_each_are_refused() -> None:
    """And names of dependence say what is known."""
    with pytest.raises(ShapeMismatch, match="moments are not paired"):
        spread(np.zeros(3), Dependence(times=np.arange(2)))
    assert INDEPENDENT.name == "independent"
    tie = Dependence(times=np.arange(3), entities=np.arange(3))
    assert tie.name == "times and entities"
    assert tie.part(np.array([True, False, True])).times.tolist() == [0, 2]  # type: ignore[union-attr]
