"""How numbers, moments and foreign text are written on a page."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime

__all__ = ["clean", "count_text", "day_text", "loss_text", "moment_text", "month_text", "version_text"]

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The text without what neither HTML nor XML can hold: control characters and halves of characters.

    >>> clean("a\\x00b\\x1b[31m")
    'ab[31m'
    """
    return _UNPRINTABLE.sub("", text)


def day_text(day: date) -> str:
    """``4 Jun 2012``.

    >>> day_text(date(2012, 6, 4))
    '4 Jun 2012'
    """
    return f"{day.day} {month_text(day)}"


def month_text(day: date) -> str:
    """``Jun 2012``."""
    return f"{_MONTHS[day.month - 1]} {day.year}"


def moment_text(moment: datetime) -> str:
    """``4 Jun 2012, 14:05``, in UTC."""
    moment = moment.astimezone(UTC)
    return f"{day_text(moment)}, {moment:%H:%M}"


def loss_text(loss: float | None) -> str:
    """Three digits that matter, without exponents; a dash for what is not known.

    >>> [loss_text(x) for x in (46.21, 1234.5, 0.01234, None, float("nan"))]
    ['46.2', '1,234', '0.0123', '–', '–']
    """
    if loss is None or math.isnan(loss):
        return "–"
    if abs(loss) >= 1000:
        return f"{loss:,.0f}"
    return f"{loss:.1f}" if abs(loss) >= 10 else f"{loss:.3g}"


def count_text(number: int, thing: str, things: str | None = None) -> str:
    """A number with its noun.

    >>> count_text(1, "hour"), count_text(8760, "hour")
    ('1 hour', '8,760 hours')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def version_text(subject: str) -> str:
    """``v3`` for ``demand@3``; anything else as it is."""
    _, at, number = subject.rpartition("@")
    return f"v{number}" if at else subject


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in any locale
