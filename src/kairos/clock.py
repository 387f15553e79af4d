"""Where time comes from. Nothing else in Kairos reads the wall clock, so two years can be replayed in a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from kairos.errors import UsageError

__all__ = ["Clock", "ReplayClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time; safe to call from several threads; never goes back."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def elapsed_s(self) -> float:
        """Seconds from an arbitrary start; differences measure durations, as ``time.perf_counter`` does."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    def elapsed_s(self) -> float:
        """Seconds of a monotonic, high-resolution counter."""
        return time.perf_counter()


class ReplayClock:
    """A clock that stands still until it is moved. Durations measured with it are durations of replayed time.

    >>> clock = ReplayClock(datetime(2011, 1, 1, tzinfo=UTC))
    >>> clock.move_to(datetime(2011, 1, 2, tzinfo=UTC))
    >>> clock.now().isoformat()
    '2011-01-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise UsageError(
                "A replay clock needs an aware start time.", given=start, accepted="a datetime with tzinfo"
            )
        self._start = start.astimezone(UTC)
        self._now = self._start

    def now(self) -> datetime:
        """The replayed moment."""
        return self._now

    def elapsed_s(self) -> float:
        """Replayed seconds since the clock's start."""
        return (self._now - self._start).total_seconds()

    def move_to(self, moment: datetime) -> None:
        """Moves forward to ``moment``; a moment in the past leaves the clock where it is."""
        self._now = max(self._now, moment.astimezone(UTC))
