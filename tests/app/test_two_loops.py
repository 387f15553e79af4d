"""Two loops of one project, each a process of its own, at the same time: every decision is written once."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy
from kairos.pipeline.engine.local import LocalEngine
from tests.app.test_controller import RETRAIN, interrupt
from tests.app.worlds import DAY, HOUR, START, Stock, World

PROGRAM = """
import sys
from datetime import datetime
from pathlib import Path
from kairos.app.controller import Controller
from kairos.app.project import Project
from kairos.clock import ReplayClock

project = Project(Path(sys.argv[1]), clock=ReplayClock(datetime.fromisoformat(sys.argv[2])), actor="kairos")
controller = Controller(project)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    controller.tick()
"""


def test_two_processes_decide_once(world: World) -> None:
    """Harm is proven to both; one of them takes the version back, and the other sees that it was done."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    for _ in range(7):
        world.day((champion, 200.0), (challenger, 260.0))
    command = [sys.executable, "-c", PROGRAM, str(world.root), world.clock.now().isoformat()]
    loops = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for loop in loops:
        assert loop.stdout is not None
        assert loop.stdout.readline() == "ready\n"
    for loop in loops:
        assert loop.stdin is not None
        loop.stdin.write("go\n")
        loop.stdin.flush()
    for loop in loops:
        loop.communicate()
        assert loop.returncode == 0
    moved = [(e.subject, e.body["to"]) for e in world.facts("stage.changed") if e.actor == "kairos"]
    assert moved == [("demand@2", "rolled_back")]
    findings = [(e.body["check"], e.body["column"], e.body["level"]) for e in world.facts("finding")]
    assert len(findings) == len(set(findings))
    assert world.project.ledger.verify().is_intact


def test_a_version_is_judged_once(world: World) -> None:
    """The second loop's verdict is refused, because the first has moved the ledger."""
    world.live(260.0)
    ref = world.register(200.0, origin="age")
    other = Controller(world.again().project)
    interrupt(world, "gate.decided", other.tick)
    Controller(world.project).tick()
    assert [e.subject for e in world.facts("gate.decided")].count(str(ref)) == 1


DIES = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from kairos.app.controller import Controller
from kairos.app.project import Project
from kairos.clock import ReplayClock
from kairos.ledger.sqlite import SqliteLedger

class Dying(SqliteLedger):
    def append_all(self, facts, **how):
        if facts[0].kind == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().append_all(facts, **how)

project = Project(Path(sys.argv[1]), clock=ReplayClock(datetime.fromisoformat(sys.argv[2])), actor="kairos", workers=1)
project.ledger = Dying(project.home / "ledger.db")
Controller(project).tick()
"""


@pytest.mark.parametrize("kind", ["run.finished", "gate.decided"])
def test_a_loop_whose_process_is_killed_leaves_nothing_locked(
    tmp_path: Path, stock: Stock, engine: LocalEngine, kind: str
) -> None:
    """``kill -9`` after the training, before it is told, or before the verdict: the next loop goes on at once."""
    world = World(tmp_path / "toy", stock, RETRAIN)
    world.project.engine = engine
    world.live(260.0)
    world.clock.move_to(START + 20 * DAY)
    command = [sys.executable, "-c", DIES, str(world.root), world.clock.now().isoformat(), kind]
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    assert world.stages() == ({1: "live"} if kind == "run.finished" else {1: "live", 2: "registered"})
    world.clock.move_to(world.clock.now() + (2 * HOUR if kind == "run.finished" else timedelta(0)))
    Controller(world.project).tick()
    assert world.stages() == {1: "live", 2: "shadow"}
    assert world.project.ledger.verify().is_intact
