"""Steps in processes on this machine."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from kairos.errors import KairosError, PipelineError, StepFailed, UsageError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.engine.messages import read_message, write_message
from kairos.pipeline.ports import Task

__all__ = ["LocalEngine"]

Outcome = Future[tuple[Artifact, ...]]


class LocalEngine:
    """Runs tasks in worker processes that stay for the next run. Use it as a context manager, or ``close`` it.

    Workers are started when they are first needed, as new interpreters: they share no memory, locks or threads with
    the caller, and end when it ends, however it ends.

    Args:
        workers: How many tasks run at once.
    """

    def __init__(self, *, workers: int = 2) -> None:
        if workers < 1:
            raise UsageError("An engine needs workers.", given=workers, accepted="1 or more")
        self._tasks: queue.SimpleQueue[tuple[Task, Outcome] | None] = queue.SimpleQueue()
        self._lanes = [_Lane(self._tasks) for _ in range(workers)]
        self._is_closed = False

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, task: Task) -> Outcome:
        """Begins a task as soon as a worker is free."""
        if self._is_closed:
            raise UsageError("The engine is closed.", hint="Make a new one.")
        outcome: Outcome = Future()
        self._tasks.put((task, outcome))
        for lane in self._lanes:
            lane.start()
        return outcome

    def close(self) -> None:
        """Ends all workers, in the middle of their steps if need be; tasks that are not done fail."""
        self._is_closed = True
        for lane in self._lanes:
            lane.stop()
            self._tasks.put(None)
        for lane in self._lanes:
            lane.join()


class _Lane:
    """A thread that feeds one worker process, and starts another one when it has died."""

    def __init__(self, tasks: queue.SimpleQueue[tuple[Task, Outcome] | None]) -> None:
        self._tasks = tasks
        self._worker: subprocess.Popen[bytes] | None = None
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
                self._worker.kill()

    def join(self) -> None:
        """Waits for the thread and puts the worker's remains away."""
        if self._thread.ident is not None:
            self._thread.join()
        self._bury()

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            task, outcome = item
            if not outcome.set_running_or_notify_cancel():
                continue
            try:
                result = self._ask(task)
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

    def _ask(self, task: Task) -> tuple[Artifact, ...]:
        data = pickle.dumps(task)
        worker = self._living_worker(task)
        assert worker.stdin is not None  # because of PIPE
        assert worker.stdout is not None
        try:
            write_message(worker.stdin, data)
            answer: Any = pickle.loads(read_message(worker.stdout))  # from our own child
        except (EOFError, OSError):
            raise _died(task, worker.wait(), by_us=self._is_stopped) from None
        if isinstance(answer, KairosError):
            raise answer
        return tuple(answer)

    def _living_worker(self, task: Task) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._is_stopped:
                raise _died(task, 0, by_us=True)
            if self._worker is None or self._worker.poll() is not None:
                self._bury()
                self._worker = subprocess.Popen(
                    [sys.executable, "-P", "-m", "kairos.pipeline.engine.worker"],  # -P: no modules from this folder
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONHASHSEED": "0"},  # texts have one hash in all workers
                )
            return self._worker

    def _bury(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()
            with worker:  # closes the pipes and waits
                pass


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
