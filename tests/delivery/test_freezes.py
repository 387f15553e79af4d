"""Freeze windows: which moments they hold, by the clock on the wall, and when they end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.freezes import FreezeWindow
from kairos.errors import SettingsError
from kairos.values import parse_moment

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def end(text: str, now: str) -> str | None:
    """When the freeze ends that holds at that moment."""
    found = FreezeWindow(text=text).end_of(parse_moment(now))
    return None if found is None else found.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("text", "now", "ends"),
    [
        ("fri 16:00..mon 08:00", "2026-12-04T15:59Z", None),
        ("fri 16:00..mon 08:00", "2026-12-04T16:00Z", "2026-12-07 08:00"),
        ("fri 16:00..mon 08:00", "2026-12-06T23:00Z", "2026-12-07 08:00"),
        ("fri 16:00..mon 08:00", "2026-12-07T08:00Z", None),
        ("fri 16:00..mon 08:00 Europe/Berlin", "2026-12-04T15:00Z", "2026-12-07 07:00"),
        ("fri  16:00..mon 08:00   Europe/Berlin", "2026-07-03T14:00Z", "2026-07-06 06:00"),
        ("mon 08:00..mon 07:00", "2026-12-07T07:30Z", None),
        ("mon 08:00..mon 07:00", "2026-12-07T06:30Z", "2026-12-07 07:00"),
        ("mon 08:00..mon 09:00", "2026-12-07T08:30Z", "2026-12-07 09:00"),
        ("daily 18:00..08:00", "2026-12-07T07:59Z", "2026-12-07 08:00"),
        ("daily 18:00..08:00", "2026-12-07T18:00Z", "2026-12-08 08:00"),
        ("daily 18:00..08:00", "2026-12-07T12:00Z", None),
        ("daily 11:00..13:00 UTC", "2026-12-07T12:00Z", "2026-12-07 13:00"),
        ("2026-12-20..2027-01-06", "2027-01-06T23:59Z", "2027-01-07 00:00"),
        ("2026-12-20..2027-01-06", "2026-12-19T23:59Z", None),
        ("2026-12-20..2027-01-06 Europe/Berlin", "2026-12-19T23:00Z", "2027-01-06 23:00"),
        ("2026-12-20T12:00..2026-12-20T13:00", "2026-12-20T12:30Z", "2026-12-20 13:00"),
        ("2026-12-20T12:00+02:00..2026-12-20T13:00+02:00", "2026-12-20T10:30Z", "2026-12-20 11:00"),
    ],
)
def test_a_window_holds_what_its_text_says(text: str, now: str, ends: str | None) -> None:
    """The start is included, the end is not; a bare end date is."""
    assert end(text, now) == ends


@pytest.mark.parametrize(
    ("text", "now", "begins"),
    [
        ("fri 16:00..mon 08:00", "2026-12-04T15:59Z", "2026-12-04 16:00"),
        ("fri 16:00..mon 08:00", "2026-12-04T16:00Z", "2026-12-11 16:00"),
        ("fri 16:00..mon 08:00 Europe/Berlin", "2026-12-04T12:00Z", "2026-12-04 15:00"),
        ("daily 18:00..08:00", "2026-12-07T18:00Z", "2026-12-08 18:00"),
        ("daily 18:00..08:00", "2026-12-07T07:00Z", "2026-12-07 18:00"),
        ("2026-12-20..2027-01-06", "2026-11-01T00:00Z", "2026-12-20 00:00"),
        ("2026-12-20..2027-01-06", "2026-12-20T00:00Z", None),
        ("2026-12-20..2027-01-06", "2028-01-01T00:00Z", None),
    ],
)
def test_when_a_window_holds_next_is_known(text: str, now: str, begins: str | None) -> None:
    """The one that holds now is not the next one; a window of dates comes once."""
    found = FreezeWindow(text=text).next_after(parse_moment(now))
    assert (None if found is None else found[0].strftime("%Y-%m-%d %H:%M")) == begins
    if found is not None:
        assert FreezeWindow(text=text).end_of(found[0]) == found[1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("friday", "cannot be read"),
        ("fri 16..mon 08", "cannot be read"),
        ("fri 26:00..mon 08:00", "cannot be read"),
        ("2026-13-01..2026-13-02", "cannot be read"),
        ("2026-12-20..2026-12-01", "ends before it begins"),
        ("mon 08:00..mon 08:00", "lasts all week"),
        ("daily 08:00..08:00", "lasts all day"),
        ("fri 16:00..mon 08:00 Europe/Belrin", "zone that this machine does not know"),
        ("fri 16:00..mon 08:00 Europe", "zone that this machine does not know"),
        ("", "cannot be read"),
        ("..", "cannot be read"),
        ("9999-12-31..9999-12-31", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(text: str, complaint: str) -> None:
    """Not on the day on which it would have mattered."""
    with pytest.raises(SettingsError, match=complaint):
        FreezeWindow(text=text)


def test_an_hour_that_comes_twice_is_frozen_twice() -> None:
    """In Berlin the clock shows 02:30 on 2026-10-25 at 00:30 and at 01:30 UTC."""
    text = "daily 02:15..02:45 Europe/Berlin"
    assert end(text, "2026-10-25T00:20Z") == end(text, "2026-10-25T01:30Z") == "2026-10-25 01:45"


def test_an_hour_that_is_left_out_is_no_way_through() -> None:
    """In Berlin there is no 02:30 on 2026-03-29; the window is as long as both readings of its ends."""
    text = "daily 02:15..02:45 Europe/Berlin"
    assert end(text, "2026-03-29T00:30Z") == "2026-03-29 01:45"


BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 4 * 365 * 86_400_000).map(lambda ms: BEGIN + timedelta(milliseconds=ms))
TIMES = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.one_of(
    st.builds("{} {}..{} {}".format, st.sampled_from(DAYS), TIMES, st.sampled_from(DAYS), TIMES),
    st.builds("daily {}..{}".format, TIMES, TIMES),
    st.builds(
        lambda begin, days: f"{begin}..{begin + timedelta(days=days)}",
        st.dates(date(2025, 1, 1), date(2028, 1, 1)),
        st.integers(0, 40),
    ),
)
ZONES = st.sampled_from(["", " UTC", " Europe/Berlin", " America/Sao_Paulo", " Asia/Kolkata", " Australia/Lord_Howe"])


def window(text: str) -> FreezeWindow | None:
    """The window, unless the text is refused for lasting for ever."""
    try:
        return FreezeWindow(text=text)
    except SettingsError:
        return None


@given(text=st.builds("{}{}".format, WINDOWS, ZONES), now=MOMENTS)
def test_a_freeze_lasts_until_its_end_and_no_longer(text: str, now: datetime) -> None:
    """Just before the end it still holds, with the same end; at its end this window is over."""
    found = window(text)
    ends = None if found is None else found.end_of(now)
    if found is None or ends is None:
        return
    assert now < ends
    assert found.end_of(ends - timedelta(microseconds=1)) == ends
    assert found.end_of(ends) != ends


@given(begin=TIMES, finish=TIMES, first=st.integers(0, 6), last=st.integers(0, 6), now=MOMENTS, zone=ZONES)
def test_a_weekly_window_is_what_the_wall_clock_says(
    begin: str, finish: str, first: int, last: int, now: datetime, zone: str
) -> None:
    """Away from the hours in which a clock is changed, it is a comparison of minutes of the week."""
    found = window(f"{DAYS[first]} {begin}..{DAYS[last]} {finish}{zone}")
    if found is None:
        return
    place = ZoneInfo(zone.strip() or "UTC")
    around = {(now + timedelta(days=days)).astimezone(place).utcoffset() for days in range(-8, 9)}
    if len(around) > 1:
        return
    local = now.astimezone(place)

    def minute(day: int, time: str) -> float:
        return day * 1440 + int(time[:2]) * 60 + int(time[3:])

    at = local.weekday() * 1440 + local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 6e7
    low, high = minute(first, begin), minute(last, finish)
    inside = low <= at < high if low < high else at >= low or at < high
    assert (found.end_of(now) is not None) == inside
