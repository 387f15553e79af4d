"""How a run gets on, in a file that others may read: who runs it, where it is, and whether it is still alive.

A run that ended is a fact of the ledger; this says what the ledger does not: times, and what became of a run whose
process was killed. Such a run is known as dead at once on its own machine, where the system lets go of its lock, and
after a few seconds without a beat on another one. No clock that jumps makes one of the living.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from kairos.pipeline.liveness import BEAT_S, LOOK_AGAIN_S, life_of
from kairos.pipeline.result import RunResult, StepEvent
from kairos.store.locks import is_held
from kairos.values import Json, Window, parse_moment

__all__ = ["Progress", "RunState", "Told", "read_progress", "read_unended"]

RunState = Literal["running", "dead", "finished", "failed"]

_STATES = {"started": "running", "retried": "running", "waits": "waiting"}
"""Of a step after an event; other events are called as the state is."""
_KEPT = 500
"""Files; with more, half as many stay of the runs that ended, and of the dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run's file tells."""

    name: str
    """The run's id, or, before it has one, the name of its file."""
    file: str
    """The name of its file."""
    state: RunState
    started_at: datetime
    """By the project's clock."""
    beat_at: datetime
    """When it was last known to be alive, by its machine's clock."""
    window: str
    pid: int
    host: str
    has_result: bool = False
    """Whether all its steps ended, so that only its record may lack."""
    steps: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """Step to ``state`` (``running``, ``waiting`` for another run, ``ran``, ``reused``, ``failed``), ``elapsed_s``,
    ``why`` and ``tries``."""

    @property
    def at(self) -> tuple[str, ...]:
        """Steps that were running."""
        return tuple(name for name, step in self.steps.items() if step["state"] == "running")


class Progress:
    """Keeps a run's file while it runs. Use it as a context manager, and tell it how the run ended.

    Args:
        folder: Where the files of a project's runs are.
        window: What sources are asked for.
        started_at: By the project's clock.
    """

    def __init__(self, folder: Path, *, window: Window, started_at: datetime) -> None:
        self._folder = folder
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}"
        self._told: dict[str, Json] = {
            "state": "running",
            "started_at": started_at.isoformat(),
            "window": str(window),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "steps": {},
        }
        self._guard = threading.Lock()
        """Of what is told, and of the file."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="kairos-beat", daemon=True)
        self._lock = -1

    def __enter__(self) -> Progress:
        self._folder.mkdir(parents=True, exist_ok=True)
        _forget_old(self._folder)
        self._lock = os.open(self._folder / f"{self._name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        (self._folder / f"{self._name}.json").unlink(missing_ok=True)  # nothing ran, or it has its run's name by now
        (self._folder / f"{self._name}.lock").unlink(missing_ok=True)
        os.close(self._lock)

    @property
    def path(self) -> Path:
        """The file, until the run has ended."""
        return self._folder / f"{self._name}.json"

    def note(self, event: StepEvent) -> None:
        """Takes in what happened to a step; the file tells it with the next beat."""
        with self._guard:
            step = self._told["steps"].setdefault(event.step, {"tries": 1, "why": []})
            step["state"] = _STATES.get(event.what, event.what)
            step["elapsed_s"] = round(event.elapsed_s, 6)
            if event.what in ("started", "waits"):
                step["why"] = list(event.why)
            step["tries"] += event.what == "retried"

    def made(self, result: RunResult) -> None:
        """Its steps have ended, and it is about to become a fact of the ledger."""
        with self._guard:
            self._told["run"] = result.id
        self._write()

    def end(self, result: RunResult) -> None:
        """Leaves the file under the run's id; to be called when the ledger knows of it, as a kill in between would else
        leave no trace of the run."""
        with self._guard:
            self._told["state"] = "finished" if result.ok else "failed"
            for name, step in self._told["steps"].items():
                if step["state"] in ("running", "waiting"):
                    step["state"] = next((one.status for one in result.steps if one.step == name), "failed")
            with suppress(OSError):  # as below; the ledger tells how the run ended
                self._write_as(result.id)

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_S):
            self._write()

    def _write(self) -> None:
        with self._guard:
            if self._told["state"] == "running":
                with suppress(OSError):  # a full disk ends no run here; it is told where results are stored
                    self._write_as(self._name)

    def _write_as(self, name: str) -> None:
        self._told["beat_at"] = datetime.now(UTC).isoformat()
        temporary = self._folder / f".{self._name}.tmp"
        try:
            temporary.write_text(json.dumps(self._told))
            os.replace(temporary, self._folder / f"{name}.json")
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def read_progress(folder: Path) -> list[Told]:
    """What is told of all runs that have a file, in the order in which they began."""
    return _read(folder.glob("*.json"))


def read_unended(folder: Path) -> list[Told]:
    """The same of runs that run now, and of those whose process was killed: no ledger tells of them."""
    unnamed = folder.glob("[0-9]*.json")  # a run gets its id when it ends; others need not be read
    return [told for told in _read(unnamed) if told.state in ("running", "dead")]


def _read(paths: Iterable[Path]) -> list[Told]:
    files = list(paths)
    found = [_look(path) for path in files]
    if "doubtful" in found:
        time.sleep(LOOK_AGAIN_S)
        found = [_look(path) for path in files]
    told = [each for each in found if isinstance(each, Told)]
    return sorted(told, key=lambda each: (each.started_at, each.name))


def _look(path: Path) -> Told | Literal["doubtful"] | None:
    """What a file tells now; ``None``: it is gone meanwhile, or not one of ours."""
    try:
        told = json.loads(path.read_bytes())
        state = told["state"]
        if state == "running":
            here = told["host"] == socket.gethostname()
            life = ("alive" if is_held(path.with_suffix(".lock")) else "dead") if here else life_of(path)
            if life == "doubtful":
                return "doubtful"
            if life == "dead":
                state = "dead" if path.exists() else ""  # it may have ended between two looks
        return _told(path.stem, state, told) if state in get_args(RunState) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _told(file: str, state: RunState, told: Mapping[str, Json]) -> Told:
    return Told(
        name=told.get("run", file),
        file=file,
        has_result="run" in told,
        state=state,
        started_at=parse_moment(told["started_at"]),
        beat_at=parse_moment(told["beat_at"]),
        window=told["window"],
        pid=told["pid"],
        host=told["host"],
        steps=told["steps"],
    )


def _forget_old(folder: Path) -> None:
    """Removes the oldest files of runs that ended, which are in the ledger, and of the dead, which are nowhere else;
    and what those who were killed were writing."""
    for half in folder.glob(".*.tmp"):
        if not (folder / f"{half.name[1:-4]}.lock").exists():
            half.unlink(missing_ok=True)
    if sum(1 for _ in folder.glob("*.json")) <= _KEPT:
        return
    all_told = read_progress(folder)
    ended = [told for told in all_told if told.state in ("finished", "failed")][: -_KEPT // 2]
    dead = [told for told in all_told if told.state == "dead"][: -_KEPT // 2]
    for told in [*ended, *dead]:
        for suffix in (".json", ".lock"):
            (folder / f"{told.file}{suffix}").unlink(missing_ok=True)
