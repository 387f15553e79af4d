"""A process that runs tasks one after the other: pickled tasks come in on stdin, pickled outcomes go out on stdout.

What the user's code prints goes to stderr. When the parent is gone, for whatever reason, stdin ends and the worker
ends with it, in the middle of a step if need be.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from kairos.disk import MAKE_ROOM, is_full
from kairos.errors import KairosError, OutputError, StepFailed, StoreError
from kairos.pipeline import schemas
from kairos.pipeline.artifacts import Artifact, decode, encode, encode_package
from kairos.pipeline.captured import fetch
from kairos.pipeline.declare import StepSpec, find_spec
from kairos.pipeline.engine.children import tell_children, untell_children
from kairos.pipeline.engine.made import Made
from kairos.pipeline.engine.messages import ONE_THREAD, read_message, write_message
from kairos.pipeline.engine.seeding import seed_all
from kairos.pipeline.enums import with_members
from kairos.pipeline.hearing_out import keep, logged_in
from kairos.pipeline.hints import check_hints
from kairos.pipeline.listening import begin_anew, hearing, note_base
from kairos.pipeline.origins.declared import Origin
from kairos.pipeline.origins.rows import Rows
from kairos.pipeline.origins.secrets import without_secrets_in
from kairos.pipeline.ports import FinishRequest, Task
from kairos.pipeline.project import PipelineSource, is_ours, load_module, own_place, own_traceback, unload_module
from kairos.pipeline.reporting import PRUNED, Pruned, Reports, reporting
from kairos.pipeline.spent import spending
from kairos.store import Store
from kairos.values import Digest

__all__ = ["execute", "forget", "main"]

_loaded: list[tuple[PipelineSource, Digest, dict[str, StepSpec]]] = []
"""The project at hand, the digest of its code, and its steps; one at most, as modules share their names."""


_threads_given: set[int] = set()
"""Other numbers of threads than one that steps of this process have had."""


_ON_DISK = ("file", "folder", "package")
"""Kinds of artifacts that are given as a path."""


def execute(task: Task) -> Made:
    """Runs one task in this process.

    Raises:
        StepFailed: the user's code raised.
        KairosError: its result cannot be stored, or the model cannot be finished. For a task with a listener either has
            the fact ``made``: what was spent until then, and what the code had logged.
    """
    with hearing(logged_in(task)) as folder, spending() as spent, reporting(task.step, task.watch, task.log) as reports:
        try:
            outputs = _execute(task)
        except KairosError as error:
            logged = _heard(task, folder, reports)
            if task.listener is not None:
                error.facts["made"] = Made((), spent=spent, logged=logged)
            raise
        return Made(outputs, spent=spent, logged=_heard(task, folder, reports))


def _heard(task: Task, folder: Path, reports: Reports) -> tuple[Digest, ...]:
    """Keeps what the step's code logged, and what it reported."""
    if begin_anew():
        forget()
    if task.listener is None:
        return ()
    return keep(task.listener, reports, folder, Store(task.store))


def _execute(task: Task) -> tuple[Artifact, ...]:
    store = Store(task.store)
    with _workdir(task) as workdir:
        if task.parts:
            from kairos.pipeline.joining import join  # loads Polars

            return (join(store, task.parts, name=task.outputs[0], workdir=workdir, windows=task.part_windows),)
        os.chdir(task.source.root)
        spec = _spec(task)
        given = {name: decode(store, artifact, workdir=workdir) for name, artifact in task.inputs.items()}
        also = {name: decode(store, artifact, workdir=workdir) for name, artifact in task.also.items()}
        inputs: Mapping[str, Any] = given
        if task.finish is not None:
            inputs = task.finish.prepare(task.step, spec.target, given, also)
        if schemas.is_at_hand():
            schemas.check_inputs(store, spec.function, inputs)
        seed_all(task.seed, loads_torch=task.seeds_torch)
        with _threads(task.limits.cpus):
            returned = _call(spec, task, inputs)
            if spec.kind == "model":
                request = _request(spec, task, inputs, returned, workdir, given=given, also=also)
                return (encode_package(store, _finished(spec, task, request), name=task.outputs[0]),)
        if schemas.is_at_hand():
            schemas.check_result(store, spec.function, returned)
        return _encoded(Store(task.store, names_later=True), task, returned)  # the run syncs all names at its end


@contextmanager
def _workdir(task: Task) -> Iterator[Path]:
    """A folder for what has to be a file meanwhile; most steps need none, and one takes longer than a small step."""
    artifacts = [*task.inputs.values(), *task.also.values(), *task.parts]
    if task.finish is None and not task.parts and all(each.kind not in _ON_DISK for each in artifacts):
        yield Path(os.devnull)
        return
    with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
        yield Path(folder)


@contextmanager
def _threads(cpus: int) -> Iterator[None]:
    """Lets numeric libraries use so many threads; the process was started with one, and looking for them takes long."""
    if cpus == 1 and not _threads_given:
        yield
        return
    from threadpoolctl import threadpool_limits

    _threads_given.add(cpus)  # a library that is loaded now may keep them, so it has to be told from now on
    os.environ.update(dict.fromkeys(ONE_THREAD, str(cpus)))
    with threadpool_limits(cpus):
        yield


