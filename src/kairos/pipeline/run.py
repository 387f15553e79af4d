"""Running a pipeline: what is unchanged is reused, what is independent runs at once, what is finished is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kairos.clock import Clock
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.graph import Graph
from kairos.pipeline.ports import Engine, ModelFinisher
from kairos.pipeline.preparing import prepare
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.result import RunResult, RunStopped, StepEvent
from kairos.pipeline.setup import Setup
from kairos.pipeline.work import Work
from kairos.store import Store
from kairos.values import Window

__all__ = ["RunResult", "RunStopped", "StepEvent", "run", "set_up", "work"]


def set_up(
    project: PipelineSource,
    *,
    store: Store,
    cache: StepCache,
    engine: Engine,
    window: Window,
    params: Mapping[str, Mapping[str, Any]],
    clock: Clock,
    finish_model: ModelFinisher,
    targets: Sequence[str] | None = None,
    force: Collection[str] = (),
    since: Collection[str] = (),
    given: Mapping[str, tuple[Fingerprint, Known]] | None = None,
    check: Callable[[Graph], None] = lambda graph: None,
) -> Setup:
    """All of a run that is settled before its first step, for ``work``; arguments and errors are those of ``run``."""
    prepared = prepare(
        project, cache=cache, params=params, targets=targets, force=force, since=since, given=given or (), check=check
    )
    return Setup(
        project=prepared.project,
        store=store,
        cache=cache,
        engine=engine,
        window=window,
        clock=clock,
        finish_model=finish_model,
        force=prepared.force,
        given=given or {},
        settings=prepared.settings,
        reached=prepared.reached,
        kept=prepared.keep(store),
        code=prepared.state,
        started_at=clock.now(),
    )


def work(
    setup: Setup,
    *,
    inspect: Callable[[Sequence[Artifact]], None] = lambda outputs: None,
    on_event: Callable[[StepEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Runs the steps of what was set up; arguments and errors are those of ``run``."""
    return Work(setup, inspect=inspect, on_event=on_event, should_stop=should_stop).run()


def run(
    project: PipelineSource,
    *,
    store: Store,
    cache: StepCache,
    engine: Engine,
    window: Window,
    params: Mapping[str, Mapping[str, Any]],
    clock: Clock,
    finish_model: ModelFinisher,
    targets: Sequence[str] | None = None,
    force: Collection[str] = (),
    since: Collection[str] = (),
    given: Mapping[str, tuple[Fingerprint, Known]] | None = None,
    check: Callable[[Graph], None] = lambda graph: None,
    inspect: Callable[[Sequence[Artifact]], None] = lambda outputs: None,
    on_event: Callable[[StepEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Runs the steps of a project.

    The project's files are captured at the start; what is fingerprinted and what runs, here and in every worker, is
    that, whatever becomes of the files meanwhile. A step that fails ends the run, and is told in the result; steps that
    run beside it are finished and kept. What another run that uses this cache is making right now is waited for.

    Args:
        project: Where the steps are.
        store: Where artifacts go.
        cache: Which computations were made before.
        engine: What runs them.
        window: What sources are asked for.
        params: Values of params by step; the others have their defaults.
        clock: Tells when the run is made, and when a source is pulled.
        finish_model: Makes packages.
        targets: Steps or artifacts that are wanted; ``None``: all.
        force: Steps that run whatever was made before.
        since: Steps that run whatever was made before, with all that comes after them.
        given: Steps that are not asked: their results, and the fingerprints that these had.
        check: Shown the graph before anything runs; what it raises, ``run`` raises.
        inspect: Shown what each step gave, made or reused, before anything takes it; a ``KairosError`` that it raises
            fails the step.
        on_event: Told how the steps get on.
        should_stop: Asked ten times a second; a thread that Ctrl-C does not reach is stopped by it.

    Raises:
        GraphError: the pipeline cannot run as written; nothing ran.
        StepFailed: the project's file cannot be loaded; nothing ran.
        UsageError: a step, param or target is unknown; nothing ran.
        RunStopped: Ctrl-C, or ``should_stop``; it has the result so far. Steps go on until the engine is closed.
    """
    setup = set_up(
        project,
        store=store,
        cache=cache,
        engine=engine,
        window=window,
        params=params,
        clock=clock,
        finish_model=finish_model,
        targets=targets,
        force=force,
        since=since,
        given=given,
        check=check,
    )
    return work(setup, inspect=inspect, on_event=on_event, should_stop=should_stop)
