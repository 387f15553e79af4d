"""An engine that notes what each step of one run took and logged, on whatever engine the steps run."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from kairos.errors import KairosError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import StepCache
from kairos.pipeline.engine.made import Made
from kairos.pipeline.hearing_out import hear_out
from kairos.pipeline.logged import Listener, Logged
from kairos.pipeline.ports import Engine, Task
from kairos.pipeline.reporting import Curve, Watch, curve_of
from kairos.pipeline.result import RunResult
from kairos.pipeline.spent import Spent, machine
from kairos.store import Store
from kairos.values import Digest, Json

__all__ = ["NotingEngine"]

Outcome = Future[tuple[Artifact, ...]]


@dataclass(slots=True)
class _Note:
    """Of one step."""

    spent: Spent = field(default_factory=Spent)
    tries: Counter[str] = field(default_factory=Counter)
    """By what was tried: a source has several partitions."""
    logged: list[Digest] = field(default_factory=list)


class NotingEngine:
    """Hands tasks on to an engine, for one run.

    What a step's code logged is remembered by the step's fingerprint before anybody learns that the step is done: so it
    is there whenever its result is reused.

    Args:
        engine: That runs them.
        cache: Of the project.
        store: Where what was logged is kept.
        listener: Keeps it there; ``None``: it is thrown away.
        log: A folder of this engine alone, in which it is until then; it need not be there.
        watch: What stops a step that has no hope; only of a trial.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        cache: StepCache,
        store: Store,
        listener: Listener | None,
        log: Path | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._engine, self._cache, self._store = engine, cache, store
        self._listener, self._log, self._watch = listener, log, watch
        self._at_work: dict[Outcome, Task] = {}
        self._sent = 0
        self._notes: dict[str, _Note] = {}
        self._guard = threading.Lock()
        """Of the notes and of what is at work: an engine's threads bring the outcomes."""
        self._started_s, self._cpu_s = time.perf_counter(), time.process_time()

    def submit(self, task: Task) -> Outcome:
        """Begins a task."""
        outer: Outcome = Future()
        with self._guard:
            note = self._notes.setdefault(task.step, _Note())
            note.tries[f"{task.window or task.reads} {bool(task.parts)}"] += 1
            self._sent += 1
            log = None if self._log is None else self._log / f"{self._sent}-{task.step}"
            task = self._at_work[outer] = replace(task, listener=self._listener, log=log, watch=self._watch)
        inner = self._engine.submit(task)
        inner.add_done_callback(partial(self._done, task, outer))
        return outer

    def hear_out(self, *, patience_s: float) -> None:
        """Keeps what has been logged by tasks that are at work, as their run ends and they end with it.

        Args:
            patience_s: How long that may take.
        """
        with self._guard:
            at_work = [*self._at_work.values()]
            self._at_work.clear()
        self._keep(at_work, patience_s=patience_s)

    def close(self) -> None:
        """Leaves the engine open, as it is not this run's alone."""

    def logged(self, result: RunResult) -> dict[str, dict[str, Json]]:
        """By step: params and last values of metrics that its code logged, in this run or when its result was made."""
        found = {}
        for step, digests in self.blobs(result).items():
            values: dict[str, Json] = {"params": {}, "metrics": {}}
            for digest in digests:
                if not digest.endswith(".dir"):
                    told = Logged.read(self._store, digest).values()
                    values = {part: {**each, **told.get(part, {})} for part, each in values.items()}
            if any(values.values()):
                found[step] = values
        return found

    def blobs(self, result: RunResult) -> Mapping[str, tuple[Digest, ...]]:
        """By step, in the order of the steps, what holds all that its code logged; without those that logged nothing,
        or of which nothing is there any more."""
        found = {}
        with self._guard:
            own = {step: tuple(note.logged) for step, note in self._notes.items()}
        for step in result.steps:
            digests = own.get(step.step, ())
            if step.status == "reused" and step.fingerprint is not None:
                digests = self._cache.logged(step.fingerprint)
                digests = digests if all(self._store.has(digest) for digest in digests) else ()
            if digests:
                found[step.step] = digests
        return found

    def reported(self, result: RunResult) -> dict[str, Curve]:
        """By step: what its code reported, in this run or when its result was made."""
        found: dict[str, Curve] = {}
        for step, digests in self.blobs(result).items():
            told = [Logged.read(self._store, digest) for digest in digests if not digest.endswith(".dir")]
            curves = [curve for each in told for run in each.runs if (curve := curve_of(run.points))]
            if curves:
                found[step] = curves[-1]  # of several tries the last
        return found

    def measured(self, result: RunResult) -> dict[str, Json]:
        """What the run took, from when this engine was made until now: see ``docs/experiments.md``."""
        steps: dict[str, dict[str, Json]] = {}
        with self._guard:
            notes = dict(self._notes)
        for step, note in notes.items():
            steps[step] = {
                "elapsed_s": round(note.spent.elapsed_s, 6),
                "cpu_s": round(note.spent.cpu_s, 6),
                "peak_bytes": note.spent.peak_bytes,
                "tries": max(note.tries.values()),
            }
        for step, digests in self.blobs(result).items():
            steps.setdefault(step, {})["logged"] = list(digests)
        cpu_s = time.process_time() - self._cpu_s + sum(note.spent.cpu_s for note in notes.values())
        return {
            "elapsed_s": round(time.perf_counter() - self._started_s, 6),
            "cpu_s": round(cpu_s, 6),
            "peak_bytes": max((note.spent.peak_bytes for note in notes.values()), default=0),
            "machine": machine(),
            "steps": steps,
        }

    def spent(self) -> Spent:
        """What its steps took together, and the most memory of one."""
        with self._guard:
            each = [note.spent for note in self._notes.values()]
        return Spent(
            elapsed_s=sum(one.elapsed_s for one in each),
            cpu_s=sum(one.cpu_s for one in each),
            peak_bytes=max((one.peak_bytes for one in each), default=0),
        )

    def _done(self, task: Task, outer: Outcome, inner: Outcome) -> None:
        with self._guard:
            is_ours = self._at_work.pop(outer, None) is not None
        error = inner.exception()
        made = inner.result() if error is None else getattr(error, "facts", {}).pop("made", None)
        try:
            if isinstance(made, Made):
                self._note(task, made, is_over=error is None)
            elif error is not None and is_ours:  # its process is gone, and did not say what it had logged
                self._keep([task])
        except KairosError as trouble:
            error = error or trouble
        if error is None:
            outer.set_result(inner.result())
        else:
            outer.set_exception(error)

    def _keep(self, tasks: Sequence[Task], *, patience_s: float = 60.0) -> None:
        if self._listener is None:
            return
        logs = {str(task.log): task.step for task in tasks if task.log is not None}
        heard = hear_out(logs, self._listener, self._store.root, patience_s=patience_s)
        with self._guard:
            for log, digests in heard.items():
                self._notes[logs[log]].logged += digests

    def _note(self, task: Task, made: Made, *, is_over: bool) -> None:
        with self._guard:
            note = self._notes[task.step]
            note.spent.elapsed_s += made.spent.elapsed_s
            note.spent.cpu_s += made.spent.cpu_s
            note.spent.peak_bytes = max(note.spent.peak_bytes, made.spent.peak_bytes)
            note.logged += made.logged
            logged = tuple(note.logged)
        if task.log is not None and task.log.exists():
            shutil.rmtree(task.log, ignore_errors=True)
        if logged and is_over:
            self._cache.put_logged(task.fingerprint, logged)
