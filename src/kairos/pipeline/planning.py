"""What a run would do, worked out without running anything: which steps would run, which are reused, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kairos.clock import Clock
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.files import file_digests
from kairos.pipeline.fingerprint import Fingerprint, explain_change
from kairos.pipeline.graph import Graph
from kairos.pipeline.job import Job
from kairos.pipeline.plan import Setting, partitions
from kairos.pipeline.ports import ModelFinisher
from kairos.pipeline.preparing import Prepared, prepare
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.seeds import made_anew
from kairos.pipeline.tasks import find_known, make_fingerprint
from kairos.store import Store
from kairos.values import Window

__all__ = ["Planned", "plan_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a run would do about one step."""

    step: str
    what: Literal["reuse", "run", "depends"]
    """``depends``: it runs only if what runs before it gives something else than the last time."""
    why: tuple[str, ...] = ()
    parts: int = 0
    """Partitions of a source that would be pulled; the others are reused."""
    varies: bool = False
    """Whether each other seed of the run would make it once more."""


def plan_run(
    project: PipelineSource,
    *,
    store: Store,
    cache: StepCache,
    window: Window,
    params: Mapping[str, Mapping[str, Any]],
    clock: Clock,
    finish_model: ModelFinisher,
    targets: Sequence[str] | None = None,
    force: Collection[str] = (),
    since: Collection[str] = (),
    check: Callable[[Graph], None] = lambda graph: None,
) -> list[Planned]:
    """What ``run`` would do with the same arguments, step by step in the order in which they could run.

    Raises:
        KairosError: as ``run``.
    """
    prepared = prepare(project, cache=cache, params=params, targets=targets, force=force, since=since, check=check)
    planner = _Planner(prepared, store, cache, window, clock, finish_model)
    anew = made_anew(prepared.settings)
    return [replace(planner.planned(setting), varies=name in anew) for name, setting in prepared.settings.items()]


class _Planner:
    def __init__(
        self,
        prepared: Prepared,
        store: Store,
        cache: StepCache,
        window: Window,
        clock: Clock,
        finish_model: ModelFinisher,
    ) -> None:
        self._prepared = prepared
        self._store = store
        self._cache = cache
        self._window = window
        self._clock = clock
        self._finish_model = finish_model
        self._artifacts: dict[str, Artifact] = {}
        """Outputs of steps that would be reused."""

    def planned(self, setting: Setting) -> Planned:
        """What would become of one step, after all before it."""
        name, spec = setting.node.name, setting.node.spec
        names = {**setting.node.inputs}
        if spec.kind == "model":
            names |= {f"also:{each}": each for each in self._finish_model.also(name)}
        job = self._job(setting)
        last = self._cache.last(name)
        takes_window = spec.takes_window or spec.reads is not None
        made = self._fingerprint(job, self._window if takes_window else None, job.mark())
        unknown = {parameter: artifact for parameter, artifact in names.items() if artifact not in self._artifacts}
        if unknown:
            return self._after_others(name, made, last, unknown)
        known = self._known(job, made, self._window)
        if known is not None:
            self._artifacts |= {output.name: output for output in known.outputs}
            return Planned(step=name, what="reuse")
        why = ["it is forced"] if self._is_forced(name) else explain_change(last, made)
        return Planned(
            step=name,
            what="run",
            why=tuple(why or ["its result is gone or was not to be reused"]),
            parts=self._missing_parts(job),
        )

    def _job(self, setting: Setting) -> Job:
        spec = setting.node.spec
        also = self._finish_model.also(spec.name) if spec.kind == "model" else ()
        job = Job(
            setting,
            Fingerprint(step=spec.name),
            inputs={p: self._artifacts[name] for p, name in setting.node.inputs.items() if name in self._artifacts},
            also={name: self._artifacts[name] for name in also if name in self._artifacts},
            files=file_digests(self._prepared.project.root, spec),
            started_s=0.0,
            started_at=self._clock.now(),
        )
        job.windows = partitions(spec, self._window)
        if spec.reads is not None:
            marks = spec.reads.marks(self._prepared.project.root, job.windows)
            job.marks = dict(zip(job.windows, marks, strict=True))
        return job

    def _fingerprint(self, job: Job, window: Window | None, mark: str | None) -> Fingerprint:
        return make_fingerprint(job, self._prepared.reached[job.name], window, self._finish_model, mark=mark)

    def _known(self, job: Job, made: Fingerprint, window: Window) -> Known | None:
        if self._is_forced(job.name):
            return None
        return find_known(self._cache, self._store, job, made, window, now=self._clock.now())

    def _after_others(
        self, name: str, made: Fingerprint, last: Fingerprint | None, unknown: Mapping[str, str]
    ) -> Planned:
        """Where inputs are made anew: what else changed is known already."""
        if self._is_forced(name):
            return Planned(step=name, what="run", why=("it is forced",))
        if last is not None:
            made = replace(made, inputs={**made.inputs, **{p: last.inputs[p] for p in unknown if p in last.inputs}})
        changes = explain_change(last, made)
        if changes:
            return Planned(step=name, what="run", why=tuple(changes))
        waits = sorted({artifact.partition(".")[0] for artifact in unknown.values()})
        return Planned(step=name, what="depends", why=(f"on what {' and '.join(waits)} gives",))

    def _missing_parts(self, job: Job) -> int:
        if len(job.windows) == 1:
            return 0
        made = {window: self._fingerprint(job, window, job.mark(window)) for window in job.windows}
        return sum(self._known(job, one, window) is None for window, one in made.items())

    def _is_forced(self, name: str) -> bool:
        return name in self._prepared.force
