"""The work of one run: starts steps as their inputs come, and keeps what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from kairos.clock import Clock
from kairos.errors import DataRefused, KairosError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.code import Reached
from kairos.pipeline.code_state import CodeState
from kairos.pipeline.files import file_digests
from kairos.pipeline.fingerprint import Fingerprint, explain_change
from kairos.pipeline.job import Job
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.plan import Setting, can_be_reused, code_digest, fingerprint_of, partitions
from kairos.pipeline.ports import Engine, Mark, ModelFinisher, Task
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import Failure, RunResult, RunStopped, Status, StepEvent, StepResult
from kairos.store import Store
from kairos.values import Json, Window

__all__ = ["Work"]

Outputs = tuple[Artifact, ...]

_BEAT_S = 0.1
"""Where the system goes on with an endless wait after a signal, Ctrl-C is seen at the next beat."""


@dataclass(slots=True, kw_only=True)
class Work:
    """The state of one run. Only this thread touches it; the engine's futures are all that is shared."""

    project: PipelineSource
    store: Store
    cache: StepCache
    engine: Engine
    window: Window
    clock: Clock
    finish_model: ModelFinisher
    force: frozenset[str]
    inspect: Callable[[Outputs], None]
    on_event: Callable[[StepEvent], None]
    should_stop: Callable[[], bool]
    settings: Mapping[str, Setting]
    reached: Mapping[str, Reached]
    files: str
    """Digest of the project's Python files."""
    code: CodeState
    started_at: datetime
    waiting: dict[str, Setting]
    results: dict[str, StepResult] = field(default_factory=dict)
    made: dict[str, Fingerprint] = field(default_factory=dict)
    running: dict[Future[Any], tuple[Job, Callable[[Any], None]]] = field(default_factory=dict)
    """What a future is for, and what goes on with its result."""
    asking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "kairos-origin"))
    """Asks origins for watermarks, which may take its time."""
    failures: list[Failure] = field(default_factory=list)
    """In the order in which they became known; after the first one no step is started any more."""

    def run(self) -> RunResult:
        """Starts what can start, until nothing runs and nothing can.

        Raises:
            RunStopped: somebody stopped it, by Ctrl-C or as Ctrl-C does; steps may run still, and are not waited for.
        """
        try:
            self._start_ready()
            while self.running:
                done, _ = wait(self.running, timeout=_BEAT_S, return_when=FIRST_COMPLETED)
                if self.should_stop():
                    raise KeyboardInterrupt
                for future in sorted(done, key=lambda each: self.running[each][0].name):
                    self._finished(future, *self.running.pop(future))
                self._start_ready()
        except KeyboardInterrupt as stop:
            self._note_stop()
            raise RunStopped(self._result_so_far()) from stop
        finally:
            self.asking.shutdown(wait=False, cancel_futures=True)
        return self._result_so_far()

    def _note_stop(self) -> None:
        """Tells at which steps the run was stopped."""
        for job, _ in self.running.values():
            self.results[job.name] = self._result(job, "failed", ())
        at = sorted({job.name for job, _ in self.running.values()}) or [*self.waiting, *self.settings][:1]
        message = f"The run was stopped by the user at step {' and '.join(map(repr, at))}."
        self.failures.insert(0, Failure(step=at[0], type="Stopped", message=message, traceback=""))

    def _result_so_far(self) -> RunResult:
        libraries = {name: version for made in self.made.values() for name, version in made.libraries.items()}
        models = {
            name: result.outputs[0].digest
            for name, result in self.results.items()
            if result.outputs and self.settings[name].node.spec.kind == "model"
        }
        return RunResult(
            started_at=self.started_at,
            window=self.window,
            steps=[self.results.get(name) or StepResult(step=name, status="not_run") for name in self.settings],
            models=dict(sorted(models.items())),
            code=self.code,
            libraries=dict(sorted(libraries.items())),
            failure=self.failures[0] if self.failures else None,
            also_failed=tuple(self.failures[1:]),
        )

    def _start_ready(self) -> None:
        """Starts every step whose inputs are there; what is reused may make others ready at once."""
        progress = True
        while progress and not self.failures:
            progress = False
            for name, setting in list(self.waiting.items()):
                behind = {each.partition(".")[0] for each in self._also(setting)}
                if all(self._has_outputs(upstream) for upstream in {*setting.node.upstream, *behind}):
                    del self.waiting[name]
                    self._start(setting)
                    progress = True

    def _has_outputs(self, step: str) -> bool:
        return step in self.results and bool(self.results[step].outputs)

    def _also(self, setting: Setting) -> Sequence[str]:
        return self.finish_model.also(setting.node.name) if setting.node.spec.kind == "model" else ()

    def _start(self, setting: Setting) -> None:
        node = setting.node
        artifacts = {output.name: output for result in self.results.values() for output in result.outputs}
        inputs = {parameter: artifacts[name] for parameter, name in node.inputs.items()}
        also = {name: artifacts[name] for name in self._also(setting)}
        job = Job(setting, Fingerprint(step=node.name), inputs, also, {}, self.clock.elapsed_s(), self.clock.now())
        try:
            job.files = file_digests(self.project.root, node.spec)
        except KairosError as error:
            self._failed(job, error)
            return
        job.windows = partitions(node.spec, self.window)
        if node.spec.reads is None:
            self._begin(job)
        else:
            self._ask(job, job.windows, self._marked)

    def _ask(self, job: Job, windows: Sequence[Window], then: Callable[[Job, Sequence[Mark | None]], None]) -> None:
        """Asks a source's origin for watermarks."""
        reads, root = job.setting.node.spec.reads, self.project.root
        assert reads is not None  # asked only of such sources
        asked = self.asking.submit(lambda: list(reads.reader(root).marks(windows)))
        self.running[asked] = (job, partial(then, job))

    def _marked(self, job: Job, marks: Sequence[Mark | None]) -> None:
        job.marks = dict(zip(job.windows, marks, strict=True))
        if not self.failures:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        node = job.setting.node
        takes_window = node.spec.takes_window or node.spec.reads is not None
        job.made = self._fingerprint(job, self.window if takes_window else None, job.mark())
        self.made[node.name] = job.made
        known = self._known(job, job.made, self.window)
        if known is not None:
            self._settle(job, known, "reused")
            return
        why = explain_change(self.cache.last(node.name), job.made) or ["its result is gone or was not to be reused"]
        self.on_event(StepEvent(step=node.name, what="started", why=tuple(why)))
        if len(job.windows) > 1:
            self._pull(job)
        else:
            self._submit(job, self._task(job, self.window), partial(self._read, job, None))

    def _fingerprint(self, job: Job, window: Window | None, mark: str | None = None) -> Fingerprint:
        return fingerprint_of(
            job.setting,
            code=self.reached[job.name],
            inputs={**job.inputs, **{f"also:{name}": artifact for name, artifact in job.also.items()}},
            files=job.files,
            window=window,
            mark=mark,
            finish=self.finish_model.facts(job.name) if job.setting.node.spec.kind == "model" else None,
        )

    def _known(self, job: Job, made: Fingerprint, window: Window) -> Known | None:
        """An earlier result that may be reused and is all there."""
        known = None if job.name in self.force else self.cache.get(made.digest)
        spec, now = job.setting.node.spec, self.clock.now()
        if known is None or not can_be_reused(spec, window, known.pulled_at, now=now, is_marked=job.is_marked):
            return None
        return known if all(self.store.has(each.digest) for each in known.outputs) else None

    def _pull(self, job: Job) -> None:
        """Pulls the partitions that are not known yet."""
        for window in job.windows:
            known = self._known(job, self._fingerprint(job, window, job.mark(window)), window)
            if known is not None:
                job.parts[window] = known
            else:
                job.pulled += 1
                self._submit(job, self._task(job, window), partial(self._read, job, window))
        self._join(job)

    def _join(self, job: Job) -> None:
        """Puts the partitions below each other once all are there."""
        if len(job.parts) == len(job.windows):
            parts = [job.parts[window].outputs[0] for window in job.windows]
            self._submit(job, self._task(job, self.window, parts=parts), partial(self._settled, job, None))

    def _task(self, job: Job, window: Window, *, parts: Sequence[Artifact] = ()) -> Task:
        node = job.setting.node
        is_model = node.spec.kind == "model"
        return Task(
            source=self.project,
            code=self.files,
            store=self.store.root.absolute(),
            step=node.name,
            outputs=node.outputs,
            inputs=job.inputs,
            also=job.also,
            params=job.setting.params,
            window=window if node.spec.takes_window else None,
            reads=window if node.spec.reads is not None else None,
            pin=job.pin(window),
            seed=job.setting.seed,
            cpus=node.spec.cpus,
            parts=parts,
            finish=self.finish_model if is_model else None,
            lineage=self._lineage(job) if is_model else {},
        )

    def _lineage(self, job: Job) -> dict[str, Json]:
        """All that a package says about where it came from."""
        behind = {setting.node.name: setting.node.upstream for setting in self.settings.values()}
        steps, wanted = set[str](), [job.name]
        while wanted:
            name = wanted.pop()
            steps.add(name)
            wanted += behind[name]
        return {
            "step": job.name,
            "fingerprint": job.made.digest,
            "inputs": {name: artifact.digest for name, artifact in {**job.inputs, **job.also}.items()},
            "steps": {name: self.made[name].digest for name in sorted(steps)},
        }

    def _submit(self, job: Job, task: Task, then: Callable[[Outputs], None]) -> None:
        self.running[self.engine.submit(task)] = (job, then)

    def _finished(self, future: Future[Any], job: Job, then: Callable[[Any], None]) -> None:
        try:
            then(future.result())
        except KairosError as error:
            self._failed(job, without_secrets_in(error))

    def _read(self, job: Job, part: Window | None, outputs: Outputs) -> None:
        """Goes on with what was pulled, or with what a step gave; an origin is asked whether its data changed since."""
        window = self.window if part is None else part
        if job.is_marked and job.pin(window) is None:
            self._ask(job, [window], lambda job, marks: self._asked_again(job, part, outputs, marks[0]))
        else:
            self._settled(job, part, outputs)

    def _asked_again(self, job: Job, part: Window | None, outputs: Outputs, mark: Mark | None) -> None:
        window = self.window if part is None else part
        if mark != job.marks[window]:
            job.moved.add(window)
        self._settled(job, part, outputs)

    def _settled(self, job: Job, part: Window | None, outputs: Outputs) -> None:
        if file_digests(self.project.root, job.setting.node.spec) != job.files:
            raise DataRefused(f"Files of source {job.name!r} changed while it read them.", hint="Run it again.")
        if part is None:
            self._refuse_nothing(job, outputs)
            if job.moved:
                job.made = self._fingerprint(job, self.window, job.mark())
                self.made[job.name] = job.made
            self._settle(job, Known(outputs, job.pulled_at), "ran")
            return
        made = self._fingerprint(job, part, job.mark(part))
        self.cache.put(f"{job.name}[{part}]", made, outputs, pulled_at=job.started_at)
        job.parts[part] = Known(outputs, job.started_at)
        if not self.failures:
            self._join(job)

    def _refuse_nothing(self, job: Job, outputs: Outputs) -> None:
        if job.marks and any(each.kind == "table/polars" and not each.meta["columns"] for each in outputs):
            raise DataRefused(
                f"The origin of source {job.name!r} has no data at all.",
                given=str(self.window),
                hint="Is its place right, and the window?",
            )

    def _settle(self, job: Job, result: Known, status: Literal["ran", "reused"]) -> None:
        # A reused one too: it is this step's last now.
        self.cache.put(job.name, job.made, result.outputs, pulled_at=result.pulled_at)
        try:
            self.inspect(result.outputs)
        except KairosError as error:
            self._failed(job, error)
            return
        self.results[job.name] = self._result(job, status, result.outputs)
        elapsed_s = self.clock.elapsed_s() - job.started_s
        self.on_event(StepEvent(step=job.name, what=status, elapsed_s=elapsed_s, parts=job.pulled))

    def _failed(self, job: Job, error: KairosError) -> None:
        if job.name not in self.results:
            self.results[job.name] = self._result(job, "failed", ())
            self.on_event(StepEvent(step=job.name, what="failed", elapsed_s=self.clock.elapsed_s() - job.started_s))
            failure = Failure(
                step=job.name,
                type=str(error.facts.get("type", type(error).__name__)),
                message=str(error).replace(f"{self.project.root}/", ""),
                traceback=str(error.facts.get("traceback", "")),
            )
            self.failures.append(failure)

    def _result(self, job: Job, status: Status, outputs: Outputs) -> StepResult:
        named = {job.setting.node.inputs[parameter]: artifact.digest for parameter, artifact in job.inputs.items()}
        return StepResult(
            step=job.name,
            status=status,
            fingerprint=job.made.digest if job.name in self.made else None,
            code=code_digest(job.made) if job.name in self.made else None,
            params={**job.setting.params, **({"seed": job.setting.seed} if job.setting.node.spec.takes_seed else {})},
            inputs={**named, **job.files},
            outputs=outputs,
            origin={str(window): str(mark) for window, mark in job.marks.items() if mark is not None},
        )
