"""Small projects on disk for the tests of this room, and what it takes to run them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kairos.clock import ReplayClock
from kairos.pipeline.cache import StepCache
from kairos.pipeline.engine.local import LocalEngine
from kairos.pipeline.graph import Graph
from kairos.pipeline.ports import FinishRequest, ModelFinisher
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.run import RunResult, StepEvent, run
from kairos.store import Store
from kairos.values import Json, Window

HEAD = """\
    from __future__ import annotations
    from typing import NamedTuple
    from kairos.pipeline import source, step, model
    from kairos.values import Window
"""
WINDOW = Window.parse("2011-01-03..2011-01-23")  # three weeks from a Monday on
NOW = datetime(2011, 2, 1, tzinfo=UTC)


def write_project(root: Path, text: str, **others: str) -> PipelineSource:
    """Writes ``pipeline.py`` (after the usual imports) and other modules by name."""
    (root / "pipeline.py").write_text(textwrap.dedent(HEAD) + textwrap.dedent(text))
    for name, body in others.items():
        (root / f"{name}.py").write_text(textwrap.dedent(body))
    return PipelineSource(root=root)


def graph_of(root: Path, text: str, **others: str) -> Graph:
    """The graph of a project that was just written."""
    return Graph.from_module(load_module(write_project(root, text, **others), keep=False))


@dataclass(frozen=True, slots=True)
class Finisher:
    """Packages whatever a model step returned: its text, its lineage, and a note."""

    note: str = ""
    beside: tuple[str, ...] = ()
    """Artifacts whose text is put behind each input."""

    def __call__(self, request: FinishRequest) -> Path:
        folder = request.workdir / "package"
        folder.mkdir()
        (folder / "model.txt").write_text(f"{request.returned} {request.target} {self.note}")
        (folder / "lineage.txt").write_text(" ".join(sorted(request.lineage["steps"])))
        return folder

    def also(self, step: str) -> Sequence[str]:
        """As told."""
        return self.beside

    def prepare(
        self, step: str, target: str | None, inputs: Mapping[str, Any], also: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The inputs, with what stands beside them behind each."""
        return {name: "".join(map(str, [value, *also.values()])) if also else value for name, value in inputs.items()}

    def facts(self, step: str) -> Json:
        """The note."""
        return {"note": self.note}


@dataclass
class Place:
    """A project's folder with its store and cache, and an engine to run it on."""

    root: Path
    engine: LocalEngine
    clock: ReplayClock = field(default_factory=lambda: ReplayClock(NOW))
    events: list[StepEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.root / ".dvc" / "cache")
        self.cache = StepCache(self.root / ".kairos" / "cache.db")

    def write(self, text: str, **others: str) -> None:
        """Writes the project's files."""
        write_project(self.root, text, **others)

    def run(
        self,
        text: str | None = None,
        *,
        window: Window = WINDOW,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        targets: Sequence[str] | None = None,
        force: Collection[str] = (),
        since: Collection[str] = (),
        finisher: ModelFinisher | None = None,
        on_event: Callable[[StepEvent], None] = lambda event: None,
    ) -> RunResult:
        """Runs the project, after writing ``text`` if there is any; its events are kept."""
        if text is not None:
            self.write(text)
        self.events.clear()

        def both(event: StepEvent) -> None:
            self.events.append(event)
            on_event(event)

        return run(
            PipelineSource(root=self.root),
            store=self.store,
            cache=self.cache,
            engine=self.engine,
            window=window,
            params=params or {},
            clock=self.clock,
            finish_model=finisher or Finisher(),
            targets=targets,
            force=force,
            since=since,
            on_event=both,
        )

    def why(self, step: str) -> tuple[str, ...]:
        """What the last run said about why the step ran."""
        return next(event.why for event in self.events if event.step == step and event.what == "started")


def statuses(result: RunResult) -> dict[str, str]:
    """Status by step."""
    return {step.step: step.status for step in result.steps}
