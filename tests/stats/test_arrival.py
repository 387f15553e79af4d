"""How long labels take, learnt while many have not arrived yet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats
from kairos.stats.arrival import (
    EDGES_S,
    ArrivalCounts,
    ArrivalCurve,
    arrival_curve,
    arrival_curve_of_labelled,
    count_arrivals,
)

DAY_S = 86400.0
NONE = float("nan")


def log_of(rng: np.random.Generator, delays_s: Floats, days: float) -> tuple[Floats, Floats]:
    """What is seen of these delays now, if rows came evenly over so many days: delays (NaN: not yet) and ages."""
    ages = rng.uniform(0, days * DAY_S, size=delays_s.size)
    return np.where(delays_s <= ages, delays_s, np.nan), ages


def equal(a: ArrivalCounts, b: ArrivalCounts) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("labelled", "labelled_age", "waiting"))


def test_rows_that_still_wait_count_as_such() -> None:
    """Half of the rows are too young for their label: the curve is that of the delays, not that of what is there."""
    rng = np.random.default_rng(1)
    truth = rng.exponential(5 * DAY_S, size=20_000)
    delays, ages = log_of(rng, truth, days=20)
    curve = arrival_curve(count_arrivals(delays, ages))
    for days in (1, 3, 8):
        assert curve.at(days * DAY_S) == pytest.approx(1 - np.exp(-days / 5), abs=0.01)
    naive = delays[~np.isnan(delays)]
    assert float((naive <= 5 * DAY_S).mean()) > curve.at(5 * DAY_S) + 0.07


def test_rows_that_never_get_a_label_keep_the_curve_down() -> None:
    """A tenth of the rows has none: the quantile is that of the labels that come."""
    rng = np.random.default_rng(2)
    truth = np.where(rng.random(20_000) < 0.1, np.inf, rng.uniform(0, 4 * DAY_S, size=20_000))
    curve = arrival_curve(count_arrivals(*log_of(rng, truth, days=40)))
    assert curve.ever == pytest.approx(0.9, abs=0.01)
    assert curve.quantile(0.5) == pytest.approx(2 * DAY_S, abs=3 * 3600)


def test_a_class_has_its_own_delays_although_waiting_rows_have_no_class() -> None:
    """Of the labels of one class, the slow ones are only seen on old rows; that is put right."""
    rng = np.random.default_rng(3)
    is_slow = rng.random(40_000) < 0.3
    truth = np.where(is_slow, rng.exponential(10 * DAY_S, 40_000), rng.exponential(DAY_S, 40_000))
    delays, ages = log_of(rng, truth, days=60)
    for slow, mean_days in ((True, 10.0), (False, 1.0)):
        curve = arrival_curve_of_labelled(count_arrivals(delays[is_slow == slow], ages[is_slow == slow]))
        assert curve.ever == 1.0
        for days in (1, 3, 10):
            assert curve.at(days * DAY_S) == pytest.approx(1 - np.exp(-days / mean_days), abs=0.015)


def test_delays_in_whole_units_are_kept_exactly() -> None:
    """A label a day later takes a day, not a day and what the steps of the count add."""
    for delay_s in (60.0, 300.0 * 20, 3600.0 * 25, DAY_S, 7 * DAY_S, 30 * DAY_S):
        curve = arrival_curve(count_arrivals([delay_s] * 60, [200 * DAY_S] * 60))
        assert curve.quantile(0.95) == delay_s


def test_too_few_rows_are_no_curve() -> None:
    """Below 50 rows of an age nothing is said about that age; without labels there is no quantile."""
    assert arrival_curve(count_arrivals([DAY_S] * 49, [9 * DAY_S] * 49)).shares == ()
    nothing = arrival_curve(count_arrivals([NONE] * 60, [DAY_S] * 60))
    assert (nothing.ever, nothing.at(DAY_S), nothing.quantile(0.95)) == (0.0, 0.0, None)
    assert nothing.follow_up_s == DAY_S


def test_rows_that_are_not_paired_or_have_no_age_are_refused() -> None:
    """And rows from the future are left out."""
    with pytest.raises(ShapeMismatch, match="not paired"):
        count_arrivals([1.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="not finite"):
        count_arrivals([1.0], [NONE])
    assert count_arrivals([1.0, 2.0], [-1.0, 100.0]).rows == 1


SECONDS = st.floats(0, 400 * DAY_S, allow_nan=False)


@given(
    hnp.arrays(np.float64, st.integers(0, 60), elements=SECONDS | st.just(NONE)),
    st.data(),
)
def test_counts_add_up_and_their_order_does_not_matter(delays: Floats, data: st.DataObject) -> None:
    """Parts counted apart, in any order, give the counts of the whole: so workers and days can be added."""
    ages = data.draw(hnp.arrays(np.float64, delays.size, elements=SECONDS))
    order = np.array(data.draw(st.permutations(range(delays.size))), dtype=np.int64)
    cut = data.draw(st.integers(0, delays.size))
    whole = count_arrivals(delays, ages)
    first, second = order[:cut], order[cut:]
    assert equal(whole, count_arrivals(delays[first], ages[first]) + count_arrivals(delays[second], ages[second]))
    assert whole.rows == delays.size


@given(hnp.arrays(np.float64, st.integers(0, 200), elements=SECONDS | st.just(NONE)), st.data())
def test_a_curve_only_rises(delays: Floats, data: st.DataObject) -> None:
    """Shares are shares, in order; at the quantile at least that share has come."""
    ages = data.draw(hnp.arrays(np.float64, delays.size, elements=SECONDS))
    curves: list[ArrivalCurve] = [
        each(count_arrivals(delays, ages), min_rows=1) for each in (arrival_curve, arrival_curve_of_labelled)
    ]
    for curve in curves:
        assert list(curve.shares) == sorted(curve.shares)
        assert all(0 < share <= 1 for share in curve.shares)
        assert set(curve.ages_s) <= set(EDGES_S.tolist())
        age = curve.quantile(0.9)
        assert age is None or curve.at(age) >= 0.9 * curve.ever - 1e-9
