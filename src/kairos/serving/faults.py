"""What a fault says of itself in the server's log: its class and where it arose.

Never its message, nor that of its causes: a model that fails on a row likes to quote the row. And not every time: a
model that fails on each request must not fill the disk.
"""

from __future__ import annotations

import logging
import threading
import traceback

__all__ = ["QUIET_S", "Faults"]

_log = logging.getLogger("kairos.serving")

QUIET_S = 60.0
"""How long a fault that was told is only counted."""


class Faults:
    """Tells of faults of one kind of work; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects what follows
        self._told: dict[str, tuple[float, int]] = {}
        """By class: when it was told last, and how often it occurred since."""

    def tell(self, what: str, error: BaseException, *, at_s: float) -> None:
        """Logs the fault, unless one of the same class was logged within ``QUIET_S``.

        Args:
            what: What failed, without anything that a user sent.
            error: What it failed with.
            at_s: The moment, as ``Clock.elapsed_s`` gives it.
        """
        name = _name(error)
        with self._lock:
            last_s, silent = self._told.get(name, (at_s - QUIET_S, 0))
            if at_s - last_s < QUIET_S:
                self._told[name] = (last_s, silent + 1)
                return
            self._told[name] = (at_s, 0)
        again = f", and {silent} times more since that was last told" if silent else ""
        _log.error("%s: %s%s. The message is left out: it may quote a user.\n%s", what, name, again, _places(error))


def _places(error: BaseException) -> str:
    """Where it was raised, as in a traceback, the latest last; before it where its causes were."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    parts = [f"{_name(each)}:\n{''.join(traceback.format_tb(each.__traceback__))}" for each in reversed(chain)]
    return "then ".join(parts).rstrip()


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
