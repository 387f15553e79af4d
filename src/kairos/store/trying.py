"""Asking a place again when it failed, with longer and longer waits; and giving up for all when one has to."""

from __future__ import annotations

import errno
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from kairos.store.places import PlaceRefused

__all__ = ["Patience", "Trying"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_FOR_GOOD = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})
"""What asking again does not mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a place is asked again, and how long is waited before."""

    tries: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0

    def waits_s(self) -> Iterator[float]:
        """Waits between tries, doubled each time; a part of each is left to chance, so not all come at once."""
        wait_s = self.first_wait_s
        for _ in range(self.tries - 1):
            yield min(wait_s, self.longest_wait_s) * random.uniform(0.5, 1.0)
            wait_s *= 2


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Trying:
    """Asks a place from several threads. When one has asked in vain for the last time, the others do not ask again.

    Use it as a context manager; when it ends by an error, or by Ctrl-C, nobody waits for what is on its way.
    """

    jobs: int
    patience: Patience
    abandon: Callable[[], None] = _nothing
    """Lets those who wait for the place go on; called when all is given up."""
    _gone: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="kairos-remote")

    def __enter__(self) -> Trying:
        return self

    def __exit__(self, *error: object) -> None:
        self._gone.set()
        if error[0] is not None:
            self.abandon()
        self._pool.shutdown(cancel_futures=True)

    def each(self, ask: Callable[[Item], Answer], items: Iterable[Item], *, ahead: int = 8) -> Iterator[Answer]:
        """What ``ask`` says of each, in the order of the items; for each job so many are on their way at once.

        Raises:
            OSError: the place failed for good; nothing more is asked.
        """
        waiting: deque[Future[Answer]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(self.ask, ask, item))
                while waiting and (len(waiting) > ahead * self.jobs or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self._gone.set()
            self.abandon()
            for future in waiting:
                future.cancel()
            raise

    def ask(self, ask: Callable[[Item], Answer], item: Item) -> Answer:
        """What ``ask`` says of one, asked again as long as there is patience.

        Raises:
            OSError: it failed for good.
        """
        waits_s = self.patience.waits_s()
        while True:
            if self._gone.is_set():
                raise _given_up()
            try:
                return ask(item)
            except (FileNotFoundError, PermissionError, PlaceRefused):
                raise
            except OSError as error:
                wait_s = None if error.errno in _FOR_GOOD else next(waits_s, None)
                if wait_s is None:
                    self._gone.set()
                    raise
                if self._gone.wait(wait_s):
                    raise


def _given_up() -> OSError:
    return OSError("nothing more was asked of it")
