"""Weeks of a loop's life, killed between any two of its facts: a fresh one ends where an undisturbed one does.

All state is in the ledger, so it is enough to go on until the turn is done: from the same facts the same life follows.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.clock import ReplayClock
from kairos.delivery.rollout import StageStep
from kairos.ledger import Entry, Fact
from kairos.ledger.sqlite import SqliteLedger
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import Digest, VersionRef
from tests.app.test_refitting import GROWING
from tests.app.worlds import DAY, HOUR, SETTINGS, Stock, World, kinds

LIFE = (
    SETTINGS.replace('bake = "3d"', 'bake = "2d"\nmin_canary_requests = 5\nmin_dwell = "1h"')
    + '\n[model.demand.retrain]\nmax_age = "11d"\ncooldown = "3d"\ncost = 1e9\ngrowth = 1e9\nmin_new_rows = 0\n'
)


class Killed(SqliteLedger):
    """The ledger of a process that ends before it writes once more than so many times; the dead write no more."""

    def __init__(self, path: Path, writes: int | None = None) -> None:
        super().__init__(path)
        self._left = writes
        self.written = 0

    def append_all(
        self, facts: Sequence[Fact], *, actor: str, at: datetime, expect: int | None = None
    ) -> tuple[Entry, ...]:
        """As a ledger does, while its process lives."""
        if self._left == 0:
            raise KeyboardInterrupt
        self._left = None if self._left is None else self._left - 1
        self.written += 1
        return super().append_all(facts, actor=actor, at=at, expect=expect)


class Life(World):
    """A world whose loop may be killed."""

    def live_day(self, truth: float) -> None:
        """Requests of a day, answered by whatever predicts; no tick yet."""
        state = self.model()
        found = [v for v in (state.champion, state.challenger, state.previous) if v is not None]
        is_drawn = state.challenger is not None and state.challenger.share > 0
        by = dict.fromkeys(range(0, 24, 4), 1) if is_drawn else {}
        self.day(*((v.ref, self.says(v.ref)) for v in found), truth=truth, answered_by=by)

    def says(self, ref: VersionRef) -> float:
        """What that version answers whatever is asked."""
        package = open_stored(self.project.store, self.model().version(ref.number).package)
        return float(package.runner().predict({"temperature": np.array([15.0])})[0])

    def opened(self, ledger: Path, writes: int | None = None) -> Project:
        """The project as a new process opens it, with a ledger that it may be killed on."""
        project = Project(self.root, clock=ReplayClock(self.clock.now()), actor="kairos")
        project.ledger = Killed(ledger, writes)
        project.engine = self.project.engine
        return project


def told(project: Project, after: int) -> list[tuple[Any, ...]]:
    """What was decided after an entry, but for runs, whose id says when they began."""
    entries = [entry for entry in project.ledger.read(after=after) if not entry.kind.startswith("run.")]
    return [(e.kind, e.subject, *(e.body.get(name) for name in _DECIDED)) for e in entries]


_DECIDED = ("verdict", "to", "share", "origin", "action", "twin", "base", "check", "level")


def check_kills(life: Life, before: Path, expected: list[tuple[Any, ...]], writes: int) -> None:
    """Kills a loop before each of a turn's writes; a fresh one has to end with what was expected."""
    head = SqliteLedger(before).head()
    for write in range(writes):
        ledger = before.with_name(f"{before.stem}-{write}.db")
        copy(before, ledger)
        with pytest.raises(KeyboardInterrupt):
            Controller(life.opened(ledger, write)).tick()
        project = life.opened(ledger)
        for _ in range(2):
            Controller(project).tick()
        found = told(project, head)
        if found != expected:  # a training was lost, and is tried again after a pause
            assert isinstance(project.clock, ReplayClock)
            project.clock.move_to(project.clock.now() + HOUR)
            Controller(project).tick()
            found = told(project, head)
            lost = next(fact for fact in found if fact[0] == "retrain.decided")
            assert found.count(lost) == 2
            found.remove(lost)
        assert found == expected
        assert project.ledger.verify().is_intact


