"""Several server processes at one address, and their supervisor, who starts another where one dies.

Each worker listens at the address with a socket of its own (``SO_REUSEPORT``), which the supervisor keeps open: who
connects while a worker is being started anew waits, and is not refused. Workers are forked from a process that has
loaded the code and runs no threads, so they share its memory and start in a moment.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from kairos.errors import KairosError, Unavailable, UsageError
from kairos.values import Json

__all__ = ["COUNTS_FOLDER", "Seat", "Told", "listen", "supervise", "usable_cores"]

_log = logging.getLogger("kairos.serving")

_GRACE_S = 15.0
"""How long workers may take to end; after that they are killed."""

_SHORT_LIFE_S = 5.0
"""A worker that dies sooner is not started again at once."""

_LONGEST_PAUSE_S = 2.0
_BACKLOG = 2048

COUNTS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that names the folder in which workers count together; see ``metrics``."""

Told = Mapping[str, Json]
"""What a worker says of itself once it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """What a worker is given."""

    number: int
    """From 0."""
    listener: socket.socket
    """Bound to the address; the worker listens."""
    doors: Sequence[Path]
    """The Unix sockets of all workers, in the order of their numbers."""
    line: Connection
    """Takes one ``Told``, or one error; its other end closes when the supervisor is gone."""

    def tell(self, told: Told) -> None:
        """Says that requests are answered."""
        self.line.send(("answers", dict(told)))

    def fail(self, error: KairosError) -> None:
        """Says why it cannot answer."""
        self.line.send(("fails", {"what": error.what, "given": error.given, "hint": error.hint}))


def supervise(
    work: Callable[[Seat], None],
    *,
    count: int,
    host: str,
    port: int,
    preload: Sequence[str],
    on_ready: Callable[[str, Sequence[Told]], object],
    scheme: str = "http",
) -> None:
    """Runs workers until told to stop (SIGTERM or Ctrl-C); requests on their way are answered first.

    Args:
        work: What a worker does until SIGTERM; can be pickled.
        count: How many.
        host: Address to listen at.
        port: 0 for any free one.
        preload: Modules that are loaded once for all.
        on_ready: Told the URL, and what each worker said, as soon as all of them answer.
        scheme: Of that URL.

    Raises:
        UsageError: the address cannot be listened at.
        Unavailable: a worker cannot begin to answer, and says why.
    """
    listeners = listen(host, port, count=count)
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{listeners[0].getsockname()[1]}"
    with TemporaryDirectory(prefix="kairos-") as folder:
        context = get_context("forkserver")
        context.set_forkserver_preload([*preload, "kairos.serving.preloaded"])
        doors = [Path(folder) / f"{number}.sock" for number in range(count)]
        crew = [_Worker(context, work, number, listeners[number], doors) for number in range(count)]
        with _Stop() as stop:
            try:
                _until_stopped(crew, stop, lambda told: on_ready(url, told))
            finally:
                _end(crew, stop)
                for listener in listeners:
                    listener.close()


def listen(host: str, port: int, *, count: int = 1, option: str = "--port") -> list[socket.socket]:
    """Sockets that share an address; a single one shares it with nobody.

    Raises:
        UsageError: it cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found: list[socket.socket] = []
    try:
        probe = _bound(family, host, port, is_shared=False)
        if count == 1:
            probe.listen(_BACKLOG)
            return [probe]
        taken = probe.getsockname()[1]
        probe.close()  # it was there to find out whether somebody else, who would share, has the address
        for _ in range(count):
            found.append(_bound(family, host, taken, is_shared=True))
    except (OSError, OverflowError) as error:
        for each in found:
            each.close()
        raise UsageError(
            f"The server cannot listen at {host}:{port}.", given=str(error), hint=f"Type another one: {option} 0"
        ) from error
    return found


