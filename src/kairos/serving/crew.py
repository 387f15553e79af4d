"""One worker as its supervisor sees it: begun, heard, looked after, begun again."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from time import monotonic

from kairos.errors import Unavailable
from kairos.serving.beats import Beats, Watch
from kairos.serving.roster import Place, State
from kairos.serving.workers import COUNTS_FOLDER, Seat, Told, listen_beside

__all__ = ["Crew", "Worker"]

_log = logging.getLogger("kairos.serving")

_SHORT_LIFE_S = 5.0
"""A worker that dies sooner is not started again at once."""

_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What all workers of a server have in common."""

    context: ForkServerContext
    work: Callable[[Seat], None]
    host: str
    port: int
    doors: Sequence[Path]
    beats: Beats
    patience_s: float
    """How long an event loop may stand still; 0: for ever."""


class Worker:
    """One seat and whoever sits on it."""

    def __init__(self, crew: Crew, number: int, listener: socket.socket) -> None:
        self._crew, self._listener = crew, listener
        self._listens = True
        self.number = number
        self.state: State = "begins"
        self.told: Told | None = None
        """What the present one said once it answered."""
        self.begins_again_s: float | None = None
        """When another one is begun; ``None``: one is there."""
        self._reason: str | None = None
        self._complaint: str | None = None
        """What was logged last of why it cannot begin."""
        self._restarts = -1
        self._deaths = 0
        """In a row, each after a short life."""
        self.begin(is_last=False)

    @property
    def place(self) -> Place:
        """What others are told of it."""
        pid = self.process.pid if self.begins_again_s is None else None
        return Place(number=self.number, state=self.state, pid=pid, reason=self._reason, restarts=self._restarts)

    def begin(self, *, is_last: bool) -> None:
        """Starts a process.

        Args:
            is_last: Whether no other worker answers: it is to begin in any case, so that somebody tells what is wrong.
        """
        crew = self._crew
        if not self._listens:
            try:
                self._listener, self._listens = listen_beside(crew.host, crew.port), True
            except OSError as error:
                self.cannot_begin(f"its socket cannot be had: {error}")
                self.begins_again_s = monotonic() + _LONGEST_PAUSE_S
                return
        self.line, theirs = crew.context.Pipe()
        seat = Seat(number=self.number, listener=self._listener, doors=crew.doors, line=theirs, is_last=is_last)
        crew.doors[self.number].unlink(missing_ok=True)
        crew.beats.loading(self.number, is_loading=False)
        self.process: ForkServerProcess = crew.context.Process(
            target=crew.work, args=(seat,), name=f"kairos-worker-{self.number}"
        )
        os.environ[COUNTS_FOLDER] = str(crew.doors[self.number].parent)  # for this process, and for no other
        try:
            self.process.start()
        finally:
            del os.environ[COUNTS_FOLDER]
        theirs.close()
        self.told, self.begins_again_s = None, None
        self._watch, self._is_given_up = Watch(crew.patience_s), False
        self._began_s = monotonic()
        self._restarts += 1

    def hear(self) -> None:
        """Takes what it says.

        Raises:
            Unavailable: it cannot begin to answer.
        """
        try:
            kind, told = self.line.recv()
        except (EOFError, OSError):
            return
        if kind == "fails":
            raise Unavailable(told["what"], given=told["given"], hint=told["hint"])
        self.told, self.state, self._complaint = told, "answers", None

    def look(self, now_s: float) -> None:
        """Gives it up where its event loop stands still: first it is asked to say where, then it is killed."""
        if self.state != "answers" or self.begins_again_s is not None or not self._crew.patience_s:
            return
        if self._is_given_up:
            self.process.kill()
            return
        beats, is_loading = self._crew.beats.read(self.number)
        if self._watch.is_over(beats, is_loading=is_loading, now_s=now_s) and self.process.pid is not None:
            self._is_given_up = True
            _log.error("Worker %d stands still for %g s; it is ended.", self.number, self._crew.patience_s)
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGUSR2)

    def has_died(self) -> None:
        """Takes its death down: another one begins, after a pause where they die again and again."""
        self.process.join()
        code = self.process.exitcode or 0
        self.line.close()
        lived_s = monotonic() - self._began_s
        self._deaths = 0 if lived_s > _SHORT_LIFE_S else self._deaths + 1
        pause_s = 0.0 if self._deaths <= 1 else min(0.1 * 2**self._deaths, _LONGEST_PAUSE_S)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if self.state != "fails":
            _log.error("Worker %d %s after %.1f s; another takes its place.", self.number, how, lived_s)
            self._reason = f"stood still and {how}" if self._is_given_up else how
            if self.told is None and self._deaths > 1:
                self.cannot_begin(f"{how} before it could answer")
            else:
                self.state = "begins"
        self.begins_again_s = monotonic() + pause_s

    def leave(self) -> None:
        """Closes the socket of one that is not there, so that nobody waits at it whom another one could answer."""
        if self.state == "fails" and self.begins_again_s is not None and self._listens:
            self._listens = False
            self._listener.close()

    def close(self) -> None:
        """Closes the socket."""
        self._listener.close()

    def cannot_begin(self, reason: str) -> None:
        """Takes down why it does not answer; it is begun again all the same, when it has ended."""
        self.state, self._reason = "fails", reason
        if reason != self._complaint:
            _log.error("Worker %d cannot begin to answer, and is tried again: %s", self.number, reason)
        self._complaint = reason
