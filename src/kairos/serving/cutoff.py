"""Calls that are given up after a while: a version that hangs holds up nobody whom another one can answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Aside", "CutOff", "TimedOut"]

T = TypeVar("T")


class TimedOut(Exception):
    """A version took longer than it may, or is still at a call that was given up."""


class Aside:
    """A thread that does one piece of work after the other, and keeps no process from ending.

    Args:
        name: Of the thread, which is started by the first piece of work.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Has work done after what was submitted before; it must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(work)

    def close(self) -> None:
        """Ends the thread after what was submitted; it is not waited for."""
        self._queue.put(None)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()


class CutOff:
    """Calls one version; safe from several threads."""

    def __init__(self) -> None:
        self._free: list[Aside] = []
        self._stuck: threading.Event | None = None
        """Is set when the call that was given up ends after all."""

    def call(self, work: Callable[[], T], *, within_s: float, name: str) -> T:
        """What ``work`` gives, or raises.

        Args:
            work: What is called, in a thread of its own.
            within_s: When it is given up; it goes on, unheard.
            name: Of the thread.

        Raises:
            TimedOut: it was given up, or one given up before has not ended: no second thread is lost to it.
        """
        if self._stuck is not None:
            if not self._stuck.is_set():
                raise TimedOut("A call that was given up has not ended.")
            self._stuck = None
        done, outcome = threading.Event(), list[tuple[bool, Any]]()

        def run() -> None:
            try:
                outcome.append((True, work()))
            except BaseException as error:  # raised again where it was called
                outcome.append((False, error))
            finally:
                done.set()

        aside = self._free.pop() if self._free else Aside(name)
        aside.submit(run)
        if not done.wait(within_s):
            self._stuck = done
            aside.close()
            raise TimedOut("A call was given up.")
        self._free.append(aside)
        is_fine, value = outcome[0]
        if not is_fine:
            raise value
        given: T = value
        return given
