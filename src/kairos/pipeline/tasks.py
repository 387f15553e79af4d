"""What is made of a job: its fingerprint, the earlier result that may stand for it, and the task for an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.code import Reached
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.job import Job
from kairos.pipeline.plan import Setting, can_be_reused, fingerprint_of
from kairos.pipeline.ports import ModelFinisher, Task
from kairos.pipeline.project import PipelineSource
from kairos.store import Store
from kairos.values import Digest, Json, Window

__all__ = ["find_known", "make_fingerprint", "make_lineage", "make_task"]


def make_fingerprint(
    job: Job, reached: Reached, window: Window | None, finish_model: ModelFinisher, *, mark: str | None = None
) -> Fingerprint:
    """The name of a job's computation, or of that of one partition.

    Args:
        job: The step.
        reached: What its code reaches.
        window: For a source that takes one, or reads an origin.
        finish_model: Knows what a package depends on.
        mark: The origin's watermark.
    """
    return fingerprint_of(
        job.setting,
        code=reached,
        inputs={**job.inputs, **{f"also:{name}": artifact for name, artifact in job.also.items()}},
        files=job.files,
        window=window,
        mark=mark,
        finish=finish_model.facts(job.name) if job.setting.node.spec.kind == "model" else None,
    )


def find_known(
    cache: StepCache, store: Store, job: Job, made: Fingerprint, window: Window, *, now: datetime
) -> Known | None:
    """An earlier result of a job, or of one partition, that may be reused and is all there."""
    known = cache.get(made.digest)
    spec = job.setting.node.spec
    if known is None or not can_be_reused(spec, window, known.pulled_at, now=now, is_marked=job.is_marked):
        return None
    return known if all(store.has(each.digest) for each in known.outputs) else None


def make_task(
    job: Job,
    window: Window,
    *,
    project: PipelineSource,
    code: Digest,
    store: Path,
    reached: Reached,
    finish_model: ModelFinisher,
    lineage: Mapping[str, Json],
    parts: Sequence[Artifact] = (),
    part_windows: Sequence[Window] = (),
) -> Task:
    """What an engine is given."""
    node = job.setting.node
    return Task(
        source=project,
        code=code,
        store=store,
        step=node.name,
        outputs=node.outputs,
        inputs=job.inputs,
        also=job.also,
        params=job.setting.params,
        window=window if node.spec.takes_window else None,
        reads=window if node.spec.reads is not None else None,
        pin=job.pin(window),
        seed=job.setting.seed,
        limits=node.spec.limits,
        seeds_torch="torch" in reached.libraries,
        parts=parts,
        part_windows=part_windows,
        finish=finish_model if node.spec.kind == "model" else None,
        lineage=lineage,
        fingerprint=job.made.digest,
    )


def make_lineage(job: Job, settings: Mapping[str, Setting], made: Mapping[str, Fingerprint]) -> dict[str, Json]:
    """All that a package says about where it came from."""
    steps, wanted = set[str](), [job.name]
    while wanted:
        name = wanted.pop()
        if name in settings and name not in steps:
            steps.add(name)
            wanted += settings[name].node.upstream
    return {
        "step": job.name,
        "fingerprint": job.made.digest,
        "inputs": {name: artifact.digest for name, artifact in {**job.inputs, **job.also}.items()},
        "steps": {name: made[name].digest for name in sorted(steps)},
    }
