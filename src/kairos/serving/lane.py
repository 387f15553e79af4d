"""A lane for each model: what comes while a prediction runs joins the next; when nothing runs, nothing waits.

There is no timer. Quick models run in the event loop, at the end of the turn that read the requests, so that no thread
is woken and all that came in one turn goes together. Slow ones run in the lane's own thread, and hold up nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kairos.clock import Clock
from kairos.errors import Late, Overloaded, Unavailable
from kairos.serving.asks import Ask, Given
from kairos.serving.cutoff import Aside
from kairos.serving.rows import Answers
from kairos.store.spool import Commit

__all__ = ["LONGEST_WAIT_S", "MOST_ROWS", "MOST_WAITING", "Lane", "Lanes"]

MOST_WAITING = 1_024
"""Requests that wait for one model; one more is refused, so that it can go to another instance."""

MOST_ROWS = 4_096
"""Rows that go together in one call, unless a single request has more."""

LONGEST_WAIT_S = 30.0
"""After this a client gets an error in place of an answer, unless she names another time."""

_QUICK_US = 500.0
"""A call of a model that takes less, as the last calls went, is made in the event loop."""

_MEMORY = 0.2
"""Weight of the newest call among the last."""

_LOOK_S = 0.5
"""How often a lane whose call takes long looks for clients that have waited too long."""


@dataclass(slots=True, eq=False)
class _Waiting:
    ask: Ask
    until_s: float
    future: asyncio.Future[Answers | Unavailable]


class Lanes:
    """The lanes of all models; to be used from one event loop.

    Args:
        answer: Answers asks that go with each other; safe to call from threads.
        clock: The server's.
    """

    def __init__(self, answer: Callable[[Sequence[Ask]], Given], *, clock: Clock) -> None:
        self._answer, self._clock = answer, clock
        self._lanes: dict[str, Lane] = {}

    def of(self, model: str) -> Lane:
        """The lane of a model that is live."""
        lane = self._lanes.get(model)
        if lane is None:
            lane = self._lanes[model] = Lane(self._answer, clock=self._clock, name=model)
        return lane

    def close(self) -> None:
        """Lets go of the threads; one whose model hangs is not waited for."""
        for lane in self._lanes.values():
            lane.close()


class Lane:
    """Asks for one model, in the order in which they came."""

    def __init__(self, answer: Callable[[Sequence[Ask]], Given], *, clock: Clock, name: str) -> None:
        self._answer, self._clock = answer, clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._running: Sequence[_Waiting] = ()
        self._held: dict[Commit, list[tuple[Sequence[_Waiting], Given]]] = {}
        """What is answered once its commit has ended."""
        self._holding = 0
        """How many requests that are."""
        self._is_busy = False
        self._is_looking = False
        self._call_us = 2 * _QUICK_US
        self._aside = Aside(f"kairos-{name}")

    def submit(self, ask: Ask, *, within_s: float | None = None) -> asyncio.Future[Answers | Unavailable]:
        """Queues an ask; what comes of it is what ``ModelServer.write`` takes.

        Args:
            ask: A request that was read.
            within_s: When the client stops waiting; ``None``: ``LONGEST_WAIT_S``. The future then raises ``Late``.

        Raises:
            Overloaded: too many wait.
        """
        if len(self._waiting) + self._holding >= MOST_WAITING:
            raise Overloaded(
                f"Too many requests wait for {ask.route.model!r} already.", accepted=f"up to {MOST_WAITING} at once"
            )
        patience_s = LONGEST_WAIT_S if within_s is None else within_s
        waiting = _Waiting(ask, ask.start_s + patience_s, self._loop.create_future())
        self._waiting.append(waiting)
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._turn)
        return waiting.future

    def close(self) -> None:
        """Lets go of the thread."""
        self._aside.close()

    def _turn(self) -> None:
        """Takes what goes together and answers it."""
        batch = self._take()
        if not batch:
            self._is_busy = False
            return
        self._running = batch
        if self._call_us < _QUICK_US:
            self._finish(batch, self._work(batch))
            return
        self._look_soon()
        self._aside.submit(lambda: self._work_aside(batch))

    def _take(self) -> list[_Waiting]:
        now_s, rows = self._clock.elapsed_s(), 0
        batch: list[_Waiting] = []
        while self._waiting:
            first = self._waiting[0]
            count = first.ask.rows.count
            if batch and (rows + count > MOST_ROWS or not first.ask.goes_with(batch[0].ask)):
                break
            self._waiting.popleft()
            if _expire(first, now_s) or first.future.done():  # its client is gone
                continue
            batch.append(first)
            rows += count
        return batch

    def _work(self, batch: Sequence[_Waiting]) -> Given | Exception:
        try:
            return self._answer([one.ask for one in batch])
        except Exception as error:  # nobody foresaw it: each client is told, the lane goes on
            return error

    def _work_aside(self, batch: Sequence[_Waiting]) -> None:
        given = self._work(batch)
        with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
            self._loop.call_soon_threadsafe(self._finish, batch, given)

    def _finish(self, batch: Sequence[_Waiting], given: Given | Exception) -> None:
        self._running = ()
        if isinstance(given, Exception):
            for one in batch:
                if not one.future.done():
                    one.future.set_exception(given)
        else:
            self._call_us += _MEMORY * (given.slowest_us - self._call_us)
            if given.commit is None:
                self._release(batch, given)
            else:
                self._hold(batch, given, given.commit)
        if self._waiting:
            self._loop.call_soon(self._turn)
        else:
            self._is_busy = False

    def _release(self, batch: Sequence[_Waiting], given: Given) -> None:
        """Lets the answers go."""
        for one, answers in zip(batch, given.ended(), strict=True):
            if not one.future.done():
                one.future.set_result(answers)
        if given.after is not None:
            self._loop.call_soon(given.after)  # behind those who were waiting: they write their answers first

    def _hold(self, batch: Sequence[_Waiting], given: Given, commit: Commit) -> None:
        """Keeps answers until they are safely on record; the lane goes on meanwhile."""
        self._holding += len(batch)
        held = self._held.get(commit)
        if held is not None:
            held.append((batch, given))
            return
        self._held[commit] = [(batch, given)]
        self._look_soon()
        commit.add_done_callback(self._commit_ended)

    def _commit_ended(self, commit: Commit) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
            self._loop.call_soon_threadsafe(self._release_all, commit)

    def _release_all(self, commit: Commit) -> None:
        for batch, given in self._held.pop(commit):
            self._holding -= len(batch)
            self._release(batch, given)

    def _look_soon(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        """Tells clients that have waited too long, even if the model hangs."""
        self._is_looking = False
        now_s = self._clock.elapsed_s()
        held = (one for each in self._held.values() for batch, _ in each for one in batch)
        for one in (*self._running, *self._waiting, *held):
            _expire(one, now_s)
        if self._is_busy or self._held:
            self._look_soon()


def _expire(one: _Waiting, now_s: float) -> bool:
    """Ends the wait of a client whose time is over; whether it is."""
    if now_s < one.until_s:
        return False
    if not one.future.done():
        one.future.set_exception(
            Late(f"{one.ask.route.model!r} did not answer in time.", given=f"{one.until_s - one.ask.start_s:g} s")
        )
    return True
