"""Running a pipeline: what is unchanged is reused, what is independent runs at once, what is finished is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kairos.clock import Clock
from kairos.errors import PipelineError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import StepCache
from kairos.pipeline.code import CodeIndex
from kairos.pipeline.code_state import code_state
from kairos.pipeline.graph import Graph
from kairos.pipeline.plan import select, settings_of
from kairos.pipeline.ports import Engine, ModelFinisher
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.result import RunResult, RunStopped, StepEvent
from kairos.pipeline.work import Work
from kairos.store import Store
from kairos.values import Window

__all__ = ["RunResult", "RunStopped", "StepEvent", "run"]


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
    check: Callable[[Graph], None] = lambda graph: None,
    inspect: Callable[[Sequence[Artifact]], None] = lambda outputs: None,
    on_event: Callable[[StepEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Runs the steps of a project.

    A step that fails ends the run, and is told in the result; steps that run beside it are finished and kept.

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
        check: Shown the graph before anything runs; what it raises, ``run`` raises.
        inspect: Shown what each step gave, made or reused, before anything takes it; a ``KairosError`` that it raises
            fails the step.
        on_event: Told how the steps get on.
        should_stop: Asked ten times a second; a thread that Ctrl-C does not reach is stopped by it.

    Raises:
        GraphError: the pipeline cannot run as written; nothing ran.
        StepFailed: the project's file cannot be loaded; nothing ran.
        UsageError: a step, param or target is unknown; nothing ran.
        PipelineError: the project's files changed while they were read; nothing ran.
        RunStopped: Ctrl-C, or ``should_stop``; it has the result so far. Steps go on until the engine is closed.
    """
    project = replace(project, root=project.root.absolute())  # workers have folders of their own
    files = project.code_digest()
    graph = Graph.from_module(load_module(project, keep=False))
    check(graph)
    settings = settings_of(graph, select(graph, targets), params, force)
    index = CodeIndex(project)
    functions = {name: setting.node.spec.function for name, setting in settings.items()}
    reached = {name: index.reached(each.__module__, each.__name__) for name, each in functions.items()}
    if project.code_digest() != files:  # else a result could be kept under the name of other code
        raise PipelineError("The project's files changed while they were read; nothing ran.", hint="Run it again.")
    return Work(
        project=project,
        store=store,
        cache=cache,
        engine=engine,
        window=window,
        clock=clock,
        finish_model=finish_model,
        force=frozenset(force),
        inspect=inspect,
        on_event=on_event,
        should_stop=should_stop,
        settings=settings,
        reached=reached,
        files=files,
        code=code_state(project.root),
        started_at=clock.now(),
        waiting=dict(settings),
    ).run()
