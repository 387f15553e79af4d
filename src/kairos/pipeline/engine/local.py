"""Steps in processes on this machine."""

from __future__ import annotations

import io
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any

from kairos.errors import KairosError, PipelineError, StepFailed, UsageError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.engine.messages import ONE_THREAD, read_message, write_message
from kairos.pipeline.engine.resources import Granted, Outcome, Resources, own_memory_bytes
from kairos.pipeline.limits import size_text
from kairos.pipeline.ports import Task
from kairos.values import duration_text

__all__ = ["LocalEngine"]

_LOOK_S = 0.02
"""How often the memory of a step with a limit is looked at: what it can write in between is what it may be over."""


class LocalEngine:
    """Runs tasks in worker processes that stay for the next run. Use it as a context manager, or ``close`` it.

    Workers are started when they are first needed, as new interpreters: they share no memory, locks or threads with
    the caller, and end when it ends, however it ends.

    A task waits until the processors, cards and memory that it asks for are free. One that takes longer than its
    timeout or more than its memory is ended with all processes that it started, and its files are removed.

    Args:
        workers: How many tasks run at once at most.
        cpus: Processors of this machine; ``None``: as many as this process may use.
        gpus: Names of its cards; ``None``: those that ``CUDA_VISIBLE_DEVICES`` or the driver names.
    """

    def __init__(self, *, workers: int = 2, cpus: int | None = None, gpus: Sequence[str] | None = None) -> None:
        if workers < 1:
            raise UsageError("An engine needs workers.", given=workers, accepted="1 or more")
        self._resources = Resources(workers, cpus=cpus, gpus=gpus)
        self._lanes = [_Lane(self._resources) for _ in range(workers)]
        self._is_closed = False
        self._lock = threading.RLock()
        """Several runs may use an engine at once, each in a thread of its own."""

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, task: Task) -> Outcome:
        """Begins a task as soon as a worker is free."""
        outcome: Outcome = Future()
        with self._lock:
            if self._is_closed:
                raise UsageError("The engine is closed.", hint="Make a new one.")
            self._resources.put(task, outcome)
            for lane in self._lanes:
                lane.start()
        return outcome

    def close(self) -> None:
        """Ends all workers, in the middle of their steps if need be; tasks that are not done fail."""
        with self._lock:
            self._is_closed = True
        for lane in self._lanes:
            lane.stop()
        self._resources.close()
        for lane in self._lanes:
            lane.join()


