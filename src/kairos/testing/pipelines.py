"""A project's pipeline in a test: run in the test's own process, on small inputs that the test gives.

A step is a plain function, so ``pipeline.features(table)`` tests it alone. This tests steps together: what is given
stands for what a step would have given, and only what comes after it is called. Breakpoints and coverage work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kairos.clock import SystemClock
from kairos.errors import KairosError, StepFailed, UsageError, did_you_mean
from kairos.pipeline.artifacts import Artifact, decode, encode
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.graph import Graph
from kairos.pipeline.ports import ModelFinisher, Task
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.result import RunResult
from kairos.pipeline.run import run
from kairos.store import Store
from kairos.values import Window

__all__ = ["PipelineOutcome", "PipelineUnderTest", "pipeline_under_test"]

_WINDOW = Window(datetime(2011, 1, 3, tzinfo=UTC), datetime(2011, 1, 24, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class PipelineOutcome:
    """What a pipeline gave."""

    result: RunResult
    _store: Store
    _folder: Path

    def __getitem__(self, name: str) -> Any:
        """The value of an artifact, such as ``features`` or ``split.train``.

        Raises:
            NotFound: the run has no such artifact.
        """
        return decode(self._store, self.result.artifact(name), workdir=self._folder)


class PipelineUnderTest:
    """Runs a project's pipeline in this process, with a store and a cache of its own below a folder.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = Store(folder / "store")
        self._runs = 0

    def run(
        self,
        root: Path | str,
        *targets: str,
        file: str = "pipeline.py",
        given: Mapping[str, Any] | None = None,
        window: Window | str = _WINDOW,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        finish_model: ModelFinisher | None = None,
    ) -> PipelineOutcome:
        """Runs steps of a project and what they need of what is not given.

        Args:
            root: The project's folder; nothing is written there.
            *targets: Steps or artifacts that are wanted; none: all that can be had from what is given.
            file: The Python file with the steps.
            given: Step or artifact to the value that stands for it; that step is not called.
            window: What sources are asked for.
            params: Values of params by step.
            finish_model: What is made of models; ``None``: a package, as a run makes it.

        Raises:
            StepFailed: a step raised; its own error is the cause, with its own traceback.
            UsageError: a name is unknown, or a step is given in part.
        """
        source = PipelineSource(root=Path(root).absolute(), file=file)
        graph = Graph.from_module(load_module(source, keep=False))
        self._runs += 1
        cache = StepCache(self._folder / f"cache-{self._runs}.db")
        engine = _Here()
        try:
            result = run(
                source,
                store=self._store,
                cache=cache,
                engine=engine,
                window=Window.parse(window) if isinstance(window, str) else window,
                params=params or {},
                clock=SystemClock(),
                finish_model=_default_finisher() if finish_model is None else finish_model,
                targets=list(targets) or None,
                given=self._known(graph, given or {}),
            )
        finally:
            cache.close()
            engine.close()
        if result.failure is not None:
            raise engine.error or StepFailed(result.failure.message, step=result.failure.step)
        return PipelineOutcome(result, self._store, self._folder)

    def _known(self, graph: Graph, given: Mapping[str, Any]) -> dict[str, tuple[Fingerprint, Known]]:
        values: dict[str, Any] = {}
        for name, value in given.items():
            node = graph.nodes.get(name)
            if node is None:
                values[graph.artifact(name)] = value
            elif node.outputs == (name,):
                values[name] = value
            else:
                values |= {output: getattr(value, output.partition(".")[2]) for output in node.outputs}
        steps = dict.fromkeys(name.partition(".")[0] for name in values)
        return {step: (Fingerprint(step=step), Known(self._encoded(graph, step, values), None)) for step in steps}

    def _encoded(self, graph: Graph, step: str, values: Mapping[str, Any]) -> tuple[Artifact, ...]:
        outputs = graph.node(step).outputs
        missing = [name for name in outputs if name not in values]
        if missing:
            raise UsageError(
                f"Step {step!r} is given in part.",
                given=", ".join(name for name in outputs if name in values),
                accepted=f"all of {', '.join(outputs)}",
                hint=did_you_mean(missing[0], values),
            )
        return tuple(encode(self._store, values[name], name=name) for name in outputs)


class _Here:
    """An engine that runs tasks in the calling thread."""

    def __init__(self) -> None:
        self.error: KairosError | None = None
        self._state = (os.getcwd(), list(sys.path), list(sys.meta_path), dict(sys.modules), sys.dont_write_bytecode)

    def submit(self, task: Task) -> Future[tuple[Artifact, ...]]:
        """Runs it."""
        from kairos.pipeline.engine.worker import execute

        outcome: Future[tuple[Artifact, ...]] = Future()
        try:
            outcome.set_result(execute(task))
        except KairosError as error:
            self.error = self.error or error
            outcome.set_exception(error)
        return outcome

    def close(self) -> None:
        """Leaves the process as it was: its folder, and the modules of projects."""
        from kairos.pipeline.engine.worker import forget

        forget()
        folder, path, finders, modules, flag = self._state
        os.chdir(folder)
        sys.path[:], sys.meta_path[:], sys.dont_write_bytecode = path, finders, flag
        for name, module in modules.items():
            sys.modules.setdefault(name, module)


def _default_finisher() -> ModelFinisher:
    from kairos.models.finish import FinishModel  # loads numpy and what packages need

    return FinishModel()


@pytest.fixture
def pipeline_under_test(tmp_path_factory: pytest.TempPathFactory) -> PipelineUnderTest:
    """A fixture to import into a ``conftest.py``: ``from kairos.testing import pipeline_under_test``."""
    return PipelineUnderTest(tmp_path_factory.mktemp("pipeline"))
