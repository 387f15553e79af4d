"""Runs that were killed as a whole, with all their processes: what their steps had logged becomes a fact all the same.

While a run goes on, a folder of its own holds what its steps log, a lock that says that it lives, and what the run is.
A folder whose lock nobody holds is what a kill, or a power cut, has left. Who tells the record next takes it up.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kairos.app.project import Project
from kairos.pipeline.hearing_out import hear_out
from kairos.pipeline.logged import Logged
from kairos.pipeline.result import RunResult, StepResult
from kairos.pipeline.setup import Setup
from kairos.pipeline.spent import machine
from kairos.store.locks import is_held
from kairos.values import Digest, Json, parse_moment, plain

__all__ = ["LISTENER", "LogFolder", "are_left", "take_up"]

LISTENER = "kairos.adapters.mlflow.inside:keep"
"""Loaded by a worker whose step logged with MLflow, and by nobody else."""

_PLACE = "logging"
_LOCK, _RUN = "lock", "run.json"
OWN = "0"
"""The part of a folder that holds what steps log with the run's own seed."""


class LogFolder:
    """The folder of one run, from now on.

    Args:
        home: The project's.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / _PLACE / f"{socket.gethostname()}-{os.getpid()}-{time.time_ns()}"
        self._lock = -1
        with suppress(OSError):  # a full disk is told where results are stored
            self._make(self.path.with_name(f".{self.path.name}"))

    def begin(self, setup: Setup, progress: Path) -> None:
        """Writes down which run it is.

        Args:
            setup: Of the run.
            progress: The file that tells how it gets on.
        """
        steps = [
            StepResult(
                step=name,
                status="not_run",
                params={**setting.params, **({"seed": setting.seed} if setting.node.spec.takes_seed else {})},
            )
            for name, setting in setup.settings.items()
        ]
        result = RunResult(
            started_at=setup.started_at,
            window=setup.window,
            steps=steps,
            models={},
            code=setup.code,
            libraries={},
            kept=setup.kept,
        )
        told = {"body": plain(result.plain()), "progress": str(progress)}
        with suppress(OSError):
            (self.path / _RUN).write_text(json.dumps(told))

    def close(self) -> None:
        """Removes it: what was in it is kept, or lost."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)

    def _make(self, hidden: Path) -> None:
        """Under a name that nobody looks at until its lock is held: without, it would be one that was left."""
        hidden.mkdir(parents=True)
        self._lock = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(hidden, self.path)


def are_left(home: Path) -> bool:
    """Whether there are folders of runs that were killed; answers without loading anything."""
    return any(True for _ in _left(home))


def take_up(project: Project) -> None:
    """Makes each run that was killed after its steps had logged something a failed one; others leave no trace."""
    for folder in _left(project.home):
        try:
            _tell(project, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _left(home: Path) -> Iterator[Path]:
    """Of this machine: of others nobody can tell for sure."""
    with suppress(FileNotFoundError):
        for folder in sorted((home / _PLACE).iterdir()):
            if folder.name.rsplit("-", 2)[0] == socket.gethostname() and not is_held(folder / _LOCK):
                yield folder


def _tell(project: Project, folder: Path) -> None:
    logs = {str(path): path.name.partition("-")[2] for path in sorted((folder / OWN).glob("*-*"))}
    try:
        told = json.loads((folder / _RUN).read_bytes())
    except (OSError, ValueError):  # it was killed before it began
        return
    if not logs:
        return
    heard = hear_out(logs, LISTENER, project.store.root, patience_s=600)
    logged: dict[str, list[Digest]] = {}
    for log, step in logs.items():
        if digests := heard.get(log):
            logged[step] = [*logged.get(step, []), *digests]
    if logged:
        body = _body(project, told["body"], _progress(Path(told["progress"])), logged)
        project.tell("run.failed", subject=body["id"], body=body)
        for suffix in (".json", ".lock"):
            Path(told["progress"]).with_suffix(suffix).unlink(missing_ok=True)


def _body(
    project: Project, body: dict[str, Json], progress: Mapping[str, Any], logged: Mapping[str, list[Digest]]
) -> dict[str, Json]:
    states = {name: step["state"] for name, step in progress["steps"].items()}
    at = sorted(name for name, state in states.items() if state == "running") or sorted(logged)
    for step in body["steps"]:
        name = step["step"]
        state = states.get(name)
        step["status"] = "failed" if name in at else state if state in ("ran", "reused") else "not_run"
        if values := _values(project, logged.get(name, [])):
            step["logged"] = values
    beats = [body["started_at"], progress["beat_at"] or body["started_at"]]  # a short run has none after its start
    when = max(map(parse_moment, beats)).isoformat()
    where = " and ".join(map(repr, at))
    message = f"The run was killed, with all its processes, at step {where}; it was last known to live at {when}."
    return {
        **body,
        "failure": {"step": at[0], "type": "Killed", "message": message},
        "metrics": {},
        "ended_at": when,
        "measured": {"machine": machine(), "steps": {step: {"logged": each} for step, each in logged.items()}},
    }


def _values(project: Project, digests: list[Digest]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for digest in digests:
        if not digest.endswith(".dir"):
            for part, each in Logged.read(project.store, digest).values().items():
                values[part] = {**values.get(part, {}), **each}
    return values


def _progress(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_bytes())
        return {"steps": told["steps"], "beat_at": told["beat_at"]}
    except (OSError, ValueError, KeyError):
        return {"steps": {}, "beat_at": None}
