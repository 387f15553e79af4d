"""Times in which nothing moves forward, as the settings name them: every week, every day, or from one date to another.

Times are those that a clock on the wall shows in the window's zone. Where daylight saving lets a time pass twice, or
not at all, a window begins at the earlier and ends at the later of the two readings, so a freeze is never cut short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from kairos.errors import SettingsError

__all__ = ["FreezeWindow"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(rf"({'|'.join(_DAYS)}) (\d\d:\d\d)\.\.({'|'.join(_DAYS)}) (\d\d:\d\d)")
_DAILY = re.compile(r"daily (\d\d:\d\d)\.\.(\d\d:\d\d)")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]*")
_FORMS = "'fri 16:00..mon 08:00', 'daily 18:00..08:00' or '2026-12-20..2027-01-06', with or without a zone after it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindow:
    """One such time.

    >>> window = FreezeWindow(text="fri 16:00..mon 08:00 Europe/Berlin")
    >>> str(window.end_of(datetime(2026, 12, 5, 12, tzinfo=UTC)))
    '2026-12-07 07:00:00+00:00'

    Raises:
        SettingsError: the text cannot be read.
    """

    text: str

    def __post_init__(self) -> None:
        _read(self.text)

    def end_of(self, now: datetime) -> datetime | None:
        """When the freeze that ``now`` falls into ends, in UTC; ``None`` if it falls into none."""
        read = _read(self.text)
        today = now.astimezone(read.zone).date()
        for day in read.begins_on(today):
            begin, end = read.place(day)
            if begin <= now < end:
                return end
        return None

    def next_after(self, now: datetime) -> tuple[datetime, datetime] | None:
        """When the first of its freezes that begins later than ``now`` begins and ends, in UTC; ``None``: none does."""
        read = _read(self.text)
        today = now.astimezone(read.zone).date()
        days = [read.first] if read.first is not None else [today + timedelta(days=n) for n in range(-1, 9)]
        ahead = [read.place(day) for day in days if read.weekday in (None, day.weekday())]
        return min((place for place in ahead if place[0] > now), default=None)


class _Read(NamedTuple):
    """A window that was read: where it begins, how many days later it ends, and how often it comes."""

    first: date | None
    """The day of a window that comes once."""
    weekday: int | None
    """Of one that comes every week, 0 for Monday."""
    begin: time
    days: int
    end: time
    zone: tzinfo

    def begins_on(self, today: date) -> list[date]:
        """The days on which a window that holds some moment of today may have begun, the latest first.

        Tomorrow is one of them: where the clock jumps over midnight, the earlier reading of it is today.
        """
        if self.first is not None:
            return [self.first]
        latest = today + timedelta(days=1)
        if self.weekday is None:
            return [latest, today, today - timedelta(days=1)]
        latest -= timedelta(days=(latest.weekday() - self.weekday) % 7)
        return [latest, latest - timedelta(days=7)]

    def place(self, day: date) -> tuple[datetime, datetime]:
        """The window that begins on that day, in UTC."""
        begins = _readings(datetime.combine(day, self.begin), self.zone)
        ends = _readings(datetime.combine(day + timedelta(days=self.days), self.end), self.zone)
        return min(begins), max(ends)


def _readings(wall: datetime, zone: tzinfo) -> list[datetime]:
    return [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


@lru_cache(maxsize=256)
def _read(text: str) -> _Read:
    try:
        return _parsed(text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError("A freeze cannot be read.", given=text, accepted=_FORMS) from None


def _parsed(text: str) -> _Read:
    window, zone = _split_zone(" ".join(text.split()))
    weekly, daily = _WEEKLY.fullmatch(window), _DAILY.fullmatch(window)
    if weekly:
        first, last = _DAYS.index(weekly[1]), _DAYS.index(weekly[3])
        begin, end = time.fromisoformat(weekly[2]), time.fromisoformat(weekly[4])
        days = (last - first) % 7
        if days == 0 and end <= begin:
            days = 7
        if (days, begin) == (7, end):
            raise SettingsError(
                "A freeze lasts all week.", given=text, hint="To stop the loop by hand: kairos freeze MODEL"
            )
        return _Read(None, first, begin, days, end, zone)
    if daily:
        begin, end = time.fromisoformat(daily[1]), time.fromisoformat(daily[2])
        if begin == end:
            raise SettingsError("A freeze lasts all day.", given=text, hint="Name its dates.")
        return _Read(None, None, begin, int(end < begin), end, zone)
    left, dots, right = window.partition("..")
    if not dots:
        raise ValueError(text)
    first_moment, last_moment = _wall(left, zone), _wall(right, zone)
    if _is_date(right):
        last_moment += timedelta(days=1)
    if last_moment <= first_moment:
        raise SettingsError("A freeze ends before it begins.", given=text)
    days = (last_moment.date() - first_moment.date()).days
    return _Read(first_moment.date(), None, first_moment.time(), days, last_moment.time(), zone)


def _split_zone(text: str) -> tuple[str, tzinfo]:
    """The window, and the zone that stands after it."""
    window, _, last = text.rpartition(" ")
    if not window or not _ZONE.fullmatch(last):
        return text, UTC
    if last == "UTC":
        return window, UTC
    try:
        from zoneinfo import ZoneInfo  # a window without one does without it

        return window, ZoneInfo(last)
    except (KeyError, ValueError, OSError):  # no such zone; a name that is none; the machine has no zones
        raise SettingsError(
            "A freeze names a zone that this machine does not know.",
            given=text,
            accepted="UTC, or a name such as Europe/Berlin",
        ) from None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _wall(text: str, zone: tzinfo) -> datetime:
    """What the clock on the wall shows then."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(zone).replace(tzinfo=None)
