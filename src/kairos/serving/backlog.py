"""Work for after the answer: versions that did not answer predict the same rows, in a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from kairos.clock import Clock
from kairos.serving.faults import Faults
from kairos.serving.outcomes import Reply, Request

__all__ = ["Backlog"]

Work = tuple[Request, Reply]


class Backlog:
    """One thread that settles what is owed. If too much waits, new work is skipped and handed to ``on_skip``."""

    def __init__(
        self,
        settle: Callable[[Request, Reply], None],
        *,
        on_skip: Callable[[Request, Reply], None],
        most_waiting: int,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._faults = Faults()
        self._settle = settle
        self._on_skip = on_skip
        self._queue: queue.Queue[Work | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._run, name="kairos-backlog", daemon=True)
        self._thread.start()

    def add(self, request: Request, reply: Reply) -> None:
        """Queues what is owed after a reply, or skips it; never waits."""
        try:
            self._queue.put_nowait((request, reply))
        except queue.Full:
            self._on_skip(request, reply)

    def close(self) -> None:
        """Finishes what waits, then stops."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                self._settle(*work)
            except Exception as error:  # a fault in one debt must not leave all later ones unpaid
                at_s = self._clock.elapsed_s()
                self._faults.tell("A prediction that was owed after an answer failed", error, at_s=at_s)
