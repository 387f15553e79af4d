"""The work of one run: starts steps as their inputs come, and keeps what they give.

A step becomes a job. A job needs pieces: the whole step, or, of a source, each partition and then all of them joined.
A piece that is known already is reused; one that another run is at is waited for; any other is sent to the engine.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from kairos.errors import KairosError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.began import Began
from kairos.pipeline.cache import Known
from kairos.pipeline.files import file_digests
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.job import Job, Piece
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.outcome import Outcome
from kairos.pipeline.plan import Setting, partitions
from kairos.pipeline.ports import Mark
from kairos.pipeline.pulling import ask_marks, refuse_changed_files, refuse_nothing
from kairos.pipeline.result import RunResult, RunStopped, StepEvent
from kairos.pipeline.setup import Setup
from kairos.pipeline.sharing import Others, is_worth_waiting_for
from kairos.pipeline.trying import Later, Sent, next_try
from kairos.pipeline.waiting import Waiting

__all__ = ["Work"]

Outputs = tuple[Artifact, ...]

_BEAT_S = 0.1
"""Where the system goes on with an endless wait after a signal, Ctrl-C is seen at the next beat."""


@dataclass(slots=True)
class Work:
    """The state of one run. Only this thread touches it; the engine's futures are all that is shared."""

    setup: Setup
    inspect: Callable[[Outputs], None]
    on_event: Callable[[StepEvent], None]
    should_stop: Callable[[], bool]
    outcome: Outcome = field(init=False)
    waiting: Waiting = field(init=False)
    """Steps that wait for other steps."""
    others: Others = field(init=False)
    """Pieces that wait for other runs."""
    later: Later = field(default_factory=Later)
    """Tasks that wait for their next try."""
    running: dict[Future[Any], Sent] = field(default_factory=dict)
    done: queue.SimpleQueue[Future[Any]] = field(default_factory=queue.SimpleQueue)
    """Futures that are."""
    asking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "kairos-origin"))
    """Asks origins for watermarks, which may take its time."""

    began: Began = field(default_factory=Began)

    def __post_init__(self) -> None:
        self.outcome = Outcome(self.setup)
        self.waiting = Waiting(self.setup.needs())
        self.others = Others(self.setup.cache.claims())

    def run(self) -> RunResult:
        """Starts what can start, until nothing runs and nothing can.

        Raises:
            RunStopped: somebody stopped it, by Ctrl-C or as Ctrl-C does; steps may run still, and are not waited for.
        """
        try:
            self._start_ready()
            while self.running or self.later or self.others:
                done = self._next_done()
                if self.should_stop():
                    raise KeyboardInterrupt
                for future in sorted(done, key=lambda each: self.running[each].job.name):
                    self._finished(future, self.running.pop(future))
                if self.outcome.failures:  # nothing is begun any more
                    for sent, error in self.later.given_up():
                        self._failed(sent.job, error)
                    self.others.clear()
                for sent in self.later.due():
                    self._send(sent)
                for piece in self.others.freed():
                    self._take_up(piece)
                self._start_ready()
        except KeyboardInterrupt as stop:
            self.outcome.stopped([sent.job for sent in [*self.running.values(), *self.later]] + self.others.jobs)
            raise RunStopped(self._result()) from stop
        finally:
            self.asking.shutdown(wait=False, cancel_futures=True)
            self.others.close()
        return self._result()

    def _result(self) -> RunResult:
        """The run up to now; what its fact will name survives a power cut."""
        self.setup.store.sync(self.outcome.digests(), since_s=self.began.since_s())
        return self.outcome.result()

    def _next_done(self) -> list[Future[Any]]:
        """What is done by now; waits a beat for it."""
        found: list[Future[Any]] = []
        with suppress(queue.Empty):
            found.append(self.done.get(timeout=_BEAT_S))
            while True:
                found.append(self.done.get_nowait())
        return found

    # A step begins.

    def _start_ready(self) -> None:
        """Starts every step whose inputs are there; what is reused may make others ready at once."""
        while self.waiting and not self.outcome.failures:
            self._start(self.setup.settings[self.waiting.next()])

    def _start(self, setting: Setting) -> None:
        setup, spec = self.setup, setting.node.spec
        job = setup.job(setting, self.outcome.artifacts)
        if job.name in setup.given:
            made, known = setup.given[job.name]
            self._is_called(job, made)
            self._reused(job, known)
            return
        try:
            job.files = file_digests(setup.project.root, spec)
        except KairosError as error:
            self._failed(job, error)
            return
        job.windows = partitions(spec, setup.window)
        if spec.reads is None:
            self._begin(job)
        else:
            self._ask(job, None, job.windows, partial(self._marked, job))

    def _marked(self, job: Job, marks: Sequence[Mark | None]) -> None:
        job.marks = dict(zip(job.windows, marks, strict=True))
        if not self.outcome.failures:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        whole = self._whole(job)
        if len(job.windows) == 1:
            self._want(whole)
        elif (known := self.setup.known(whole)) is not None:
            self._reused(job, known)
        else:
            self._tell(job, "started", why=self.setup.why(job))
            for window in job.windows:
                made = self.setup.fingerprint(job, window, job.mark(window))
                self._want(Piece(job, made, window, is_part=True))

    def _whole(self, job: Job) -> Piece:
        """All of a step; of a source that is pulled in partitions, these below each other."""
        self._is_called(job, self.setup.fingerprint_of_all(job))
        return Piece(job, job.made, self.setup.window, joins=len(job.windows) > 1)

    def _is_called(self, job: Job, made: Fingerprint) -> None:
        job.made = self.outcome.made[job.name] = made

    # A piece of it is reused, made, or waited for.

    def _want(self, piece: Piece) -> None:
        known = self.setup.known(piece)
        if known is not None:
            self._there(piece, known)
        elif self.others.take(piece) or not self._may_wait(piece):
            self._take_up(piece)
        elif (by := self.others.wait_for(piece)) is not None:
            self._tell(piece.job, "waits", why=(by,))

    def _may_wait(self, piece: Piece) -> bool:
        return piece.job.name not in self.setup.force and is_worth_waiting_for(piece, now=self.setup.clock.now())

    def _take_up(self, piece: Piece) -> None:
        """Makes a piece that is claimed, unless another run has done so between two looks."""
        if self.outcome.failures:
            self.others.release(piece)
            return
        known = self.setup.known(piece)
        if known is not None:
            self._there(piece, known)
            return
        job = piece.job
        job.pulled += piece.is_part
        if not piece.is_part and not piece.joins:
            self._tell(job, "started", why=self.setup.why(job))
        then = self._kept if piece.joins else self._made
        self._send(Sent(job, partial(then, piece), piece, self.setup.task(piece, self.outcome.made)))

    # What was sent comes back.

    def _send(self, sent: Sent) -> None:
        assert sent.task is not None  # only an origin is asked without one
        self._sent(self.setup.engine.submit(sent.task), sent)

    def _ask(self, job: Job, piece: Piece | None, windows: Sequence[Any], then: Callable[[Any], None]) -> None:
        """Asks a source's origin for watermarks."""
        root, spec = self.setup.project.root, job.setting.node.spec
        self._sent(self.asking.submit(ask_marks, root, spec, windows), Sent(job, then, piece))

    def _sent(self, future: Future[Any], sent: Sent) -> None:
        self.running[future] = sent
        future.add_done_callback(self.done.put)

    def _finished(self, future: Future[Any], sent: Sent) -> None:
        try:
            sent.then(future.result())
        except KairosError as error:
            told = without_secrets_in(error)
            sent.tries += 1
            wait_s = None if self.outcome.failures else next_try(sent, told)
            if wait_s is not None:
                self.later.put(sent, wait_s, told)
                self._tell(sent.job, "retried", why=(self.setup.shown(told), sent.again(wait_s)))
                return
            if sent.piece is not None:
                self.others.release(sent.piece)
            self._failed(sent.job, told)

    def _made(self, piece: Piece, outputs: Outputs) -> None:
        """Goes on with what was pulled, or with what a step gave; an origin is asked whether its data changed since."""
        job = piece.job
        if job.is_marked and job.pin(piece.window) is None:
            self._ask(job, piece, [piece.window], lambda marks: self._asked_again(piece, outputs, marks[0]))
        else:
            self._kept(piece, outputs)

    def _asked_again(self, piece: Piece, outputs: Outputs, mark: Mark | None) -> None:
        if mark != piece.job.marks[piece.window]:
            piece.job.moved.add(piece.window)
        self._kept(piece, outputs)

    def _kept(self, piece: Piece, outputs: Outputs) -> None:
        """Remembers what a piece gave, and lets others have it."""
        job, setup = piece.job, self.setup
        refuse_changed_files(setup.project.root, job)
        if piece.is_part:
            made, known = setup.fingerprint(job, piece.window, job.mark(piece.window)), Known(outputs, job.started_at)
            setup.cache.put(f"{job.name}[{piece.window}]", made, outputs, pulled_at=known.pulled_at)
            self.others.release(piece)
            self._has_part(piece, known)
            return
        refuse_nothing(job, outputs, setup.window)
        if job.moved:
            self._is_called(job, setup.fingerprint_of_all(job))
        setup.cache.put(setup.place(job.name), job.made, outputs, pulled_at=job.pulled_at)
        self.others.release(piece)
        self._settle(job, outputs, "ran")

    def _there(self, piece: Piece, known: Known) -> None:
        """Goes on with a piece that was made before, or by another run."""
        self.others.release(piece)
        if piece.is_part:
            self._has_part(piece, known)
        else:
            self._reused(piece.job, known)

    def _has_part(self, piece: Piece, known: Known) -> None:
        """Puts the partitions below each other once all are there."""
        job = piece.job
        job.parts[piece.window] = known
        if len(job.parts) == len(job.windows) and not self.outcome.failures:
            self._want(self._whole(job))

    # A step ends.

    def _reused(self, job: Job, known: Known) -> None:
        setup, place = self.setup, self.setup.place(job.name)
        is_told = setup.nth_seed and job.name in setup.given  # by the run itself, which knows when it was pulled
        if not is_told and not setup.cache.is_last(place, job.made):  # it is this step's last now
            setup.cache.put(place, job.made, known.outputs, pulled_at=known.pulled_at)
        self._settle(job, known.outputs, "reused")

    def _settle(self, job: Job, outputs: Outputs, status: Literal["ran", "reused"]) -> None:
        try:
            self.inspect(outputs)
        except KairosError as error:
            self._failed(job, error)
            return
        self.outcome.settled(job, outputs, status)
        self.waiting.done(job.name)
        self._tell(job, status, parts=job.pulled)

    def _failed(self, job: Job, error: KairosError) -> None:
        if self.outcome.failed(job, error):
            self._tell(job, "failed")

    def _tell(self, job: Job, what: Any, *, why: tuple[str, ...] = (), parts: int = 0) -> None:
        elapsed_s = self.setup.clock.elapsed_s() - job.started_s
        self.on_event(StepEvent(step=job.name, what=what, why=why, elapsed_s=elapsed_s, parts=parts))
