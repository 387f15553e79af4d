"""How often, how long and how fast an origin is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kairos.errors import KairosError, UsageError

__all__ = ["Patience"]

T = TypeVar("T")

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0


@dataclass(slots=True)
class Patience:
    """Tries again what may pass, waits twice as long each time, and keeps to a number of calls a second.

    An error may pass if it says so: ``facts["passing"]`` is true. ``facts["wait_s"]`` is what the other side asks for.
    """

    tries: int = 4
    timeout_s: float = 60.0
    rate_per_s: float | None = None
    sleep: Callable[[float], None] = time.sleep
    elapsed_s: Callable[[], float] = time.monotonic
    _next_s: float = 0.0
    """When the next call may begin."""

    def __post_init__(self) -> None:
        if self.tries < 1 or self.timeout_s <= 0 or (self.rate_per_s is not None and self.rate_per_s <= 0):
            raise UsageError(
                "An origin's patience cannot be read.",
                given=f"tries={self.tries}, timeout={self.timeout_s} s, rate={self.rate_per_s}",
                accepted="tries=1 or more, a timeout and a rate above 0",
            )

    def call(self, function: Callable[[], T]) -> T:
        """What the function gives, at the latest at the last try.

        Raises:
            KairosError: as the function raised it, when it cannot pass or did not.
        """
        for left in reversed(range(self.tries)):
            self.pace()
            try:
                return function()
            except KairosError as error:
                if not left or not error.facts.get("passing"):
                    raise
                own_s = _FIRST_WAIT_S * 2 ** (self.tries - 1 - left)
                asked_s = error.facts.get("wait_s") or 0.0
                self.sleep(min(max(own_s, float(asked_s)), _LONGEST_WAIT_S))
        raise AssertionError("tries is 1 or more")

    def pace(self) -> None:
        """Waits until the next call may begin."""
        if self.rate_per_s is None:
            return
        now_s = self.elapsed_s()
        if now_s < self._next_s:
            self.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + 1 / self.rate_per_s
