"""How often, how long and how fast an origin is asked."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kairos.errors import KairosError, UsageError
from kairos.pipeline.origins.watching import allow_silence

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
    turns: Path | None = None
    """File by which all processes that ask the same origin keep one rate together; ``None``: each keeps its own."""
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
                self._rest(min(max(own_s, float(asked_s)), _LONGEST_WAIT_S))
        raise AssertionError("tries is 1 or more")

    def pace(self) -> None:
        """Waits until the next call may begin."""
        if self.rate_per_s is None:
            return
        every_s = 1 / self.rate_per_s
        if self.turns is None:
            now_s = self.elapsed_s()
            at_s = max(now_s, self._next_s)
            self._next_s = at_s + every_s
        else:
            now_s, at_s = _turn(self.turns, every_s, self.elapsed_s)
        if at_s > now_s:
            self._rest(at_s - now_s)

    def _rest(self, seconds: float) -> None:
        allow_silence(seconds)
        self.sleep(seconds)


def _turn(file: Path, every_s: float, elapsed_s: Callable[[], float]) -> tuple[float, float]:
    """Now, and when this call may begin: one turn after the last one that any process of this machine took.

    The file holds when the last turn was taken and when the next is free, in seconds since the machine started, which
    all its processes count alike; what is from before the machine started is of no concern.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # held for microseconds; a process that dies lets go of it
        now_s = elapsed_s()
        taken_s, free_s = _read_turn(handle)
        at_s = max(now_s, free_s) if taken_s <= now_s else now_s
        os.pwrite(handle, f"{now_s:020.6f} {at_s + every_s:020.6f}\n".encode(), 0)
        return now_s, at_s
    finally:
        os.close(handle)


def _read_turn(handle: int) -> tuple[float, float]:
    try:
        taken, free = os.pread(handle, 100, 0).split()
        return float(taken), float(free)
    except ValueError:  # new, or torn by a power cut
        return 0.0, 0.0
