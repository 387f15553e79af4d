"""Names of files with times in them: which of them are about a window."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial

from kairos.values import Window

__all__ = ["has_time", "names_for"]

_FIELDS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "date": "%Y-%m-%d"}
_FIELD = re.compile(r"\{(\w+)\}")
_UNITS = ("hour", "day", "month", "year")


def has_time(place: str) -> bool:
    """Whether names say what time a file is about."""
    return any(name in _FIELDS for name in _FIELD.findall(place))


def names_for(place: str, window: Window, *, zone: tzinfo, overlapping: bool) -> list[str]:
    """Names of the files about a window, in the order of time; patterns with ``*`` stay as they are.

    Args:
        place: With ``{date}``, ``{year}``, ``{month}``, ``{day}``, ``{hour}``, or none of them.
        window: Asked for.
        zone: Of the times in names.
        overlapping: All files that may hold a moment of the window; else those that begin in it.
    """
    names = _FIELD.findall(place)
    if not has_time(place):
        return [place]
    found: list[str] = []
    unit = next(unit for unit in _UNITS if unit in names or (unit == "day" and "date" in names))
    for local, begins, ends in _units(unit, window, zone):
        is_wanted = begins < window.end and ends > window.start if overlapping else begins in window
        if is_wanted:
            found.append(_FIELD.sub(partial(_text, at=local), place))
    return list(dict.fromkeys(found))  # the hour that a clock shows twice has one name


def _text(field: re.Match[str], *, at: datetime) -> str:
    return at.strftime(_FIELDS[field[1]]) if field[1] in _FIELDS else field[0]


def _units(unit: str, window: Window, zone: tzinfo) -> Iterator[tuple[datetime, datetime, datetime]]:
    """Hours, days, months or years by the clock of a zone: its naive start, and start and end in UTC."""
    at = _floor(unit, window.start.astimezone(zone).replace(tzinfo=None))
    last = window.end.astimezone(zone).replace(tzinfo=None)
    at = _floor(unit, at - timedelta(hours=2)) if unit == "hour" else at  # a clock may have been put back since
    while at <= last + timedelta(hours=1):
        after = _next(unit, at)
        begins, ends = (each.replace(tzinfo=zone).astimezone(UTC) for each in (at, after))
        # Whichever of two moments the clock shows: an hour that comes twice lasts for both.
        ends = max(ends, after.replace(tzinfo=zone, fold=1).astimezone(UTC))
        yield at, begins, ends
        at = after


def _floor(unit: str, at: datetime) -> datetime:
    at = at.replace(minute=0, second=0, microsecond=0)
    return {
        "hour": at,
        "day": at.replace(hour=0),
        "month": at.replace(hour=0, day=1),
        "year": at.replace(hour=0, day=1, month=1),
    }[unit]


def _next(unit: str, at: datetime) -> datetime:
    if unit == "hour":
        return at + timedelta(hours=1)
    if unit == "day":
        return at + timedelta(days=1)
    if unit == "month":
        return (at + timedelta(days=32)).replace(day=1)
    return at.replace(year=at.year + 1)