def main() -> None:
    """Runs tasks until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    tasks, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, waiting), daemon=True).start()
    write_message(outcomes, b"up")
    while True:
        outcome = _outcome(waiting.get())
        sys.stdout.flush()
        write_message(outcomes, outcome)


def _receive(tasks: BinaryIO, waiting: queue.SimpleQueue[bytes]) -> None:
    """Runs beside the step, so that the end of the parent is seen at once."""
    while True:
        try:
            waiting.put(read_message(tasks))
        except EOFError:
            _end_all()


def _end_all() -> None:
    """Ends this process and all that the step has started."""
    if os.getpgrp() == os.getpid():  # a group of its own, as the engine starts it
        shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _outcome(message: bytes) -> bytes:
    """Artifacts, or what went wrong; pickled."""
    try:
        return pickle.dumps(execute(pickle.loads(message)))  # from our own parent
    except KairosError as error:
        return pickle.dumps(without_secrets_in(error))
    except BaseException as error:
        if is_full(error):
            return pickle.dumps(_no_room(message, error))
        failed = StepFailed(
            f"A worker could not run its task: {type(error).__name__}: {error}",
            type=type(error).__name__,
            traceback="".join(traceback.format_exception(error)),
        )
        return pickle.dumps(without_secrets_in(failed))


def _no_room(message: bytes, error: BaseException) -> StoreError:
    step = pickle.loads(message).step  # as above
    place = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return StoreError(f"There is no room for what step {step!r} gave.", given=place and str(place), hint=MAKE_ROOM)


def forget() -> None:
    """Unloads the project at hand."""
    while _loaded:
        untell_children()
        unload_module(_loaded.pop()[0])


def _spec(task: Task) -> StepSpec:
    if not _loaded or _loaded[0][:2] != (task.source, task.code):
        forget()
        module = load_module(task.source, keep=True, code=fetch(Store(task.store), task.code))
        found = {spec.name: spec for thing in vars(module).values() if (spec := find_spec(thing)) is not None}
        for spec in found.values():
            check_hints(spec)  # what other modules define is known here
        _loaded.append((task.source, task.code, found))
        tell_children(task.store, task.code, task.source)
        note_base()
    return _loaded[0][2][task.step]


def _call(spec: StepSpec, task: Task, inputs: Mapping[str, Any]) -> Any:
    arguments = [task.window] if spec.takes_window else list(inputs.values())
    if spec.reads is not None:
        arguments = [_rows(spec.reads, task)]
    seed = {"seed": task.seed} if spec.takes_seed else {}
    try:
        return spec.function(*arguments, **with_members(spec, task.params), **seed)
    except BaseException as error:  # sys.exit() in a step must not end the worker without a word
        raise _failed(spec, task, "failed", error) from error


def _rows(reads: Origin, task: Task) -> Rows:
    """What a source is given: nothing is read before it asks."""
    assert task.reads is not None  # every such task has a window
    reader, window, pin = reads.reader(task.source.root), task.reads, task.pin
    # The reader paces its own calls; here counts only how often it is begun.
    return Rows(lambda: reader.batches(window, pin), replace(reads.patience(), rate_per_s=None))


def _finished(spec: StepSpec, task: Task, request: FinishRequest) -> Path:
    """Makes the package; what its estimator raises while it learns or predicts is the project's own error."""
    assert task.finish is not None  # every model task has one
    try:
        return task.finish(request)
    except KairosError:
        raise
    except BaseException as error:
        if is_ours(error):
            raise
        how = f"failed with the {type(request.returned).__name__} that it returned"
        raise _failed(spec, task, how, error) from error


def _failed(spec: StepSpec, task: Task, how: str, error: BaseException) -> StepFailed:
    if isinstance(error, Pruned):
        return StepFailed(f"Step {task.step!r} was {error}.", step=task.step, type=PRUNED, traceback="")
    place = own_place(error, task.source.root, otherwise=spec.function)
    return StepFailed(
        f"Step {task.step!r} {how}{place and f' ({place})'}: {type(error).__name__}: {error}",
        step=task.step,
        type=type(error).__name__,
        traceback=own_traceback(error, task.source.root),
    )


def _request(
    spec: StepSpec, task: Task, inputs: Mapping[str, Any], returned: Any, workdir: Path, **beside: Mapping[str, Any]
) -> FinishRequest:
    folder = workdir / "model"
    folder.mkdir()
    return FinishRequest(
        step=task.step,
        returned=returned,
        inputs=inputs,
        target=spec.target,
        targets=spec.targets,
        drop=spec.drop,
        params=task.params,
        seed=task.seed,
        lineage=task.lineage,
        workdir=folder,
        **beside,
    )


def _encoded(store: Store, task: Task, returned: Any) -> tuple[Artifact, ...]:
    if len(task.outputs) == 1 and "." not in task.outputs[0]:
        return (encode(store, returned, name=task.outputs[0]),)
    fields: Sequence[str] = [name.partition(".")[2] for name in task.outputs]
    if not all(hasattr(returned, name) for name in fields):
        raise OutputError(
            f"Step {task.step!r} did not return what it declares.",
            given=type(returned).__qualname__,
            accepted=f"a NamedTuple with {', '.join(fields)}",
        )
    names = zip(task.outputs, fields, strict=True)
    return tuple(encode(store, getattr(returned, field), name=name) for name, field in names)


if __name__ == "__main__":
    main()
