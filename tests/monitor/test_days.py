"""How labelled rows become whole days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import SettingsError, UsageError
from kairos.monitor.days import block_means, daily_means
from kairos.monitor.policy import MonitorPolicy

START = np.datetime64("2012-01-01T00:00:00", "us")
HOUR = np.timedelta64(3600, "s")


def test_an_unfinished_day_waits() -> None:
    """At noon of the second day only the first one counts; the other rows wait."""
    at = START + np.arange(36) * HOUR
    days = daily_means(at, np.ones(36), mature_until=datetime(2012, 1, 2, 12, tzinfo=UTC))
    assert days.rows.tolist() == [24]
    assert days.ends == (datetime(2012, 1, 2, tzinfo=UTC),)
    assert days.waiting == 12


def test_a_thin_day_joins_the_next() -> None:
    """Three rows are no day: they are averaged with the following day's rows, none is lost or counted twice."""
    at = np.concatenate([START + np.arange(3) * HOUR, START + (24 + np.arange(5)) * HOUR])
    values = np.array([8.0] * 3 + [0.0] * 5)
    days = daily_means(at, values, mature_until=datetime(2012, 1, 3, tzinfo=UTC))
    assert days.means.tolist() == [3.0]
    assert days.rows.tolist() == [8]
    assert days.ends == (datetime(2012, 1, 3, tzinfo=UTC),)


def test_no_rows_make_no_days() -> None:
    """Nothing labelled yet is an empty sequence, not a zero."""
    days = daily_means(np.empty(0, dtype="datetime64[us]"), np.empty(0), mature_until=datetime(2012, 1, 3, tzinfo=UTC))
    assert days.means.size == 0
    assert days.ends == ()


def test_values_that_are_not_finite_are_refused() -> None:
    """A NaN loss would silently poison a day."""
    with pytest.raises(UsageError, match="finite"):
        daily_means(START + np.arange(2) * HOUR, np.array([1.0, np.nan]), mature_until=datetime(2012, 1, 3, tzinfo=UTC))


@given(st.lists(st.tuples(st.integers(0, 240), st.floats(-1e6, 1e6)), max_size=60))
def test_order_of_arrival_does_not_matter(rows: list[tuple[int, float]]) -> None:
    """The same rows in another order give the same days, and every mature row is in exactly one place."""
    until = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=8)
    at = START + np.array([hour for hour, _ in rows], dtype=np.int64) * HOUR
    values = np.array([value for _, value in rows])
    order = np.argsort(values, kind="stable")
    first = daily_means(at, values, mature_until=until)
    second = daily_means(at[order], values[order], mature_until=until)
    assert np.allclose(first.means, second.means)
    assert first.rows.tolist() == second.rows.tolist()
    assert int(first.rows.sum()) + first.waiting == len(rows)


@pytest.mark.parametrize(
    "settings",
    [{"alpha": 0.0}, {"violation_cap": 1.5}, {"drift_info": 0.3}, {"false_alarm_days": 1.0}, {"min_day_rows": 0}],
)
def test_a_policy_that_cannot_hold_is_refused(settings: dict[str, float]) -> None:
    """Settings without a meaning are refused when they are read, not when an alarm is due."""
    with pytest.raises(SettingsError):
        MonitorPolicy(**settings)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 240), st.sampled_from([-1.0, 0.0, 2.0])), max_size=150))
def test_blocks_do_not_depend_on_the_order_of_arrival(rows: list[tuple[int, float]]) -> None:
    """Rows that several workers hand on, at equal times too: the same blocks to the bit; no row is lost."""
    until = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(days=8)
    at = START + np.array([hour for hour, _ in rows], dtype=np.int64) * HOUR
    values = np.array([value for _, value in rows])
    order = np.argsort(values, kind="stable")
    first = block_means(at, values, scale=1.0, mature_until=until)
    second = block_means(at[order], values[order], scale=1.0, mature_until=until)
    assert first.means.tolist() == second.means.tolist()
    assert first.ends == second.ends
    assert int(first.rows.sum()) + first.waiting == len(rows)


def test_blocks_of_a_day_count_at_its_end_and_thin_days_join_the_next() -> None:
    """Twelve busy days, the last one cut; then three rows, which wait for two more."""
    rng = np.random.default_rng(0)
    minutes = np.concatenate([np.arange(12 * 1440, step=6), 12 * 1440 + np.arange(3), 13 * 1440 + np.arange(2)])
    at, values = START + minutes * np.timedelta64(60, "s"), rng.normal(size=minutes.size)
    busy = block_means(at, values, scale=1.0, mature_until=datetime(2012, 1, 14, tzinfo=UTC))
    assert busy.waiting == 5
    assert busy.ends.count(datetime(2012, 1, 13, tzinfo=UTC)) >= 8
    joined = block_means(at, values, scale=1.0, mature_until=datetime(2012, 1, 15, tzinfo=UTC))
    assert joined.waiting == 0
    assert joined.rows[-1] == 5
    assert joined.ends[-1] == datetime(2012, 1, 15, tzinfo=UTC)
    nothing = block_means(at[:0], values[:0], scale=1.0, mature_until=datetime(2012, 1, 3, tzinfo=UTC))
    assert (nothing.means.size, nothing.ends) == (0, ())
