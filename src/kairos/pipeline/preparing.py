"""All that is settled about a run before its first step: code, graph, params, and what each step reaches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kairos import __version__
from kairos.pipeline.cache import StepCache
from kairos.pipeline.captured import Captured
from kairos.pipeline.code import CodeIndex, Reached
from kairos.pipeline.code_state import CodeState, code_state
from kairos.pipeline.environment import Environment, environment
from kairos.pipeline.graph import Graph
from kairos.pipeline.plan import Setting, and_after, select, settings_of
from kairos.pipeline.project import Loaded, PipelineSource, load
from kairos.pipeline.result import Kept
from kairos.store import Store
from kairos.values import canonical_json

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may begin."""

    project: PipelineSource
    """With an absolute root: workers have folders of their own."""
    captured: Captured
    state: CodeState
    environment: Environment
    graph: Graph
    settings: Mapping[str, Setting]
    """The steps that are wanted and all that they need, in an order in which they can run."""
    reached: Mapping[str, Reached]
    force: frozenset[str]
    """Steps that run whatever was made before."""

    def keep(self, store: Store) -> Kept:
        """Stores what a rebuild needs besides the data."""
        return Kept(
            files=self.captured.keep(store),
            difference=store.put_bytes(self.state.difference) if self.state.difference else None,
            environment=store.put_bytes(self.environment.data()),
        )


def prepare(
    project: PipelineSource,
    *,
    cache: StepCache,
    params: Mapping[str, Mapping[str, Any]],
    targets: Sequence[str] | None,
    force: Collection[str],
    since: Collection[str] = (),
    given: Collection[str] = (),
    check: Callable[[Graph], None] = lambda graph: None,
) -> Prepared:
    """Captures a project's files and settles from them all that can be settled before anything runs.

    Args:
        project: Where the steps are.
        cache: Keeps in mind what the code was found to reach.
        params: Values of params by step.
        targets: Steps or artifacts that are wanted; ``None``: all.
        force: Steps that run whatever was made before; they have to be there.
        since: Steps of which the same holds for all that comes after them.
        given: Steps whose results are there.
        check: Shown the graph; what it raises, this raises.

    Raises:
        GraphError: the pipeline cannot run as written.
        StepFailed: the project's file cannot be loaded.
        UsageError: a step, param or target is unknown.
    """
    project = replace(project, root=project.root.absolute())
    captured = project.capture()
    loaded = load(project, keep=False, code=captured)
    if loaded.beside:
        captured = project.capture(*loaded.beside)
        loaded = load(project, keep=False, code=captured)
    graph = Graph.from_module(loaded.module)
    check(graph)
    settings = settings_of(graph, select(graph, targets, given), params, force)
    lock = environment()
    return Prepared(
        project=project,
        captured=captured,
        state=code_state(project.root),
        environment=lock,
        graph=graph,
        settings=settings,
        force=frozenset(force) | and_after(graph, since),
        reached=_reached(project, captured, loaded, settings, cache, lock),
    )


def _reached(
    project: PipelineSource,
    captured: Captured,
    loaded: Loaded,
    settings: Mapping[str, Setting],
    cache: StepCache,
    lock: Environment,
) -> dict[str, Reached]:
    """What each step reaches; reading the code for it takes longest of all, so it is done once for each state."""
    state = [__version__, project.file, captured.digest, list(loaded.folders), lock.plain()]
    name = f"reached:{hashlib.sha256(canonical_json(state)).hexdigest()}"
    noted = cache.note(name) or {}
    known = {step: Reached(code=code, libraries=libraries) for step, (code, libraries) in noted.items()}
    if not settings.keys() <= known.keys():
        index = CodeIndex(project, captured, loaded.folders)
        for step, setting in settings.items():
            function = setting.node.spec.function
            known[step] = index.reached(function.__module__, function.__name__)
        cache.put_note(name, {step: (reached.code, reached.libraries) for step, reached in known.items()})
    return known
