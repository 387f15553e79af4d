"""Any past decision comes out the same again, from the ledger alone; one that does not is named with what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kairos.app.approving import approve, freeze, refuse, unfreeze
from kairos.app.controller import Controller
from kairos.app.deploying import deploy, rollback
from kairos.app.judging import judge
from kairos.app.project import Project
from kairos.app.recomputing import recompute, recompute_all
from kairos.errors import NotFound
from kairos.ledger import Entry
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import VersionRef
from tests.app.worlds import DAY, SETTINGS, Stock, World

CONTROL = """
[control]
approvals = 1
freeze = ["2012-01-04..2012-01-05"]

[model.demand.retrain]
max_age = "20d"
"""


class Altered:
    """A ledger in which one field of one entry is another, as if somebody had got round the hashes."""

    def __init__(self, project: Project, seq: int, **fields: Any) -> None:
        self._ledger, self._seq, self._fields = project.ledger, seq, fields

    def head(self) -> int:
        """As it is."""
        return self._ledger.head()

    def read(self, **options: Any) -> Iterator[Entry]:
        """With that field altered."""
        for entry in self._ledger.read(**options):
            yield replace(entry, body={**entry.body, **self._fields}) if entry.seq == self._seq else entry


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, stock: Stock, engine: LocalEngine) -> World:
    """A project with gates, a rollout that waited, one taken back, a refusal, a training, and people's own words."""
    world = World(tmp_path_factory.mktemp("lived") / "toy", stock, SETTINGS + CONTROL)
    world.project.engine = engine
    first = world.register(260.0)
    judge(world.project, first)
    world.put(first, "live")
    loop = Project(world.root, clock=world.clock, actor="kairos")
    loop.engine = engine
    person = Project(world.root, clock=world.clock, actor="bob")
    controller = Controller(loop)

    def days(count: int, *says: tuple[VersionRef, float]) -> None:
        for _ in range(count):
            world.day(*says)
            controller.tick()

    good = world.register(200.0)
    judge(world.project, good)
    freeze(person, "demand", reason="a fair")
    deploy(world.project, good, override="it cannot wait")
    days(7, (first, 260.0), (good, 200.0))
    unfreeze(person, "demand", reason="over")
    days(1, (first, 260.0), (good, 200.0))
    approve(person, good, reason="looked at it")
    days(2, (first, 260.0), (good, 200.0))
    rollback(person, "demand", reason="I do not like it")
    bad = world.register(260.0)
    judge(world.project, bad)
    deploy(world.project, bad, override="to see")
    days(2, (first, 200.0), (bad, 260.0))
    refuse(person, bad, reason="no")
    days(1, (first, 200.0), (bad, 260.0))
    world.clock.move_to(world.clock.now() + 20 * DAY)
    controller.tick()
    return world


def test_every_decision_comes_out_identical(lived: World) -> None:
    """Gates, steps of the loop, waits, refusals and trainings; what a person decided is said to be her own word."""
    found = list(recompute_all(lived.project.ledger))
    assert [one for one in found if one.outcome == "differs"] == []
    identical = {one.kind for one in found if one.outcome == "identical"}
    assert identical == {"gate.decided", "stage.changed", "rollout.held", "retrain.decided"}
    unknown = [one.differences[0] for one in found if one.outcome == "unknown"]
    assert "it was bob's own word" in unknown
    assert "tester went past the rules: it cannot wait" in unknown
    assert not [why for why in unknown if "cannot be read" in why]


def test_a_decision_that_was_altered_is_named_with_the_field(lived: World) -> None:
    """Whatever in it was altered: the outcome, the reasons, the evidence or the policy."""
    alterations: dict[str, dict[str, Any]] = {
        "gate.decided": {"verdict": "hold"},
        "rollout.held": {"reasons": ["made up"]},
        "retrain.decided": {"reasons": ["made up"]},
    }
    for kind, fields in alterations.items():
        entry = lived.facts(kind)[-1]
        found = recompute(Altered(lived.project, entry.seq, **fields), entry.seq)  # type: ignore[arg-type]
        assert found.outcome == "differs", kind
        assert found.differences[0].startswith(f"{next(iter(fields))}: "), kind


def test_a_step_that_came_before_its_approval_is_found_out(lived: World) -> None:
    """The rules are asked again as of then: without the approval, it should have waited."""
    entry = next(e for e in lived.facts("stage.changed") if e.body["to"] == "canary")
    assert recompute(lived.project.ledger, entry.seq).outcome == "identical"
    approval = next(e for e in lived.facts("approval.decided") if e.body["verdict"] == "pass")
    found = recompute(Altered(lived.project, approval.seq, against="demand@9"), entry.seq)  # type: ignore[arg-type]
    assert (found.outcome, found.differences) == (
        "differs",
        ('waits_for: null was written, ["approval"] comes out',),
    )


def test_evidence_that_was_altered_gives_another_decision(lived: World) -> None:
    """A gate that failed on other numbers would not have failed."""
    entry = lived.facts("gate.decided")[0]
    evidence = dict(entry.body["evidence"])
    evidence["unusable"] = "it answers NaN"
    found = recompute(Altered(lived.project, entry.seq, evidence=evidence), entry.seq)  # type: ignore[arg-type]
    assert found.outcome == "differs"
    assert any("it answers NaN" in line for line in found.differences)


def test_what_is_no_decision_is_said_to_be_none(lived: World) -> None:
    """With what there is."""
    with pytest.raises(NotFound, match="Entry 1 of the ledger is no decision"):
        recompute(lived.project.ledger, 1)
    with pytest.raises(NotFound, match="no entry 100000"):
        recompute(lived.project.ledger, 100_000)


def test_what_was_written_without_its_evidence_is_unknown(tmp_path: Path, stock: Stock) -> None:
    """As in ledgers from before; it is not taken for identical."""
    world = World(tmp_path / "toy", stock)
    ref = world.passed()
    world.put(ref, "live")
    assert [one.outcome for one in recompute_all(world.project.ledger)] == ["unknown", "unknown"]
