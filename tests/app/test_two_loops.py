"""Two loops of one project, each a process of its own, at the same time: every decision is written once."""

from __future__ import annotations

import subprocess
import sys

from kairos.app.controller import Controller
from kairos.app.deploying import deploy
from tests.app.test_controller import interrupt
from tests.app.worlds import World

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
