"""What was sent and may have to be sent again: whether a failed try is followed by another, and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kairos.errors import KairosError, StepFailed
from kairos.pipeline.job import Job, Piece
from kairos.pipeline.ports import Task
from kairos.pipeline.reporting import PRUNED

__all__ = ["Later", "Sent", "next_try"]


@dataclass(slots=True)
class Sent:
    """What a future is for."""

    job: Job
    then: Callable[[Any], None]
    """What goes on with the result."""
    piece: Piece | None = None
    """``None``: an origin is asked about the whole source."""
    task: Task | None = None
    """For an engine; ``None``: an origin is asked."""
    tries: int = 0
    """That failed."""

    def again(self, wait_s: float) -> str:
        """When it is tried again, in words."""
        assert self.task is not None  # only tasks are tried again
        return f"try {self.tries + 1} of {self.task.limits.retries + 1} in {wait_s:.3g} s"


def next_try(sent: Sent, error: KairosError) -> float | None:
    """Seconds until the next try, which a step's own failures have as long as tries are left; ``None``: there is none.

    Args:
        sent: What failed, and how often it has by now.
        error: Why.
    """
    if sent.task is None or not isinstance(error, StepFailed) or sent.tries > sent.task.limits.retries:
        return None
    if error.facts.get("type") == PRUNED:  # what was stopped on purpose is not begun again
        return None
    return sent.task.limits.wait_s(sent.tries)


class Later:
    """What is tried again, in its order."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Sent, KairosError]] = []
        """When, in seconds of the machine's clock, and why its last try failed."""

    def __bool__(self) -> bool:
        """Whether there is something."""
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Sent]:
        return (sent for _, sent, _ in self._waiting)

    def put(self, sent: Sent, wait_s: float, error: KairosError) -> None:
        """Lets something wait that failed."""
        self._waiting.append((time.monotonic() + wait_s, sent, error))

    def due(self) -> list[Sent]:
        """Takes what has waited long enough."""
        if not self._waiting:
            return []
        now = time.monotonic()
        due = [sent for at, sent, _ in self._waiting if at <= now]
        self._waiting = [each for each in self._waiting if each[0] > now]
        return due

    def given_up(self) -> list[tuple[Sent, KairosError]]:
        """Takes all, with why each failed: none of it is tried again."""
        given_up = [(sent, error) for _, sent, error in self._waiting]
        self._waiting.clear()
        return given_up