class _Lane:
    """A thread that feeds one worker process, and starts another one when it has died."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._worker: subprocess.Popen[bytes] | None = None
        self._desk = ""
        """The worker's folder for temporary files."""
        self._gpus: tuple[str, ...] = ()
        """What the worker was started with."""
        self._is_fresh = True
        self._is_up = False
        self._thread = threading.Thread(target=self._run, name="kairos-lane", daemon=True)
        self._is_stopped = False
        self._starting = threading.Lock()
        """No worker is started behind the back of ``stop``."""

    def start(self) -> None:
        """Begins to take tasks."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Ends the worker; the thread ends when it has emptied the queue."""
        with self._starting:
            self._is_stopped = True
            if self._worker is not None:
                _end(self._worker)

    def join(self) -> None:
        """Waits for the thread and puts the worker's remains away."""
        if self._thread.ident is not None:
            self._thread.join()
        self._bury()

    def _run(self) -> None:
        is_warm = False
        while (granted := self._resources.take(is_warm=is_warm)) is not None:
            tell = self._outcome(granted)
            is_warm = self._is_warm()
            self._resources.give_back(granted, is_warm=is_warm)  # before anybody has the next task
            tell()
            if not is_warm:  # others have the next tasks, so it is long until this lane would put the remains away
                with self._starting:
                    self._bury()

    def _outcome(self, granted: Granted) -> Callable[[], None]:
        """Runs a task, if it is still wanted; what tells how it ended."""
        if not granted.outcome.set_running_or_notify_cancel():
            return lambda: None
        try:
            return partial(granted.outcome.set_result, self._ask(granted))
        except BaseException as error:
            return partial(granted.outcome.set_exception, error)

    def _is_warm(self) -> bool:
        return self._worker is not None and self._worker.poll() is None

    def _ask(self, granted: Granted) -> tuple[Artifact, ...]:
        task = granted.task
        data = pickle.dumps(task)
        worker = self._living_worker(granted)
        self._is_fresh = False
        assert worker.stdin is not None  # because of PIPE
        answers = _answers(worker)
        try:
            write_message(worker.stdin, data)
            if not self._is_up:  # what its start takes is none of the step's time
                read_message(answers)
                self._is_up = True
            _watch(worker, task)
            answer: Any = pickle.loads(read_message(answers))  # from our own child
        except (EOFError, OSError):
            raise _died(task, _remains(worker), by_us=self._is_stopped) from None
        if isinstance(answer, KairosError):
            raise answer
        outputs: tuple[Artifact, ...] = answer
        return outputs

    def _living_worker(self, granted: Granted) -> subprocess.Popen[bytes]:
        # What earlier steps left behind in its memory must not count against a limit.
        suits = self._gpus == granted.gpus and (self._is_fresh or granted.task.limits.memory_bytes is None)
        with self._starting:
            if self._is_stopped:
                raise _died(granted.task, 0, by_us=True)
            if self._worker is None or not suits or self._worker.poll() is not None:
                self._bury()
                cards = {"CUDA_VISIBLE_DEVICES": ",".join(granted.gpus)} if granted.gpus else {}
                self._desk = tempfile.mkdtemp(prefix="kairos-worker-")
                self._worker = subprocess.Popen(
                    [sys.executable, "-P", "-m", "kairos.pipeline.engine.worker"],  # -P: no modules from this folder
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # Texts have one hash in all workers; libraries that count processors have one thread until told.
                    env={**os.environ, **ONE_THREAD, **cards, "PYTHONHASHSEED": "0", "TMPDIR": self._desk},
                    process_group=0,
                )
                self._gpus, self._is_fresh, self._is_up = granted.gpus, True, False
            return self._worker

    def _bury(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            _end(worker)
            with worker:  # closes the pipes and waits
                pass
            shutil.rmtree(self._desk, ignore_errors=True)


def _answers(worker: subprocess.Popen[bytes]) -> io.FileIO:
    """What a worker writes, without a buffer: who waits for it does not see what was read ahead."""
    assert isinstance(worker.stdout, io.BufferedReader)  # because of PIPE
    assert isinstance(worker.stdout.raw, io.FileIO)
    return worker.stdout.raw


def _watch(worker: subprocess.Popen[bytes], task: Task) -> None:
    """Waits until a task with limits answers, or ends it when it passes one.

    Raises:
        StepFailed: it did.
    """
    limits = task.limits
    if limits.timeout is None and limits.memory_bytes is None:
        return
    answers, started = _answers(worker), time.monotonic()
    while True:
        left_s = float("inf") if limits.timeout is None else started + limits.timeout.total_seconds() - time.monotonic()
        wait_s = min(left_s, 3600.0 if limits.memory_bytes is None else _LOOK_S)
        if select.select([answers], [], [], max(wait_s, 0.0))[0]:
            return
        if left_s <= 0:
            assert limits.timeout is not None
            _end_for_good(worker)
            raise _stopped(task, f"took longer than its timeout of {duration_text(limits.timeout)}", "TimedOut")
        used = 0 if limits.memory_bytes is None else own_memory_bytes(worker.pid)
        if limits.memory_bytes is not None and used > limits.memory_bytes:
            _end_for_good(worker)
            what = f"used {size_text(used)} of memory, more than its limit of {size_text(limits.memory_bytes)}"
            raise _stopped(task, what, "OutOfMemory")


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Ends a worker and all that it has started; harmless if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)


def _end_for_good(worker: subprocess.Popen[bytes]) -> None:
    """Ends it and waits until it is gone: one that is about to die looks alive, and the next task would die with it."""
    _end(worker)
    worker.wait()


def _remains(worker: subprocess.Popen[bytes]) -> int:
    """The exit code of a worker that is dying; what it has started ends with it."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    _end(worker)
    return worker.wait()


def _stopped(task: Task, what: str, kind: str) -> StepFailed:
    return StepFailed(f"Step {task.step!r} {what}; its process was ended.", step=task.step, type=kind, traceback="")


def _died(task: Task, code: int, *, by_us: bool) -> PipelineError:
    if by_us:
        return PipelineError(f"The engine was closed before step {task.step!r} was done.")
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return StepFailed(
        f"The process of step {task.step!r} {how}.",
        hint="Did it run out of memory, or call os._exit?",
        step=task.step,
        type="ProcessDied",
        traceback="",
    )
