"""As-of joins: what was known at a moment, and nothing of what came later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos import Window, as_of_join
from kairos.errors import DataRefused, UsageError
from kairos.examples.bikes import pipeline as bikes

START = datetime(2011, 1, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return START + hours * HOUR


def brute(row: dict[str, Any], values: list[dict[str, Any]], tolerance: timedelta | None) -> int | None:
    """The definition, word by word, for one row."""
    known = [
        (one["time"], one["known"], number)
        for number, one in enumerate(values)
        if one["key"] == row["key"] and row["key"] is not None
        and one["known"] is not None and one["time"] is not None
        and one["known"] <= row["at"] and one["time"] <= row["at"]
    ]  # fmt: skip
    if not known:
        return None
    time, _, number = max(known)
    if tolerance is not None and row["at"] - time > tolerance:
        return None
    return int(values[number]["value"])


moments = st.integers(0, 12).map(at)
keys = st.sampled_from(["a", "b", None])
asked = st.lists(st.fixed_dictionaries({"key": keys, "at": moments}), min_size=1, max_size=12)
told = st.lists(
    st.fixed_dictionaries({"key": keys, "time": moments | st.none(), "known": moments | st.none()}), max_size=14
)
TIME = pl.Datetime("us", "UTC")
LEFT = pl.Schema([("key", pl.String()), ("at", TIME)])
SCHEMA = pl.Schema([("key", pl.String()), ("time", TIME), ("known", TIME), ("value", pl.Int64())])


@settings(max_examples=200, deadline=None)
@given(rows=asked, values=told, tolerance=st.none() | st.integers(0, 6).map(lambda hours: hours * HOUR))
def test_every_row_gets_the_latest_value_that_was_known(
    rows: list[dict[str, Any]], values: list[dict[str, Any]], tolerance: timedelta | None
) -> None:
    """As the definition says, with missing keys and times, ties, late values, corrections, values of the future."""
    numbered = [{**one, "value": number} for number, one in enumerate(values)]
    left = pl.DataFrame(rows, schema=LEFT)
    got = as_of_join(
        left,
        pl.DataFrame(numbered, schema=SCHEMA),
        at="at",
        time="time",
        known_at="known",
        by="key",
        tolerance=tolerance,
    )
    assert got.select("key", "at").equals(left)
    assert got["value"].to_list() == [brute(row, numbered, tolerance) for row in rows]


@settings(max_examples=200, deadline=None)
@given(rows=asked, values=told, cut=moments, later=st.lists(st.integers(-100, -1), min_size=14, max_size=14))
def test_a_value_from_the_future_cannot_leak(
    rows: list[dict[str, Any]], values: list[dict[str, Any]], cut: datetime, later: list[int]
) -> None:
    """Whatever becomes known after a moment, or is about a time after it: rows up to then get the same without it."""
    numbered = [{**one, "value": number} for number, one in enumerate(values)]
    left = pl.DataFrame([r for r in rows if r["at"] <= cut], schema=LEFT)

    def is_future(one: dict[str, Any]) -> bool:
        return any(one[name] is not None and one[name] > cut for name in ("time", "known"))

    past = [one for one in numbered if not is_future(one)]
    changed = [{**one, "value": later[n]} if is_future(one) else one for n, one in enumerate(numbered)]
    got = [
        as_of_join(left, pl.DataFrame(each, schema=SCHEMA), at="at", time="time", known_at="known", by="key")
        for each in (past, numbered, changed)
    ]
    assert got[0].equals(got[1])
    assert got[0].equals(got[2])


def test_the_total_of_a_day_is_not_known_on_that_day() -> None:
    """Bikes: the users of a day count from the next midnight on; the naive join tells each hour its own day's total."""
    rentals = bikes.features(bikes.rentals(Window.parse("2011-01-01..2011-01-14")))
    day = pl.col("hour").dt.truncate("1d")
    totals = rentals.group_by(day.alias("day"), maintain_order=True).agg(total=pl.col("users").sum())
    got = as_of_join(rentals.select("hour"), totals, at="hour", time="day", delay="1d")
    assert set(got.filter(day == START)["total"]) == {totals.filter(pl.col("day") == START - 24 * HOUR)["total"].item()}
    assert got.filter(day == datetime(2011, 1, 1, tzinfo=UTC))["total"].null_count() == 24
    leaking = as_of_join(rentals.select("hour"), totals, at="hour", time="day", delay="0s")
    assert set(leaking.filter(day == START)["total"]) == {totals.filter(pl.col("day") == START)["total"].item()}


def test_columns_of_one_name_are_told_apart() -> None:
    """The value's own times come along, so that everybody can see how old it was."""
    left = pl.DataFrame({"t": [at(5)], "users": [1]})
    right = pl.DataFrame({"t": [at(1)], "users": [7]})
    got = as_of_join(left, right, at="t", time="t", delay=HOUR)
    assert got.row(0, named=True) == {"t": at(5), "users": 1, "t_right": at(1), "users_right": 7}
    with pytest.raises(UsageError, match="users_right"):
        as_of_join(left.with_columns(users_right=1), right, at="t", time="t", delay=HOUR)


def test_finer_times_are_not_rounded() -> None:
    """A nanosecond later is later."""
    left = pl.DataFrame({"at": [at(1)]}, schema={"at": pl.Datetime("us", "UTC")})
    just_later = pl.col("t").cast(pl.Datetime("ns", "UTC")).cast(pl.Int64) + 1
    right = pl.DataFrame({"t": [at(1)], "v": [1]}).with_columns(just_later.cast(pl.Datetime("ns", "UTC")))
    assert as_of_join(left, right, at="at", time="t", delay="0s")["v"].to_list() == [None]


def test_dates_work_alone_but_not_beside_times() -> None:
    """A date does not say at which hour something was known."""
    left, right = pl.DataFrame({"at": [date(2011, 1, 3)]}), pl.DataFrame({"t": [date(2011, 1, 2)], "v": [1]})
    assert as_of_join(left, right, at="at", time="t", delay="1d")["v"].to_list() == [1]
    assert as_of_join(left, right, at="at", time="t", delay="36h")["v"].to_list() == [None]
    with pytest.raises(DataRefused, match="hides at which hour"):
        as_of_join(pl.DataFrame({"at": [at(0)]}), right, at="at", time="t", delay="1d")


def test_what_cannot_be_joined_is_refused() -> None:
    """With the columns there are, and what to say."""
    left, right = pl.DataFrame({"at": [at(0), None]}), pl.DataFrame({"time": [at(0)], "v": [1]})
    others: list[Any] = [left.lazy(), pd.DataFrame({"at": [at(0)]})]
    for other in others:
        with pytest.raises(UsageError, match=r"'rows' is none(.|\n)*from_pandas"):
            as_of_join(other, right, at="at", time="time", delay="0s")
    with pytest.raises(UsageError, match="Did you mean 'time'"):
        as_of_join(left, right, at="at", time="tim", delay="0s")
    with pytest.raises(UsageError, match=r"exactly one .* neither"):
        as_of_join(left, right, at="at", time="time")
    with pytest.raises(UsageError, match="both"):
        as_of_join(left, right, at="at", time="time", delay="0s", known_at="time")
    with pytest.raises(DataRefused, match="1 rows have no moment"):
        as_of_join(left, right, at="at", time="time", delay="0s")
    with pytest.raises(DataRefused, match="cannot be compared"):
        as_of_join(left.drop_nulls(), right, at="at", time="v", delay="0s")
    assert as_of_join(left.drop_nulls(), right.clear(), at="at", time="time", delay="0s")["v"].to_list() == [None]
