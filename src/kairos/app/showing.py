"""All about one run: what the ledger says of it, and what its own file says of times and of its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kairos.app.project import Project
from kairos.errors import NotFound
from kairos.experiments.baselines import Beating, beatings_of
from kairos.experiments.finding import find_run
from kairos.experiments.ports import SeedRecord
from kairos.experiments.runs import RUN_KINDS, run_end, run_record, run_status
from kairos.pipeline.progress import Told, read_progress
from kairos.pipeline.typed import untyped
from kairos.values import Json, VersionRef, parse_moment, unplain

__all__ = ["ShownRun", "ShownStep", "show_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """One step of a run."""

    step: str
    status: str
    """``ran``, ``reused``, ``failed``, ``not_run``; of a run that is no fact yet, ``running``,
    ``waiting`` and ``killed`` as well."""
    elapsed_s: float | None = None
    tries: int | None = None
    why: Sequence[str] = ()
    """Why it ran."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Its own, and those that its code logged."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Artifacts and files with their digests."""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """One run."""

    run: str
    status: str
    """``finished``, ``failed``; ``running``; ``dead``: its process was killed."""
    started_at: datetime
    ended_at: datetime | None
    """``None`` while it runs; of a dead run, when it was last known to be alive."""
    window: str
    actor: str | None
    steps: Sequence[ShownStep]
    code: Mapping[str, Json] = field(default_factory=dict)
    kept: Mapping[str, Json] = field(default_factory=dict)
    """Blobs with its files, its difference to the commit, and its environment."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    versions: Sequence[str] = ()
    """That it registered."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, Sequence[SeedRecord]] = field(default_factory=dict)
    """By model, what each of several seeds gave, the run's own first."""
    seeds_failed: Sequence[Mapping[str, Json]] = ()
    """Seeds that gave no metrics of some model, and why."""
    baselines: Mapping[str, Beating] = field(default_factory=dict)
    """By model: by how much it beats the simple models beside it."""
    failure: Mapping[str, str] | None = None
    pid: int | None = None
    host: str | None = None


def show_run(project: Project, name: str) -> ShownRun:
    """All about the run with this id, or the only one whose id begins so; or the one that made ``MODEL@N``.

    Raises:
        NotFound: there is no such run.
        UsageError: several ids begin so.
    """
    told = {one.name: one for one in read_progress(project.home / "runs")}
    if "@" in name:
        ref = VersionRef.parse(name)
        name = project.state().model(ref.model).version(ref.number).run
    try:
        run = find_run(project.run_index, name).run
    except NotFound:
        started = [
            one for one in told.values() if name and one.name.startswith(name) and one.state in ("running", "dead")
        ]
        if len(started) == 1:
            return _of_file(started[0])
        raise
    return _of_fact(project, run, told.get(run))


def _of_fact(project: Project, run: str, told: Told | None) -> ShownRun:
    entry = list(project.ledger.read(kinds=RUN_KINDS, subject=run))[-1]
    body = unplain(entry.body)
    made = project.ledger.read(after=entry.seq, kinds=["version.registered"])
    times = {} if told is None else told.steps
    record = run_record(entry)
    return ShownRun(
        run=run,
        status=run_status(entry),
        started_at=parse_moment(body["started_at"]),
        ended_at=run_end(entry),
        window=body["window"],
        actor=entry.actor,
        steps=[_step(step, times.get(step["step"], {})) for step in body["steps"]],
        code=body["code"],
        kept=body.get("kept", {}),
        libraries=body["libraries"],
        models=body["models"],
        versions=[each.subject for each in made if each.body.get("run") == run],
        metrics=record.metrics,
        seeds=record.seeds,
        seeds_failed=body.get("seeds_failed", ()),
        baselines=beatings_of(body),
        failure=body["failure"],
        pid=None if told is None else told.pid,
        host=None if told is None else told.host,
    )


def _step(step: Json, times: Mapping[str, Json]) -> ShownStep:
    return ShownStep(
        step=step["step"],
        status=step["status"],
        elapsed_s=times.get("elapsed_s"),
        tries=times.get("tries"),
        why=times.get("why", ()),
        params={
            **step.get("logged", {}).get("params", {}),
            **{name: untyped(value) for name, value in step["params"].items()},
        },
        inputs=step["inputs"],
        outputs={output["name"]: output["digest"] for output in step["outputs"]},
    )


def _of_file(told: Told) -> ShownRun:
    return ShownRun(
        run=told.name,
        status=told.state,
        started_at=told.started_at,
        ended_at=None if told.state == "running" else told.beat_at,
        window=told.window,
        actor=None,
        steps=[
            ShownStep(
                step=name,
                status=_ended(step["state"]) if told.state == "dead" else step["state"],
                elapsed_s=step["elapsed_s"],
                tries=step["tries"],
                why=step["why"],
            )
            for name, step in told.steps.items()
        ],
        pid=told.pid,
        host=told.host,
    )


def _ended(state: str) -> str:
    return "killed" if state in ("running", "waiting") else state
