"""Looking back at a change: when it came, whether it is a mix, whether it is a unit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.mix import shapley, shift_share
from kairos.stats.split import split_counts, split_means
from kairos.stats.units import unit_change

ROWS = st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(lambda x: sum(x) > 0)
MEANS = st.lists(st.floats(0, 100), min_size=3, max_size=3)


@given(ROWS, MEANS, ROWS, MEANS, st.lists(st.booleans(), min_size=3, max_size=3))
def test_mix_and_within_are_the_whole_change(
    n0: list[int], m0: list[float], n1: list[int], m1: list[float], fresh: list[bool]
) -> None:
    """Always; and looking at the same period twice there is neither."""
    before, after = np.array(n0) * m0, np.array(n1) * m1
    found = shift_share(n0, before, n1, after, is_new=fresh)
    assert found.mix + found.within == pytest.approx(found.total, abs=1e-9)
    assert found.total == pytest.approx(after.sum() / sum(n1) - before.sum() / sum(n0), abs=1e-9)
    again = shift_share(n0, before, n0, before, is_new=fresh)
    assert (again.mix, again.within) == pytest.approx((0.0, 0.0), abs=1e-9)


@given(ROWS, MEANS, ROWS)
def test_levels_that_stay_make_all_of_it_mix(n0: list[int], means: list[float], n1: list[int]) -> None:
    """Whatever the shares do; also where a cell is empty on one side."""
    before, after = np.array(n0, dtype=float), np.array(n1, dtype=float)
    if not ((before > 0) & (after > 0)).any():
        return
    found = shift_share(before, before * means, after, after * means)
    assert found.within == pytest.approx(0.0, abs=1e-9)


@given(ROWS, ROWS, MEANS, st.floats(-20, 20))
def test_a_level_that_moves_everywhere_alike_is_no_mix_of_equal_shares(
    n0: list[int], n1: list[int], means: list[float], step: float
) -> None:
    """A cell without rows on one side is taken to have moved as the others did, unless it says what is wrong itself."""
    before, after = np.array(n0, dtype=float), np.array(n1, dtype=float)
    if not ((before > 0) & (after > 0)).any():
        return
    found = shift_share(before, before * means, after, after * (np.array(means) + step))
    assert found.within == pytest.approx(step, abs=1e-6)


def test_simpsons_paradox() -> None:
    """Every cell got better, and yet the mean rose: all of it, and more, is mix."""
    found = shift_share([80, 20], [80 * 1.0, 20 * 10.0], [20, 80], [20 * 0.5, 80 * 9.0])
    assert found.total > 0 > found.within
    assert found.mix > found.total


def test_a_cell_that_says_what_is_wrong_takes_all_the_blame() -> None:
    """All rows go missing and are bad: the whole rise is mix, though some earlier missing rows were fine."""
    everything = shift_share([100, 0], [100.0, 0.0], [0, 100], [0.0, 900.0], is_new=[False, True])
    assert (float(everything.total), float(everything.mix)) == (8.0, 8.0)
    nearly = shift_share([100, 1], [100.0, 1.0], [0, 100], [0.0, 900.0], is_new=[False, True])
    assert nearly.mix == pytest.approx(8.0, rel=0.02)
    assert math.isnan(shift_share([0, 0], [0, 0], [1, 1], [1, 1]).total)
    with pytest.raises(ShapeMismatch):
        shift_share([1], [1, 2], [1], [1])


def test_resamples_are_parted_at_once() -> None:
    """Leading axes are kept, and each resample is parted as it would be alone."""
    rng = np.random.default_rng(0)
    rows, sums = rng.integers(1, 50, size=(2, 7, 4)), rng.uniform(size=(2, 7, 4))
    together = shift_share(rows[0], sums[0], rows[1], sums[1])
    alone = shift_share(rows[0][3], sums[0][3], rows[1][3], sums[1][3])
    assert together.mix.shape == (7,)
    assert together.mix[3] == pytest.approx(float(alone.mix))


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shapley_parts_sum_to_the_whole_and_treat_equals_alike(numbers: list[float]) -> None:
    """Of three players with any worth of their sets."""
    sets = [frozenset(s) for s in ("", "a", "b", "c", "ab", "ac", "bc", "abc")]
    worth = dict(zip(sets, numbers, strict=True))
    worth[frozenset()] = 0.0
    parts = shapley("abc", worth)
    assert sum(parts.values()) == pytest.approx(worth[frozenset("abc")], abs=1e-9)
    alike = {s: float(len(s)) for s in sets}
    assert [float(part) for part in shapley("abc", alike).values()] == pytest.approx([1.0, 1.0, 1.0])
    with pytest.raises(UsageError):
        shapley("aa", worth)


@given(st.integers(2, 12), st.integers(2, 12), st.floats(3, 100), st.integers(0, 1000))
def test_the_day_of_a_step_is_found(before: int, after: int, step: float, seed: int) -> None:
    """Up or down, when it is larger than the days' own swings by far."""
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, before + after)
    days = noise + step * (np.arange(before + after) >= before)
    found = split_means(days)
    assert found is not None
    assert (found.first, found.size > 0) == (before, True)
    assert found.p_value < 0.01 or before + after < 6
    down = split_means(-days)
    assert down is not None
    assert (down.first, down.size < 0) == (before, True)
    up_only = split_means(-days, rises=True)
    assert up_only is None or up_only.first != before


