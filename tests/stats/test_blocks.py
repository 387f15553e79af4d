"""Blocks that are nearly independent: their laws, and what they make of dependence that is there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from kairos.errors import UsageError
from kairos.stats.blocks import MAX_BLOCKS, Blocks, independent_blocks

Floats = NDArray[np.float64]
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def cut(days: list[Floats], scale: float = 1.0) -> Blocks:
    return independent_blocks(
        np.concatenate(days), np.repeat(np.arange(len(days)), [day.size for day in days]), scale=scale
    )


def alike(rng: np.random.Generator, days: int, rows: int, phi: float) -> list[Floats]:
    """Values of standard deviation 0.7, each like the one before to the degree ``phi``, day by day."""
    noise = rng.normal(size=days * rows + 200) * np.sqrt(1 - phi**2) * 0.7
    return list(signal.lfilter([1.0], [1.0, -phi], noise)[200:].reshape(days, rows))


@given(SIZES, st.integers(0, 10**6))
def test_every_value_is_in_one_block_and_days_keep_their_means(sizes: list[int], seed: int) -> None:
    """The average of a day's blocks is the average of its values, whatever was taken off for the time of day."""
    rng = np.random.default_rng(seed)
    days = [rng.normal(size=size) for size in sizes]
    found = cut(days)
    assert int(found.rows.sum()) + found.waiting == sum(sizes)
    assert found.means.size == found.rows.size == found.days.size
    for day, values in enumerate(days):
        mine = found.means[found.days == day]
        if mine.size > 1 and found.rows[found.days == day].sum() == values.size:
            assert mine.mean() == pytest.approx(values.mean(), abs=1e-9)


@given(SIZES, st.integers(0, 10**6))
def test_later_days_do_not_change_earlier_blocks(sizes: list[int], seed: int) -> None:
    """A day is cut by what is known of the days before it, and by nothing else."""
    rng = np.random.default_rng(seed)
    days = [rng.normal(size=size) for size in sizes]
    whole, part = cut(days), cut(days[:-1]) if len(days) > 1 else cut(days)
    assert whole.means[: part.means.size].tolist() == part.means.tolist()


@given(SIZES, st.floats(0.01, 100), st.integers(0, 10**6))
def test_the_unit_does_not_matter(sizes: list[int], unit: float, seed: int) -> None:
    """Values and scale in another unit: the same cuts."""
    rng = np.random.default_rng(seed)
    days = [rng.normal(size=size) for size in sizes]
    one, other = cut(days), cut([unit * day for day in days], scale=unit)
    assert one.rows.tolist() == other.rows.tolist()
    assert other.means == pytest.approx(unit * one.means, rel=1e-6, abs=1e-9 * unit)


def test_the_first_days_are_one_block_each() -> None:
    """Nothing is known yet."""
    days = alike(np.random.default_rng(0), 3, 500, 0.0)
    assert cut(days).rows.tolist() == [500] * 3


@pytest.mark.parametrize(("phi", "least", "most"), [(0.0, 16, 32), (0.6, 2, 16), (0.95, 0, 2)])
def test_the_more_values_depend_the_longer_the_blocks(phi: float, least: int, most: int) -> None:
    """240 values a day for four weeks, the median over 20 streams."""
    rng = np.random.default_rng(1)
    per_day = [cut(alike(rng, 28, 240, phi)).per_day for _ in range(20)]
    assert least <= np.median(per_day) <= most


def test_days_that_have_something_in_common_are_not_cut() -> None:
    """A common shock of each day, a third of the spread of a value: its 240 values are hardly more than one."""
    rng = np.random.default_rng(2)
    cuts = [cut([day + rng.normal(0, 0.25) for day in alike(rng, 14, 240, 0.0)]).per_day for _ in range(20)]
    assert np.median(cuts) == 1


def test_nights_that_join_days_make_blocks_of_two_days() -> None:
    """24 values a day that resemble each other by 0.95 from one to the next."""
    rng = np.random.default_rng(3)
    rows = np.concatenate([cut(alike(rng, 28, 24, 0.95)).rows[5:] for _ in range(10)])
    assert np.mean(rows == 48) > 0.6


def test_a_swing_within_the_day_is_learned_and_taken_off() -> None:
    """It neither keeps days from being cut, nor is it left in the blocks."""
    rng = np.random.default_rng(4)
    swing = 2 * np.sin(2 * np.pi * np.arange(240) / 240)
    found = cut([day + swing for day in alike(rng, 28, 240, 0.0)])
    assert found.per_day >= 16
    assert found.means[-300:].std() < 0.5


def test_wild_values_ask_for_longer_blocks() -> None:
    """Where means of few values would often be cut by the scale."""
    rng = np.random.default_rng(5)
    days = list(rng.standard_t(3, size=(20, 240)))
    assert cut(days, scale=3.0).per_day > cut(days, scale=0.4).per_day >= 1


def test_constant_and_huge_days_are_cut_without_harm() -> None:
    """All values equal, or a hundred thousand a day: no division by nothing, and no more blocks than help."""
    assert np.isfinite(cut([np.full(50, 0.3)] * 10).means).all()
    assert cut(list(np.random.default_rng(6).normal(size=(5, 20_000)))).per_day <= MAX_BLOCKS


def test_disorder_is_refused() -> None:
    """Days that go back, lengths that differ, a scale of nothing, NaN; no values are no blocks."""
    with pytest.raises(UsageError, match="order of days"):
        independent_blocks([1.0, 2.0], [1, 0], scale=1.0)
    with pytest.raises(UsageError, match="order of days"):
        independent_blocks([1.0, 2.0], [1], scale=1.0)
    with pytest.raises(UsageError, match="scale"):
        independent_blocks([1.0], [1], scale=0.0)
    with pytest.raises(UsageError, match="not finite"):
        independent_blocks([np.nan], [1], scale=1.0)
    nothing = independent_blocks([], [], scale=1.0)
    assert (nothing.means.size, nothing.waiting, nothing.per_day) == (0, 0, 0)
