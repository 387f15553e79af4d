"""All that a run's work needs and that does not change while it goes on, and what is made of it for a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kairos.clock import Clock
from kairos.errors import KairosError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.code import Reached
from kairos.pipeline.code_state import CodeState
from kairos.pipeline.fingerprint import Fingerprint, explain_change
from kairos.pipeline.job import Job, Piece
from kairos.pipeline.plan import Setting
from kairos.pipeline.ports import Engine, ModelFinisher, Task
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import Kept
from kairos.pipeline.tasks import find_known, make_fingerprint, make_lineage, make_task
from kairos.store import Store
from kairos.values import Window

__all__ = ["Setup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What ``run`` was given, and what ``prepare`` settled."""

    project: PipelineSource
    store: Store
    cache: StepCache
    engine: Engine
    window: Window
    clock: Clock
    finish_model: ModelFinisher
    force: frozenset[str]
    given: Mapping[str, tuple[Fingerprint, Known]]
    settings: Mapping[str, Setting]
    reached: Mapping[str, Reached]
    kept: Kept
    code: CodeState
    started_at: datetime
    nth_seed: int = 0
    """Which of the run's seeds: 0 is each step's own, see ``pipeline.seeds``."""

    def place(self, step: str) -> str:
        """Under which the cache keeps a step's last result: each seed apart, or one would explain another's change."""
        return step if not self.nth_seed or step in self.given else f"{step}[seed {self.nth_seed}]"

    def needs(self) -> dict[str, set[str]]:
        """Step to those that it waits for, in the order of the graph."""
        wanted = {}
        for name, setting in self.settings.items():
            also = {each.partition(".")[0] for each in self.also(setting)}
            wanted[name] = set[str]() if name in self.given else {*setting.node.upstream, *also}
        return wanted

    def job(self, setting: Setting, here: Mapping[str, Artifact]) -> Job:
        """A step that begins; ``here`` lacks what only a step that is given would need."""
        node = setting.node
        inputs = {parameter: here[name] for parameter, name in node.inputs.items() if name in here}
        also = {name: here[name] for name in self.also(setting) if name in here}
        return Job(setting, Fingerprint(step=node.name), inputs, also, {}, self.clock.elapsed_s(), self.clock.now())

    def fingerprint(self, job: Job, window: Window | None, mark: str | None) -> Fingerprint:
        """The name of a job's computation over a window, or of one that has none."""
        return make_fingerprint(job, self.reached[job.name], window, self.finish_model, mark=mark)

    def fingerprint_of_all(self, job: Job) -> Fingerprint:
        """The name of all of a job."""
        spec = job.setting.node.spec
        takes_window = spec.takes_window or spec.reads is not None
        return self.fingerprint(job, self.window if takes_window else None, job.mark())

    def known(self, piece: Piece) -> Known | None:
        """An earlier result that may be reused and is all there."""
        if piece.job.name in self.force:
            return None
        return find_known(self.cache, self.store, piece.job, piece.made, piece.window, now=self.clock.now())

    def why(self, job: Job) -> tuple[str, ...]:
        """Why a job is not reused."""
        last = self.cache.last(self.place(job.name)) or self.cache.last(job.name)
        changes = explain_change(last, job.made)
        otherwise = "it is forced" if job.name in self.force else "its result is gone or was not to be reused"
        return tuple(changes) or (otherwise,)

    def task(self, piece: Piece, made: Mapping[str, Fingerprint]) -> Task:
        """What an engine is given, where ``made`` has the fingerprints of the steps before."""
        job = piece.job
        return make_task(
            job,
            piece.window,
            project=self.project,
            code=self.kept.files,
            store=self.store.root.absolute(),
            reached=self.reached[job.name],
            finish_model=self.finish_model,
            lineage=make_lineage(job, self.settings, made) if job.setting.node.spec.kind == "model" else {},
            parts=[job.parts[window].outputs[0] for window in job.windows] if piece.joins else (),
            part_windows=job.windows if piece.joins else (),
        )

    def shown(self, error: KairosError) -> str:
        """An error's text without the place of the project on this machine."""
        return str(error).replace(f"{self.project.root}/", "")

    def also(self, setting: Setting) -> Sequence[str]:
        return self.finish_model.also(setting.node.name) if setting.node.spec.kind == "model" else ()
