"""A project's past, lived through again under another clock: train, go live, answer, watch, retrain, compare.

Everything goes the way it would go in production, but for the clock: steps run in worker processes, the server is a
process of its own and is reached over HTTP, and every decision is made by the loop.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kairos.app.backtest import Backtest
from kairos.app.deploying import deploy
from kairos.app.finishing import finisher
from kairos.app.judging import judge
from kairos.app.project import Project
from kairos.app.recording import Record
from kairos.app.settings import ModelSettings
from kairos.app.story import Story
from kairos.app.storytelling import tell_story
from kairos.app.traffic import ReplayServer, Traffic
from kairos.app.training import pipeline_source, train
from kairos.clock import ReplayClock
from kairos.errors import KairosError, SettingsError, TransitionRefused, UsageError, did_you_mean
from kairos.ledger import Entry
from kairos.pipeline.graph import Graph
from kairos.pipeline.project import load_module
from kairos.pipeline.run import run
from kairos.store.tables import read_table
from kairos.values import Digest, VersionRef, Window

__all__ = ["Listener", "Replay", "model_of", "replay_project", "rows_artifact", "window_of"]

Hook = Callable[["Replay", datetime], None]


class Listener(Protocol):
    """Is told how a replay gets on."""

    def stage(self, sentence: str) -> None:
        """A new part begins."""
        ...

    def fact(self, entry: Entry) -> None:
        """The ledger has a new entry."""
        ...

    def progress(self, done: float) -> None:
        """The part of the traffic that was sent, in [0, 1]."""
        ...


def replay_project(
    root: Path,
    home: Path,
    listener: Listener,
    *,
    window: Window | None = None,
    before: Callable[[Replay], None] = lambda replay: None,
    each_day: Hook = lambda replay, now: None,
    footnotes: Sequence[str] = (),
) -> Story:
    """Replays a project from its first model on.

    The first run learns from ``project.window``; what follows is sent as traffic.

    Args:
        root: The project's folder; its code and data are used, its own facts are left alone.
        home: An empty folder for the replay's facts and predictions.
        listener: Is told of everything.
        window: What is sent; ``None``: as the settings say.
        before: Called before the first model is trained.
        each_day: Called after each turn of the loop.
        footnotes: What the figures do not show.

    Raises:
        UsageError: the settings lack what a replay needs, its window has nothing to send, or ``home`` is in use.
        SettingsError: the settings name an artifact that the pipeline lacks; nothing ran.
        TransitionRefused: the first model did not pass its gate.
    """
    if (home / "ledger.db").exists():
        raise UsageError("A replay needs a home of its own.", given=str(home), accepted="a folder without a ledger")
    with ExitStack() as stack:
        project = stack.enter_context(Project(root, home=home, actor="kairos"))
        sent = window_of(project, window)
        project.clock = clock = ReplayClock(sent.start)
        model = model_of(project)
        record = stack.enter_context(Record(project))
        replay = Replay(project, clock, listener, sent, model, record)
        before(replay)
        artifact = rows_artifact(project)
        first = replay.first_version()
        rows = replay.rows(artifact)
        others = stack.enter_context(_others(root, home, rows, first, sent))
        replay.live_through(rows, each_day)
        listener.stage("what other policies would have lost on the same rows")
        compared = others()
        listener.stage("the experiment record is brought up to the ledger")
        record.close()
        return tell_story(project, model=model, window=sent, others=compared, footnotes=footnotes)


class Replay:
    """A replay on its way."""

    def __init__(
        self,
        project: Project,
        clock: ReplayClock,
        listener: Listener,
        window: Window,
        model: ModelSettings,
        record: Record,
    ) -> None:
        self.project = project
        self.listener = listener
        self.window = window
        self.model = model
        self._clock = clock
        self._record = record
        self._told = 0

    def first_version(self) -> VersionRef:
        """Trains on the first window, passes the gate against the simple baseline, and goes live."""
        learnt = _first_window(self.project)
        self.listener.stage(f"the first model, from the data of {learnt.start:%Y-%m-%d} to {learnt.end:%Y-%m-%d}")
        trained = train(self.project, window=learnt)
        self.tell()
        if trained.result.failure is not None:
            raise KairosError("The first run failed.", given=trained.result.failure.message)
        ref = next(ref for ref in trained.versions if ref.model == self.model.name)
        judged = judge(self.project, ref)
        self.tell()
        if judged.decision.verdict != "pass":
            raise TransitionRefused(f"{ref} did not pass its gate: {judged.decision.sentence}")
        deploy(self.project, ref)
        self.tell()
        return ref

    def rows(self, name: str) -> Digest:
        """Digest of the table that is sent: what the step that makes this artifact makes of all the data."""
        result = run(
            pipeline_source(self.project),
            store=self.project.store,
            cache=self.project.cache,
            engine=self.project.engine,
            window=Window(_first_window(self.project).start, self.window.end),
            params={},
            clock=self._clock,
            finish_model=finisher(self.project),
            targets=[name],
        )
        if result.failure is not None:
            raise KairosError("The rows to send could not be made.", given=result.failure.message)
        return result.artifact(name).digest

    def live_through(self, rows: Digest, each_day: Hook) -> None:
        """Sends the traffic and lets the loop turn."""
        days = self.window.days
        self.listener.stage(f"{days:.0f} days of traffic over HTTP, with the truth as late as it is")
        with ReplayServer(self.project, self.window.start) as server:
            table = read_table(self.project.store, rows)
            traffic = Traffic(self.project, self._clock, table, window=self.window, server=server)
            for now in traffic:
                each_day(self, now)
                traffic.catch_up()
                self.tell()
                self.listener.progress((now - self.window.start).total_seconds() / 86400 / days)

    def tell(self) -> None:
        """Hands what is new in the ledger to the listener and to the experiment record."""
        for entry in self.project.ledger.read(after=self._told):
            self._told = entry.seq
            self.listener.fact(entry)
        self._record.follow()


@contextmanager
def _others(
    root: Path, home: Path, rows: Digest, first: VersionRef, window: Window
) -> Iterator[Callable[[], dict[str, Backtest]]]:
    """Works out the other policies in a process of its own, while the traffic runs; the value waits for the figures."""
    command = [sys.executable, "-m", "kairos.app.backtest", str(root), str(home), rows, str(first), str(window)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:

        def result() -> dict[str, Backtest]:
            output, _ = process.communicate()
            if process.returncode:
                raise KairosError("The other policies could not be worked out.", hint="See what was printed above.")
            found: dict[str, Backtest] = pickle.loads(output)  # from our own child
            return found

        try:
            yield result
        finally:
            process.kill()


def _first_window(project: Project) -> Window:
    if project.settings.window is None:
        raise UsageError(
            "The settings do not say what the first model learns from.", hint='Write [project] window = "START..END".'
        )
    return project.settings.window


def window_of(project: Project, window: Window | None) -> Window:
    """What is sent: after what the first model learns from."""
    sent = window or project.settings.replay_window
    if sent is None:
        raise UsageError("The settings do not say when a replay ends.", hint='Write [replay] window = "START..END".')
    learnt = _first_window(project)
    if sent.end <= max(sent.start, learnt.end):
        raise UsageError(
            "A replay has nothing to send in its window.",
            given=str(sent),
            accepted=f"a window that ends after {learnt.end:%Y-%m-%d %H:%M}, where the first model stops learning",
        )
    return Window(max(sent.start, learnt.end), sent.end)


def rows_artifact(project: Project) -> str:
    """Full name of the artifact whose rows are sent; found out before hours of training."""
    name = project.settings.replay_rows
    if name is None:
        raise UsageError("The settings do not say what a replay sends.", hint='Write [replay] rows = "ARTIFACT".')
    graph = Graph.from_module(load_module(pipeline_source(project), keep=False))
    known = [output for node in graph.nodes.values() if node.spec.kind != "model" for output in node.outputs]
    if name not in known:
        raise SettingsError(
            "kairos.toml: replay.rows is not in the pipeline; nothing ran.",
            given=name,
            accepted=", ".join(sorted(known)),
            hint=did_you_mean(name, known),
        )
    return name


def model_of(project: Project) -> ModelSettings:
    """The model that is replayed: the first with a time."""
    with_time = [model for model in project.settings.models.values() if model.time is not None]
    if not with_time:
        raise UsageError("No model can be replayed.", hint='Write [model.NAME] time = "COLUMN".')
    return with_time[0]
