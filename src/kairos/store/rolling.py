"""A thread that rolls the prediction log beside a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kairos.errors import StoreError

__all__ = ["keep_rolling"]

_log = logging.getLogger("kairos.store")


@contextmanager
def keep_rolling(
    roll: Callable[[], int], waiting_bytes: Callable[[], int], *, every_s: float, most_bytes: int, look_s: float
) -> Iterator[None]:
    """Rolls in a thread of its own until the block ends.

    Args:
        roll: Rolls; a failure is logged, once for each reason, and tried again at the next look.
        waiting_bytes: How much waits.
        every_s: The longest time between two rolls.
        most_bytes: A roll begins when this much waits.
        look_s: Time between two looks at how much waits.
    """
    stop = threading.Event()

    def run() -> None:
        waited_s, told = 0.0, ""
        while not stop.wait(look_s):
            waited_s += look_s
            try:
                if waited_s >= every_s or waiting_bytes() >= most_bytes:
                    roll()
                    waited_s, told = 0.0, ""
            except (StoreError, OSError) as error:
                if str(error) != told:
                    _log.error("The prediction log cannot be rolled: %s", error)
                told = str(error)

    thread = threading.Thread(target=run, name="kairos-roll", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
