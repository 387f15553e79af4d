"""``report``: how a step gets on, told while it runs, so that a trial without hope is stopped early.

Outside a run it does nothing, so a step that reports is a plain function still. In a run what was reported is kept as a
metric of the step, with its steps. In a trial of `kairos tune` it may be the last thing that the step does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

from kairos.errors import UsageError
from kairos.pipeline.logged import Logged, LoggedRun, Point
from kairos.store import Store
from kairos.values import Digest

__all__ = ["PRUNED", "REPORTED", "Curve", "Past", "Pruned", "Reports", "Watch", "curve_of", "report", "reporting"]

REPORTED = "reported"
"""Name of the metric."""
PRUNED = "Pruned"
"""The type of the failure of a step that was stopped for want of hope."""

Curve: TypeAlias = Sequence[tuple[int, float]]
"""What one step reported, by its own count of steps: lower is better."""


class Pruned(BaseException):
    """A trial has no hope and ends here. No ``except Exception`` of the step's own takes it for a trouble of its own.

    Args:
        step: The step's own count at which it ends.
        loss: What it had reported there.
    """

    def __init__(self, step: int, loss: float) -> None:
        self.step, self.loss = step, loss
        super().__init__(step, loss)

    def __str__(self) -> str:
        return f"stopped at {self.step} with {self.loss:.6g}, which is worse than what other trials had there"


class Past(NamedTuple):
    """What a step of another trial had reported."""

    number: int
    """The trial's."""
    curve: Curve
    """By ascending steps."""
    is_finished: bool = True
    """Whether it came to its end, and was not stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a trial is watched by. It is sent to where the step runs, which asks nobody then."""

    judge: str
    """``MODULE:FUNCTION`` of this watch, what others reported, and this trial's curve: whether it has no hope."""
    past: Mapping[str, Sequence[Past]] = field(default_factory=dict)
    """By step, the trials that are over by number."""
    after: int = 0
    """Nothing is stopped before this step of its own count."""
    way: str = ""
    """How the judge goes about it."""
    study: str = ""
    number: int = 0
    """The trial's."""


class Reports:
    """What one call of a step reported.

    Args:
        step: The pipeline's step.
        watch: ``None``: nobody stops it.
        log: A folder in which each value is written down at once; ``None``: it is not.
    """

    def __init__(self, step: str, watch: Watch | None, log: Path | None = None) -> None:
        self._log = log
        self._past: Sequence[Past] = () if watch is None else watch.past.get(step, ())
        self._watch = watch if self._past else None
        self.points: list[Point] = []

    def take(self, loss: float, step: int) -> None:
        """Keeps a value.

        Raises:
            Pruned: there is no hope.
        """
        self.points.append(Point(REPORTED, loss, round(time.time() * 1000), step))
        self._write_down(self.points[-1])
        if self._watch is not None and step >= self._watch.after:
            module, _, function = self._watch.judge.partition(":")
            if getattr(import_module(module), function)(self._watch, self._past, curve_of(self.points)):
                raise Pruned(step, loss)

    @staticmethod
    def written_down(log: Path) -> Reports:
        """What a process that is gone had written down in a folder; its last line may be cut off."""
        reports = Reports("", None)
        with suppress(FileNotFoundError):
            for line in (log / REPORTED).read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    value, at_ms, step = json.loads(line)
                    reports.points.append(Point(REPORTED, float(value), at_ms, step))
        return reports

    def _write_down(self, point: Point) -> None:
        if self._log is None:
            return
        with suppress(OSError):  # a full disk ends no step here: the value is in memory as well
            self._log.mkdir(parents=True, exist_ok=True)
            with open(self._log / REPORTED, "a", encoding="utf-8") as file:
                file.write(json.dumps([repr(point.value), point.at_ms, point.step]) + "\n")

    def keep(self, store: Store) -> tuple[Digest, ...]:
        """Stores what was reported, as what a step logs; nothing if nothing was."""
        if not self.points:
            return ()
        times = [point.at_ms for point in self.points]
        run = LoggedRun(name=REPORTED, points=tuple(self.points), started_ms=min(times), ended_ms=max(times))
        return Logged(runs=(run,)).keep(store)


_at_work: list[Reports] = []
"""One at most: a worker makes one step at a time. Threads of the step see it as well."""


def report(loss: float, *, step: int) -> None:
    """Says how good a step's result is by now: a loss on rows it does not learn from, lower is better.

    Call it now and then while something is learnt. Within `kairos tune` a trial that is worse than most were at the
    same ``step`` ends here; in any other run the values are recorded; in a plain call, as in a test, nothing happens.

    Args:
        loss: Of what is learnt so far.
        step: How far that is: an epoch, a number of trees; whole, from 0 on, and growing.

    Raises:
        UsageError: the loss is no number, or the step no whole number.
    """
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise UsageError("report() counts steps in whole numbers.", given=step, accepted="step=0, step=1, …")
    try:
        value = float(loss)
    except (TypeError, ValueError):
        raise UsageError("report() takes a number.", given=loss, accepted="a loss, lower is better") from None
    if _at_work:
        _at_work[-1].take(value, step)


@contextmanager
def reporting(step: str, watch: Watch | None, log: Path | None = None) -> Iterator[Reports]:
    """Takes what the block reports; see ``Reports`` for the arguments."""
    reports = Reports(step, watch, log)
    _at_work.append(reports)
    try:
        yield reports
    finally:
        _at_work.remove(reports)


def curve_of(points: Sequence[Point]) -> list[tuple[int, float]]:
    """What was reported, in the order of its steps; of one step what was said last."""
    said = {point.step: point.value for point in points if point.name == REPORTED}
    return sorted(said.items())