def test_without_a_change_a_cut_is_seldom_called_for() -> None:
    """In 400 series of 20 days of noise the p-value is at most 5 % in about as many, or fewer."""
    rng = np.random.default_rng(1)
    found = [split_means(rng.normal(size=20)) for _ in range(400)]
    assert np.mean([one is not None and one.p_value <= 0.05 for one in found]) <= 0.08
    for few in ([], [1.0], [1.0, 2.0, 3.0]):
        assert split_means(few) is None
    assert split_means([1.0] * 9) is not None
    assert split_means([1.0] * 9, rises=True) is None


def test_the_day_on_which_counts_moved_is_found() -> None:
    """Also with days that differ among themselves, and a day without rows between."""
    rng = np.random.default_rng(2)
    right, false = 0, 0
    for _ in range(60):
        shares = np.vstack([rng.dirichlet([40, 30, 30], 12), rng.dirichlet([15, 30, 55], 6)])
        counts = np.array([rng.multinomial(24, share) for share in shares])
        found = split_counts(np.insert(counts, 5, 0, axis=0))
        right += found is not None and abs(found.first - 13) <= 1 and found.p_value < 0.01
        still = split_counts(np.array([rng.multinomial(24, share) for share in rng.dirichlet([40, 30, 30], 18)]))
        false += still is not None and still.p_value < 0.05
    assert right >= 48
    assert false <= 6
    assert split_counts(np.zeros((5, 3))) is None
    assert split_counts([[1, 0]] * 9) is None
    with pytest.raises(ShapeMismatch):
        split_counts([1, 2])


CELSIUS = np.quantile(np.random.default_rng(3).normal(12, 8, 500), np.arange(1, 20) / 20)


@pytest.mark.parametrize(
    ("name", "scale", "offset"),
    [
        ("Celsius to Fahrenheit", 1.8, 32.0),
        ("Celsius to kelvin", 1.0, 273.15),
        ("times 100", 100.0, 0.0),
        ("divided by 1 000", 0.001, 0.0),
        ("minutes to seconds, or hours to minutes", 60.0, 0.0),
        ("miles to kilometres", 1.609344, 0.0),
    ],
)
def test_a_conversion_is_known_by_its_shape(name: str, scale: float, offset: float) -> None:
    """From quantiles of rows that are not the same rows: weather of another month, a little warmer."""
    rng = np.random.default_rng(4)
    later = np.quantile(scale * rng.normal(13, 8, 400) + offset, np.arange(1, 20) / 20)
    found = unit_change(CELSIUS, later)
    assert found is not None
    assert found.name == name


def test_a_sign_that_was_turned_round_shows_in_what_is_lopsided() -> None:
    """Amounts have a long tail on one side, and then on the other; of symmetric values nobody can tell."""
    rng = np.random.default_rng(6)
    shares = np.arange(1, 20) / 20
    amounts, later = np.quantile(rng.gamma(2, 50, 500), shares), np.quantile(-rng.gamma(2, 50, 500), shares)
    found = unit_change(amounts, later)
    assert found is not None
    assert (found.name, found.formula) == ("sign turned round", "-x")
    even = np.quantile(-rng.normal(12, 8, 400), shares)
    assert unit_change(CELSIUS, even) is None


def test_weather_is_no_conversion() -> None:
    """Warmer by a standard deviation, wider by a half, or of another shape: no unit explains it."""
    rng = np.random.default_rng(5)
    for later in (rng.normal(20, 8, 400), rng.normal(12, 12, 400), rng.exponential(12, 400), np.full(400, 12.0)):
        assert unit_change(CELSIUS, np.quantile(later, np.arange(1, 20) / 20)) is None


def test_a_conversion_that_nobody_knows_is_told_by_its_formula() -> None:
    """Seven times as much and a thousand more fits exactly, and has no name."""
    found = unit_change(CELSIUS, 7 * CELSIUS + 1000)
    assert found is not None
    assert (found.name, found.formula) == (None, "7 x + 1000")
    assert unit_change(CELSIUS[:4], CELSIUS[:4] * 100) is None