def usable_cores() -> int:
    """How many cores this process may use: by its affinity, and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(min(cores, math.ceil(int(quota) / int(period))), 1)
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def _bound(family: socket.AddressFamily, host: str, port: int, *, is_shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except BaseException:
        made.close()
        raise
    return made


class _Worker:
    """One seat and whoever sits on it."""

    def __init__(
        self,
        context: ForkServerContext,
        work: Callable[[Seat], None],
        number: int,
        listener: socket.socket,
        doors: Sequence[Path],
    ) -> None:
        self._context, self._work, self._listener, self._doors = context, work, listener, doors
        self.number = number
        self.told: Told | None = None
        self._deaths = 0
        self.begin()

    def begin(self) -> None:
        """Starts a process."""
        self.line, theirs = self._context.Pipe()
        seat = Seat(number=self.number, listener=self._listener, doors=self._doors, line=theirs)
        self._doors[self.number].unlink(missing_ok=True)
        self.process: ForkServerProcess = self._context.Process(
            target=self._work, args=(seat,), name=f"kairos-worker-{self.number}"
        )
        os.environ[COUNTS_FOLDER] = str(self._doors[self.number].parent)  # for this process, and for no other
        try:
            self.process.start()
        finally:
            del os.environ[COUNTS_FOLDER]
        theirs.close()
        self._began_s = monotonic()
        self.begins_again_s: float | None = None

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
        self.told = told

    def has_died(self) -> None:
        """Takes its death down: another one begins, after a pause where they die again and again."""
        self.process.join()
        code = self.process.exitcode or 0
        self.line.close()
        lived_s = monotonic() - self._began_s
        self._deaths = 0 if lived_s > _SHORT_LIFE_S else self._deaths + 1
        pause_s = 0.0 if self._deaths <= 1 else min(0.1 * 2**self._deaths, _LONGEST_PAUSE_S)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        _log.error("Worker %d %s after %.1f s; another takes its place.", self.number, how, lived_s)
        self.begins_again_s = monotonic() + pause_s


class _Stop:
    """Ctrl-C and SIGTERM, as something that can be waited for."""

    def __init__(self) -> None:
        self.times = 0
        self.line, self._ours = socket.socketpair()
        self.line.setblocking(False)
        self._ours.setblocking(False)

    def __enter__(self) -> _Stop:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.line.close()
        self._ours.close()

    def _take(self, number: int, frame: object) -> None:
        self.times += 1
        self._ours.send(b"x")


def _until_stopped(crew: Sequence[_Worker], stop: _Stop, on_ready: Callable[[Sequence[Told]], object]) -> None:
    """Listens to workers, and replaces the dead, until told to stop."""
    is_ready = False
    while not stop.times:
        lines = {one.line: one for one in crew if one.told is None and one.begins_again_s is None}
        ends = {one.process.sentinel: one for one in crew if one.begins_again_s is None}
        pauses = [one.begins_again_s - monotonic() for one in crew if one.begins_again_s is not None]
        heard = wait([*lines, *ends, stop.line], max(min(pauses), 0.0) if pauses else None)
        for each in heard:
            if each in lines:
                lines[each].hear()
        for each in heard:
            if each in ends and not stop.times:
                ends[each].has_died()
                if not is_ready and ends[each].told is None:
                    raise Unavailable("A worker of the server ended before it could answer.", hint="See above.")
        for one in crew:
            if one.begins_again_s is not None and one.begins_again_s <= monotonic():
                one.begin()
        if not is_ready and all(one.told is not None for one in crew):
            is_ready = True
            on_ready([one.told for one in crew if one.told is not None])


def _end(crew: Sequence[_Worker], stop: _Stop) -> None:
    """Lets workers finish what is on its way; who does not, or is in the way of a second Ctrl-C, is killed."""
    for one in crew:
        one.process.terminate()
    until_s = monotonic() + _GRACE_S
    asked = stop.times
    while alive := [one.process.sentinel for one in crew if one.process.is_alive()]:
        wait([*alive, stop.line], max(until_s - monotonic(), 0.0))
        if stop.times > max(asked, 1) or monotonic() >= until_s:
            for one in crew:
                one.process.kill()
        elif stop.times:
            _drain(stop.line)
    for one in crew:
        one.process.join()


def _drain(line: socket.socket) -> None:
    try:
        line.recv(64)
    except BlockingIOError:
        return
