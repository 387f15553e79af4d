"""What a step's own code logged while it ran: params, every value of every metric, tags, files, models.

It is kept beside the step's result and comes along when the result is reused. Whatever a library calls an experiment
does not matter here: all of a step belongs to the run of which the step is a part.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kairos.store import Store
from kairos.values import Digest, Json, canonical_json, unplain

__all__ = ["Listener", "Logged", "LoggedModel", "LoggedRun", "Point", "told_apart"]

_FORMAT = 1

Listener = str
"""``MODULE:FUNCTION`` of a folder and a store that reads what a library left in the one, and keeps it in the other: the
adapter's part. With ``was_killed=True`` the process that logged is gone, and what it had not ended has failed."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric."""

    name: str
    value: float
    at_ms: int
    """Since 1970 in UTC, by the clock of the machine that the step ran on."""
    step: int
    """As the code counts: an epoch, a batch; 0 if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A model that the step's code logged by itself."""

    name: str
    type: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    files: Digest | None = None
    """A folder in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """What belongs together: what the library calls one run."""

    name: str
    parent: int | None = None
    """Place of the run below which this one was begun; ``None``: it was begun by itself."""
    is_failed: bool = False
    started_ms: int = 0
    ended_ms: int = 0
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    """In the order of their times."""
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[Mapping[str, Any]] = ()
    """Data sets: name, digest, source_type, source, schema, profile, and tags."""
    files: Digest | None = None
    """A folder in the store."""
    models: Sequence[LoggedModel] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What one call of a step logged."""

    runs: Sequence[LoggedRun] = ()

    @property
    def main(self) -> LoggedRun | None:
        """The one that is the run itself; ``None`` if the code began several beside each other, as parts of it."""
        own = [run for run in self.runs if run.parent is None]
        return own[0] if len(own) == 1 else None

    def values(self) -> dict[str, Json]:
        """Params, and each metric as it was last: at its highest step, and there at its latest time."""
        main = self.main
        if main is None or not (main.params or main.points):
            return {}
        last: dict[str, Point] = {}
        for point in main.points:
            known = last.get(point.name)
            if known is None or (point.step, point.at_ms) >= (known.step, known.at_ms):
                last[point.name] = point
        return {"params": dict(main.params), "metrics": {name: point.value for name, point in sorted(last.items())}}

    def keep(self, store: Store) -> tuple[Digest, ...]:
        """Stores it; the first digest is its own, the others are those of the folders that it names."""
        own = store.put_bytes(canonical_json({"format": _FORMAT, "runs": self.runs}))
        return (own, *self.folders())

    def folders(self) -> Iterator[Digest]:
        """Folders of files that it names."""
        for run in self.runs:
            for files in (run.files, *(model.files for model in run.models)):
                if files is not None:
                    yield files

    @staticmethod
    def read(store: Store, digest: Digest) -> Logged:
        """What was kept under a digest."""
        runs = unplain(json.loads(store.get_bytes(digest, verify=True)))["runs"]
        return Logged(runs=tuple(_run(run) for run in runs))


def told_apart(used: Mapping[str, Iterable[str]], taken: Iterable[str] = ()) -> dict[tuple[str, str], str]:
    """The name in the run of each name that a step used: its own, or ``STEP.NAME`` where that would not be its alone.

    Args:
        used: Step to the names that it used.
        taken: Names that the run has beside.

    >>> told_apart({"fit": ["loss", "depth"], "tune": ["loss"]}, taken=["mae"])
    {('fit', 'loss'): 'fit.loss', ('fit', 'depth'): 'depth', ('tune', 'loss'): 'tune.loss'}
    """
    names = [(step, name) for step, own in used.items() for name in dict.fromkeys(own)]
    often = Counter([name for _, name in names])
    often.update(list(taken))  # of a mapping, Counter would add the values
    return {(step, name): name if often[name] == 1 else f"{step}.{name}" for step, name in names}


def _run(plain: Mapping[str, Any]) -> LoggedRun:
    models = tuple(LoggedModel(**{**model, "points": _points(model["points"])}) for model in plain["models"])
    return LoggedRun(**{**plain, "points": _points(plain["points"]), "models": models})


def _points(plain: Sequence[Mapping[str, Any]]) -> tuple[Point, ...]:
    return tuple(Point(**{**point, "value": float(point["value"])}) for point in plain)
