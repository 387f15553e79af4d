"""Several server processes at one address, and their supervisor, who starts another where one dies or stands still."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import wait
from time import monotonic

from kairos.errors import Unavailable
from kairos.serving.beats import Beats, Watch
from kairos.serving.crew import Crew, Worker
from kairos.serving.memory import memory_folder
from kairos.serving.roster import Place, Roster
from kairos.serving.workers import BEATS, Seat, Told, listen

__all__ = ["PATIENCE_S", "supervise"]

PATIENCE_S = 10.0
"""How long the event loop of a worker may stand still, unless the owner says otherwise."""

_GRACE_S = 15.0
"""How long workers may take to end; after that they are killed."""


def supervise(
    work: Callable[[Seat], None],
    *,
    count: int,
    host: str,
    port: int,
    preload: Sequence[str],
    on_ready: Callable[[str, Sequence[Told]], object],
    scheme: str = "http",
    patience_s: float = PATIENCE_S,
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
        patience_s: After this a worker whose event loop stands still is replaced; 0: never.

    Raises:
        UsageError: the address cannot be listened at.
        Unavailable: a worker cannot begin to answer, and says why.
    """
    listeners = listen(host, port, count=count)
    shown = f"[{host}]" if ":" in host else host
    bound_port = int(listeners[0].getsockname()[1])
    with memory_folder() as folder:
        context = get_context("forkserver")
        context.set_forkserver_preload([*preload, "kairos.serving.preloaded"])
        crew = Crew(
            context=context,
            work=work,
            host=host,
            port=bound_port,
            doors=[folder / f"{number}.sock" for number in range(count)],
            beats=Beats(folder / BEATS, count=count),
            patience_s=patience_s,
        )
        workers = [Worker(crew, number, listener) for number, listener in enumerate(listeners)]
        supervisor = _Supervisor(workers, Roster(folder), look_s=Watch(patience_s).look_s if patience_s else None)
        with _Stop() as stop:
            try:
                supervisor.run(stop, lambda told: on_ready(f"{scheme}://{shown}:{bound_port}", told))
            finally:
                _end(workers, stop)
                for one in workers:
                    one.close()
                crew.beats.close()


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


class _Supervisor:
    """Listens to workers, looks after them, and replaces the dead.

    Args:
        workers: They have begun.
        roster: Where is written who answers.
        look_s: How often is looked whether they stand still; ``None``: never.
    """

    def __init__(self, workers: Sequence[Worker], roster: Roster, *, look_s: float | None) -> None:
        self._workers, self._roster, self._look_s = workers, roster, look_s
        self._is_ready = False
        self._written: tuple[Place, ...] = ()
        self._looked_s = monotonic()

    def run(self, stop: _Stop, on_ready: Callable[[Sequence[Told]], object]) -> None:
        """Until told to stop."""
        while not stop.times:
            self._write()
            there = [one for one in self._workers if one.begins_again_s is None]
            lines = {one.line: one for one in there if one.told is None}
            ends = {one.process.sentinel: one for one in there}
            heard = wait([*lines, *ends, stop.line], self._pause_s())
            for each in heard:
                if each in lines:
                    self._hear(lines[each])
            for each in heard:
                if each in ends and not stop.times:
                    ends[each].has_died()
                    if not self._is_ready and ends[each].told is None:
                        raise Unavailable("A worker of the server ended before it could answer.", hint="See above.")
            self._look()
            self._begin_again()
            if not self._is_ready and all(one.told is not None for one in self._workers):
                self._is_ready = True
                self._write()
                on_ready([one.told for one in self._workers if one.told is not None])

    def _hear(self, worker: Worker) -> None:
        try:
            worker.hear()
        except Unavailable as error:
            if not self._is_ready:  # whoever starts the server is told, and it ends
                raise
            worker.cannot_begin(str(error))

    def _look(self) -> None:
        now_s = monotonic()
        if self._look_s is not None and now_s >= self._looked_s + self._look_s:
            self._looked_s = now_s
            for one in self._workers:
                one.look(now_s)

    def _begin_again(self) -> None:
        for one in self._workers:
            others = any(other.state == "answers" for other in self._workers if other is not one)
            if others:
                one.leave()
            if one.begins_again_s is not None and one.begins_again_s <= monotonic():
                one.begin(is_last=self._is_ready and not others)

    def _pause_s(self) -> float | None:
        """How long nothing needs to be done."""
        now_s = monotonic()
        moments = [one.begins_again_s for one in self._workers if one.begins_again_s is not None]
        if self._look_s is not None:
            moments.append(self._looked_s + self._look_s)
        return max(min(moments) - now_s, 0.0) if moments else None

    def _write(self) -> None:
        places = tuple(one.place for one in self._workers)
        if places != self._written:
            with suppress(OSError):  # on a full disk; it is tried again at the next change
                self._roster.write(places)
            self._written = places


def _end(workers: Sequence[Worker], stop: _Stop) -> None:
    """Lets workers finish what is on its way; who does not, or is in the way of a second Ctrl-C, is killed."""
    for one in workers:
        one.process.terminate()
    until_s = monotonic() + _GRACE_S
    asked = stop.times
    while alive := [one.process.sentinel for one in workers if one.process.is_alive()]:
        wait([*alive, stop.line], max(until_s - monotonic(), 0.0))
        if stop.times > max(asked, 1) or monotonic() >= until_s:
            for one in workers:
                one.process.kill()
        elif stop.times:
            _drain(stop.line)
    for one in workers:
        one.process.join()


def _drain(line: socket.socket) -> None:
    try:
        line.recv(64)
    except BlockingIOError:
        return