def copy(source: Path, target: Path) -> None:
    """A ledger as it is now."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def bad(life: Life) -> Digest:
    """The package of a version that always says 500."""
    return Stock.package(life.project.store, life.root / f"bad-{len(life.facts())}", 500.0)


def reject(life: Life) -> None:
    """The loop has made a version that is bad."""
    life.register(package=bad(life), origin="age")


def force(life: Life) -> None:
    """A person forces a bad version upon users."""
    deploy(life.project, life.register(package=bad(life)), to=StageStep.parse("canary:25%"), override="I know better")


def be_patient(life: Life) -> None:
    """The owner lets models grow old."""
    settings = life.root / "kairos.toml"
    settings.write_text(settings.read_text().replace('max_age = "11d"', 'max_age = "300d"'))
    del life.project.settings


DAYS, LEVEL_MOVES = 32, 14
SCRIPT: dict[int, Callable[[Life], None]] = {1: reject, 2: force, LEVEL_MOVES: be_patient}


def test_weeks_of_a_life_killed_between_any_two_facts(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """A rejected version, one that is taken back, a training with its refit, trials, bakes, an alarm, a recalibration.

    Nothing is trained, judged or deployed twice, and nothing is forgotten.
    """
    life = Life(tmp_path / "toy", stock, LIFE, GROWING, refit=True)
    life.project.engine, life.project.actor = engine, "kairos"
    life.live(260.0)
    killed = 0
    for day in range(DAYS):
        if day in SCRIPT:
            SCRIPT[day](life)
        life.live_day(200.0 if day < LEVEL_MOVES else 330.0)
        before = tmp_path / f"day-{day}.db"
        copy(life.project.home / "ledger.db", before)
        head = life.project.ledger.head()
        life.project.ledger = counted = Killed(life.project.home / "ledger.db")
        for _ in range(2):
            Controller(life.project).tick()
        killed += counted.written
        check_kills(life, before, told(life.project, head), counted.written)
    assert life.stages() == {
        1: "retired", 2: "rejected", 3: "rolled_back", 4: "retired", 5: "retired", 6: "live",
    }  # fmt: skip
    assert [version.base for version in life.model().versions.values()] == [None] * 5 + [5]
    assert killed > 20


@pytest.mark.parametrize("which", [0, 1], ids=["training", "refit"])
def test_while_one_loop_trains_another_does_not(tmp_path: Path, stock: Stock, engine: LocalEngine, which: int) -> None:
    """However long it takes: hours later the second one leaves the learning alone, and goes on watching."""
    life = Life(tmp_path / "toy", stock, LIFE, GROWING, refit=True)
    life.project.engine = engine
    life.live(260.0)
    life.clock.move_to(life.clock.now() + 11 * DAY)
    second = Project(life.root, clock=ReplayClock(life.clock.now() + 3 * HOUR), actor="kairos")
    second.engine = engine
    runs = []

    class Slow(SqliteLedger):
        """Before a run is written down, hours pass in which another loop looks."""

        def append_all(self, facts: Sequence[Fact], **how: Any) -> tuple[Entry, ...]:
            if facts[0].kind == "run.finished":
                runs.append(facts[0].subject)
                if len(runs) == which + 1:
                    Controller(second).tick()
            return super().append_all(facts, **how)

    life.project.ledger = Slow(life.project.home / "ledger.db")
    Controller(life.project).tick()
    assert len(runs) == 2
    assert kinds(life.facts()).count("run.finished") == 3
    assert kinds(life.facts()).count("retrain.decided") == 1
    assert life.stages() == {1: "live", 2: "retired", 3: "shadow"}


def look_twice(project: Project, start: threading.Barrier) -> None:
    """At the same moment as another one."""
    start.wait()
    for _ in range(2):
        Controller(project).tick()


def test_two_loops_at_once_live_one_life(tmp_path: Path, stock: Stock, engine: LocalEngine) -> None:
    """Both look at every moment, in threads of their own, for weeks: every decision is made once."""
    life = Life(tmp_path / "toy", stock, LIFE, GROWING, refit=True)
    life.project.engine, life.project.actor = engine, "kairos"
    life.live(260.0)
    for day in range(18):
        if day in SCRIPT:
            SCRIPT[day](life)
        life.live_day(200.0)
        loops = [life.opened(life.project.home / "ledger.db") for _ in range(2)]
        start = threading.Barrier(2)
        with ThreadPoolExecutor(2) as threads:
            for looked in [threads.submit(look_twice, loop, start) for loop in loops]:
                looked.result()
    assert life.stages() == {1: "retired", 2: "rejected", 3: "rolled_back", 4: "retired", 5: "live"}
    decided = [fact for fact in told(life.project, 0) if fact[0] not in ("retrain.decided", "reading.taken")]
    assert len(decided) == len(set(decided))
    assert kinds(life.facts()).count("retrain.decided") == 1
    read = [fact.body["window"] for fact in life.facts("reading.taken")]
    assert len(read) == len(set(read)) == 3
    assert life.project.ledger.verify().is_intact
