"""The work of one run: starts steps as their inputs come, and keeps what they give."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from kairos.clock import Clock
from kairos.errors import DataRefused, KairosError, StepFailed
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.code import Reached
from kairos.pipeline.code_state import CodeState
from kairos.pipeline.files import file_digests
from kairos.pipeline.fingerprint import Fingerprint, explain_change
from kairos.pipeline.job import Job
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.plan import Setting, code_digest, partitions
from kairos.pipeline.ports import Engine, Mark, ModelFinisher, Task
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import Failure, Kept, RunResult, RunStopped, Status, StepEvent, StepResult
from kairos.pipeline.tasks import find_known, make_fingerprint, make_lineage, make_task
from kairos.pipeline.waiting import Waiting
from kairos.store import Store
from kairos.values import Window

__all__ = ["Work"]

Outputs = tuple[Artifact, ...]

_BEAT_S = 0.1
"""Where the system goes on with an endless wait after a signal, Ctrl-C is seen at the next beat."""


@dataclass(slots=True)
class _Sent:
    """What a future is for."""

    job: Job
    task: Task | None
    """For an engine; ``None``: an origin is asked."""
    then: Callable[[Any], None]
    """What goes on with the result."""
    tries: int = 0
    """That failed."""


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
    given: Mapping[str, tuple[Fingerprint, Known]]
    settings: Mapping[str, Setting]
    reached: Mapping[str, Reached]
    kept: Kept
    code: CodeState
    started_at: datetime
    results: dict[str, StepResult] = field(default_factory=dict)
    made: dict[str, Fingerprint] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    running: dict[Future[Any], _Sent] = field(default_factory=dict)
    done: queue.SimpleQueue[Future[Any]] = field(default_factory=queue.SimpleQueue)
    """Futures that are."""
    later: list[tuple[float, _Sent]] = field(default_factory=list)
    """What is tried again, and when, in seconds of the machine's clock."""
    asking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "kairos-origin"))
    """Asks origins for watermarks, which may take its time."""
    waiting: Waiting = field(init=False)
    failures: list[Failure] = field(default_factory=list)
    """In the order in which they became known; after the first one no step is started any more."""

    def __post_init__(self) -> None:
        wanted = {}
        for name, setting in self.settings.items():
            also = {each.partition(".")[0] for each in self._also(setting)}
            wanted[name] = set[str]() if name in self.given else {*setting.node.upstream, *also}
        self.waiting = Waiting(wanted)

    def run(self) -> RunResult:
        """Starts what can start, until nothing runs and nothing can.

        Raises:
            RunStopped: somebody stopped it, by Ctrl-C or as Ctrl-C does; steps may run still, and are not waited for.
        """
        try:
            self._start_ready()
            while self.running or self.later:
                done = self._next_done()
                if self.should_stop():
                    raise KeyboardInterrupt
                for future in sorted(done, key=lambda each: self.running[each].job.name):
                    self._finished(future, self.running.pop(future))
                self._try_again()
                self._start_ready()
        except KeyboardInterrupt as stop:
            self._note_stop()
            raise RunStopped(self._result_so_far()) from stop
        finally:
            self.asking.shutdown(wait=False, cancel_futures=True)
        return self._result_so_far()

    def _note_stop(self) -> None:
        """Tells at which steps the run was stopped."""
        on_the_way = [sent.job for sent in [*self.running.values(), *(sent for _, sent in self.later)]]
        for job in on_the_way:
            self.results[job.name] = self._result(job, "failed", ())
        unknown = [name for name in self.settings if name not in self.results]
        at = sorted({job.name for job in on_the_way}) or [*unknown, *self.settings][:1]
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
            kept=self.kept,
            failure=self.failures[0] if self.failures else None,
            also_failed=tuple(self.failures[1:]),
        )

    def _next_done(self) -> list[Future[Any]]:
        """What is done by now; waits a beat for it."""
        found: list[Future[Any]] = []
        with suppress(queue.Empty):
            found.append(self.done.get(timeout=_BEAT_S))
            while True:
                found.append(self.done.get_nowait())
        return found

    def _start_ready(self) -> None:
        """Starts every step whose inputs are there; what is reused may make others ready at once."""
        while self.waiting and not self.failures:
            self._start(self.settings[self.waiting.next()])

    def _also(self, setting: Setting) -> Sequence[str]:
        return self.finish_model.also(setting.node.name) if setting.node.spec.kind == "model" else ()

    def _start(self, setting: Setting) -> None:
        node = setting.node
        here = self.artifacts  # lacks what only a step that is given would need
        inputs = {parameter: here[name] for parameter, name in node.inputs.items() if name in here}
        also = {name: here[name] for name in self._also(setting) if name in here}
        job = Job(setting, Fingerprint(step=node.name), inputs, also, {}, self.clock.elapsed_s(), self.clock.now())
        if node.name in self.given:
            job.made, result = self.given[node.name]
            self.made[node.name] = job.made
            self._settle(job, result, "reused")
            return
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
        self._sent(asked, _Sent(job, None, partial(then, job)))

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
        why = explain_change(self.cache.last(node.name), job.made)
        why = why or ["it is forced" if job.name in self.force else "its result is gone or was not to be reused"]
        self.on_event(StepEvent(step=node.name, what="started", why=tuple(why)))
        if len(job.windows) > 1:
            self._pull(job)
        else:
            self._submit(job, self._task(job, self.window), partial(self._read, job, None))

    def _fingerprint(self, job: Job, window: Window | None, mark: str | None = None) -> Fingerprint:
        return make_fingerprint(job, self.reached[job.name], window, self.finish_model, mark=mark)

    def _known(self, job: Job, made: Fingerprint, window: Window) -> Known | None:
        """An earlier result that may be reused and is all there."""
        if job.name in self.force:
            return None
        return find_known(self.cache, self.store, job, made, window, now=self.clock.now())

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
        return make_task(
            job,
            window,
            project=self.project,
            code=self.kept.files,
            store=self.store.root.absolute(),
            reached=self.reached[job.name],
            finish_model=self.finish_model,
            lineage=make_lineage(job, self.settings, self.made) if job.setting.node.spec.kind == "model" else {},
            parts=parts,
        )

    def _submit(self, job: Job, task: Task, then: Callable[[Outputs], None]) -> None:
        self._sent(self.engine.submit(task), _Sent(job, task, then))

    def _sent(self, future: Future[Any], sent: _Sent) -> None:
        self.running[future] = sent
        future.add_done_callback(self.done.put)

    def _finished(self, future: Future[Any], sent: _Sent) -> None:
        try:
            sent.then(future.result())
        except KairosError as error:
            told = without_secrets_in(error)
            if not self._is_tried_again(sent, told):
                self._failed(sent.job, told)

    def _is_tried_again(self, sent: _Sent, error: KairosError) -> bool:
        """Whether it will be: the step's own failures are, as long as it has tries left and nothing else failed."""
        sent.tries += 1
        if sent.task is None or self.failures or not isinstance(error, StepFailed):
            return False
        limits, name = sent.task.limits, sent.job.name
        if sent.tries > limits.retries:
            return False
        wait_s = limits.wait_s(sent.tries)
        self.later.append((time.monotonic() + wait_s, sent))
        again = f"try {sent.tries + 1} of {limits.retries + 1} in {wait_s:.3g} s"
        elapsed_s = self.clock.elapsed_s() - sent.job.started_s
        why = (str(error).replace(f"{self.project.root}/", ""), again)
        self.on_event(StepEvent(step=name, what="retried", why=why, elapsed_s=elapsed_s))
        return True

    def _try_again(self) -> None:
        """Sends what has waited long enough; after a failure nothing is tried again."""
        if self.failures:
            self.later.clear()
        now = time.monotonic()
        due = [sent for at, sent in self.later if at <= now]
        self.later = [(at, sent) for at, sent in self.later if at > now]
        for sent in due:
            assert sent.task is not None  # only tasks are tried again
            self._sent(self.engine.submit(sent.task), sent)

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
        if status == "ran" or not self.cache.is_last(job.name, job.made):  # a reused one, too, is this step's last now
            self.cache.put(job.name, job.made, result.outputs, pulled_at=result.pulled_at)
        try:
            self.inspect(result.outputs)
        except KairosError as error:
            self._failed(job, error)
            return
        self.results[job.name] = self._result(job, status, result.outputs)
        self.artifacts |= {output.name: output for output in result.outputs}
        self.waiting.done(job.name)
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
