"""The loop: each tick looks once and moves one step, whoever looks beside it and whenever it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy, rollback
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.ledger import Entry, Fact, SqliteLedger
from kairos.monitor.findings import Finding
from kairos.pipeline.engine.local import LocalEngine
from kairos.values import VersionRef, Window
from tests.app.worlds import DAY, PIPELINE, SETTINGS, START, Stock, World, kinds


def moves(world: World) -> list[tuple[str, str]]:
    """Which version came to which stage, in order."""
    return [(entry.subject, entry.body["to"]) for entry in world.facts("stage.changed")]


def live_days(world: World, controller: Controller, days: int, *says: tuple[VersionRef, float]) -> None:
    """Lets days pass, with a tick at the end of each; in canary, every fourth hour is the challenger's."""
    for _ in range(days):
        challenger = world.model().challenger
        mine = range(0, 24, 4) if challenger is not None and challenger.stage == "canary" else ()
        world.day(*says, answered_by=dict.fromkeys(mine, 1))
        controller.tick()


def find_harm(world: World, ref: VersionRef, check: str = "quality", level: str = "alarm") -> None:
    """Tells of a finding as the monitor would."""
    finding = Finding(
        check=check,  # type: ignore[arg-type]
        level=level,  # type: ignore[arg-type]
        column=None,
        value=60.0,
        lower=50.0,
        upper=None,
        threshold=30.0,
        window=Window(START, world.clock.now()),
        rows=100,
        sentence="made up",
        version=ref.number,
    )
    world.project.tell("finding", subject=ref.model, body=finding.plain())


def test_a_proven_better_version_goes_from_shadow_to_canary_to_live_step_by_step(world: World) -> None:
    """One stage a tick, each with the evidence and the policy that it was decided on."""
    bad = world.live(260.0)
    good = world.passed(200.0)
    deploy(world.project, good)
    controller = Controller(world.project)
    seen = []
    for _ in range(14):
        live_days(world, controller, 1, (bad, 260.0), (good, 200.0))
        seen.append(world.stages()[good.number])
        if seen[-1] == "live":
            break
    assert seen == sorted(seen, key=("shadow", "canary", "live").index)
    assert moves(world)[-2:] == [("demand@2", "canary"), ("demand@2", "live")]
    canary, live = world.facts("stage.changed")[-2:]
    assert canary.at < live.at
    for entry in (canary, live):
        assert (entry.body["verdict"], entry.actor, entry.body["override"]) == ("pass", "tester", None)
        assert entry.body["evidence"]["loss"]["pairs"] >= 48
        assert entry.body["policy"]["min_pairs"] == 48
        assert "at any time" in entry.body["reasons"][0]
    assert (canary.body["share"], live.body["share"]) == (0.25, 0.0)
    model = world.model()
    assert (model.champion_number, model.previous_number, model.challenger_number) == (2, 1, None)


def test_without_evidence_a_tick_writes_nothing(world: World) -> None:
    """Hold: the challenger stays where it is, as often as one looks."""
    champion, challenger = world.live(200.0), world.passed(205.0)
    deploy(world.project, challenger)
    controller = Controller(world.project)
    world.day((champion, 200.0), (challenger, 205.0))
    head = world.project.ledger.head()
    for _ in range(3):
        controller.tick()
    assert world.project.ledger.head() == head
    assert world.stages() == {1: "live", 2: "shadow"}


def test_a_challenger_that_does_harm_is_rolled_back(world: World) -> None:
    """With the verdict fail and the proof in a sentence; the champion goes on answering."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    controller = Controller(world.project)
    live_days(world, controller, 7, (champion, 200.0), (challenger, 260.0))
    assert world.stages() == {1: "live", 2: "rolled_back"}
    [*_, last] = world.facts("stage.changed")
    assert (last.subject, last.body["from"], last.body["verdict"]) == ("demand@2", "shadow", "fail")
    assert "worse on" in last.body["reasons"][0]


def test_harm_shown_in_the_bake_leads_back_to_the_former_version(tmp_path: Path, stock: Stock) -> None:
    """Users are safe first: the former version is live again before the other is marked."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('bake = "3d"', 'bake = "7d"'))
    former, bad = world.live(200.0), world.live(260.0)
    live_days(world, Controller(world.project), 6, (bad, 260.0), (former, 200.0))
    assert moves(world)[-2:] == [("demand@1", "live"), ("demand@2", "rolled_back")]
    assert world.stages() == {1: "live", 2: "rolled_back"}
    back, ended = world.facts("stage.changed")[-2:]
    assert back.body["reasons"][0] == "in place of demand@2"
    assert back.body["evidence"]["loss"]["pairs"] >= 48
    assert back.body["evidence"] == ended.body["evidence"]


def test_a_bake_without_harm_ends(world: World) -> None:
    """After three days the former version may go; it is kept until then."""
    former, better = world.live(205.0), world.live(200.0)
    controller = Controller(world.project)
    live_days(world, controller, 2, (better, 200.0), (former, 205.0))
    assert world.model().previous_number == 1
    live_days(world, controller, 1, (better, 200.0), (former, 205.0))
    assert world.model().previous_number is None
    assert moves(world)[-1] == ("demand@1", "retired")
    assert "no harm shown within 3d" in world.facts("stage.changed")[-1].body["reasons"][0]


def test_a_version_that_nobody_has_registered_is_none_of_its_business(world: World) -> None:
    """An empty ledger stays empty."""
    Controller(world.project).tick()
    assert world.facts() == []


def test_every_fact_of_a_tick_is_announced_once_and_in_order(world: World) -> None:
    """Those of others, too; what was there before the controller is not news."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    told: list[Entry] = []
    before = world.project.ledger.head()
    controller = Controller(world.project, on_entry=told.append)
    live_days(world, controller, 7, (champion, 200.0), (challenger, 260.0))
    assert told == list(world.project.ledger.read(after=before))
    assert told[-1].body["to"] == "rolled_back"


class Interrupted(SqliteLedger):
    """A ledger before whose next append of some kind something else happens."""

    def __init__(self, path: Path, kind: str, happens: Callable[[], object]) -> None:
        super().__init__(path)
        self._kind, self._happens = kind, happens

    def append_all(
        self, facts: Sequence[Fact], *, actor: str, at: datetime, expect: int | None = None
    ) -> tuple[Entry, ...]:
        """As a ledger does, but for what happens before."""
        if any(fact.kind == self._kind for fact in facts):
            happens, self._happens = self._happens, lambda: None
            happens()
        return super().append_all(facts, actor=actor, at=at, expect=expect)


def interrupt(world: World, kind: str, happens: Callable[[], object]) -> None:
    """Lets something happen between a decision of this project and its being written down."""
    world.project.ledger = Interrupted(world.project.home / "ledger.db", kind, happens)


def test_of_two_controllers_one_decides(world: World) -> None:
    """The other has decided on the same evidence, is refused, and writes nothing at its next tick either."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    for _ in range(7):
        world.day((champion, 200.0), (challenger, 260.0))
    other = world.again()
    first, second = Controller(world.project), Controller(other.project)
    interrupt(world, "stage.changed", second.tick)
    before = len(moves(world))
    first.tick()
    assert moves(world)[before:] == [("demand@2", "rolled_back")]
    first.tick()
    second.tick()
    assert len(moves(world)) == before + 1
    assert world.project.ledger.verify().is_intact


def test_controllers_that_look_at_the_same_time_decide_once(world: World) -> None:
    """Four threads, each with a controller of its own, and one decision."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    for _ in range(7):
        world.day((champion, 200.0), (challenger, 260.0))
    before = len(moves(world))
    worlds = [world.again() for _ in range(4)]
    start = threading.Barrier(4)

    def tick(one: World) -> None:
        controller = Controller(one.project)
        start.wait()
        controller.tick()

    threads = [threading.Thread(target=tick, args=(one,)) for one in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert moves(world)[before:] == [("demand@2", "rolled_back")]


def test_a_person_who_was_faster_is_not_overruled(world: World) -> None:
    """What the loop had decided on older ground is not written; the next tick sees what she did."""
    champion, challenger = world.live(200.0), world.passed(260.0)
    deploy(world.project, challenger)
    for _ in range(7):
        world.day((champion, 200.0), (challenger, 260.0))
    person = world.again().project
    controller = Controller(world.project)
    interrupt(world, "stage.changed", lambda: rollback(person, "demand", reason="I do not like it"))
    controller.tick()
    controller.tick()
    assert moves(world)[-1] == ("demand@2", "rolled_back")
    assert world.facts("stage.changed")[-1].body["reasons"] == ["I do not like it"]
    assert moves(world).count(("demand@2", "rolled_back")) == 1


def test_a_finding_is_written_when_it_is_new_and_not_at_every_look(world: World) -> None:
    """A model that is wrong every day is one finding of a level, not one a day; a restart changes nothing."""
    champion = world.live(200.0)
    for _ in range(12):
        world.day((champion, 200.0), truth=400.0)
        Controller(world.project).tick()
    findings = [(e.body["check"], e.body["column"], e.body["level"]) for e in world.facts("finding")]
    assert ("quality", None, "alarm") in findings
    assert len(findings) == len(set(findings))


RETRAIN = SETTINGS + '\n[model.demand.retrain]\nmax_age = "20d"\ncooldown = "7d"\nmax_cooldown = "14d"\n'


@pytest.fixture
def aging(tmp_path: Path, stock: Stock, engine: LocalEngine) -> World:
    """A project that renews its model after 20 days; its runs share the worker of all tests."""
    world = World(tmp_path / "toy", stock, RETRAIN)
    world.project.engine = engine
    return world


def trained_at(world: World) -> list[int]:
    """Days since the start at which the loop decided to train anew."""
    return [(entry.at - START) // DAY for entry in world.facts("retrain.decided")]


def tick_daily(world: World, days: int, **controller: Any) -> None:
    """Lets days pass without traffic, with a new controller each day: none of this is kept in memory."""
    for _ in range(days):
        world.clock.move_to(world.clock.now() + DAY)
        Controller(world.project, **controller).tick()


def test_a_model_is_trained_anew_when_it_is_old_enough(aging: World) -> None:
    """On the twentieth day, because of its age, on what is known by then; the fact names the ground."""
    aging.live(260.0)
    tick_daily(aging, 19)
    assert trained_at(aging) == []
    tick_daily(aging, 1)
    assert trained_at(aging) == [20]
    [decided] = aging.facts("retrain.decided")
    assert (decided.body["origin"], decided.subject) == ("age", "demand")
    policy, facts = (decided.body[name] for name in ("policy", "facts"))
    again = decide_retrain(RetrainPolicy.from_plain(policy), RetrainFacts.from_plain(facts))
    assert again.plain() == {name: decided.body[name] for name in ("action", "origin", "reasons")}
    window = Window.parse(decided.body["window"])
    assert window == Window(START - 9 * DAY, START + 19 * DAY)
    since = kinds(aging.project.ledger.read(after=decided.seq))
    assert since == ["run.finished", "version.registered", "gate.decided", "stage.changed"]
    version = aging.model().version(2)
    assert (version.origin, version.stage, version.verdict) == ("age", "shadow", "pass")


def test_a_retraining_logs_what_warns_in_its_data(
    tmp_path: Path, stock: Stock, engine: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, in the loop's log, where nobody watches the run; it stops nothing."""
    world = World(tmp_path / "toy", stock, RETRAIN + '\n[data.rentals]\nrows = 100000\nwarn = ["rows"]\n')
    world.project.engine = engine
    world.live(260.0)
    tick_daily(world, 20)
    assert trained_at(world) == [20]
    (said,) = [each for each in caplog.records if each.name == "kairos.data"]
    assert (said.levelname, "rentals" in said.message) == ("WARNING", True)


def test_while_a_new_version_is_on_trial_none_is_trained(aging: World) -> None:
    """One challenger at a time, however old the live version is."""
    aging.live(260.0)
    tick_daily(aging, 32)
    assert trained_at(aging) == [20]
    assert aging.stages() == {1: "live", 2: "shadow"}


BROKEN = PIPELINE.replace("return DummyRegressor()", 'raise ValueError("no luck today")')


def test_a_pipeline_that_breaks_is_tried_again_soon_and_then_ever_more_seldom(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """A source that was down for a night costs a night, a broken one makes no storm; what is live stays live."""
    world = World(tmp_path / "toy", stock, RETRAIN, BROKEN)
    world.project.engine = engine
    champion = world.live(200.0)
    tick_daily(world, 36)
    assert trained_at(world) == [20, 21, 22, 23, 24, 25, 27, 30, 36]
    failures = world.facts("run.failed")
    line = next(number for number, text in enumerate(BROKEN.splitlines(), start=1) if "no luck today" in text)
    assert [entry.body["failure"]["message"] for entry in failures] == [
        f"Step 'demand' failed (pipeline.py, line {line}): ValueError: no luck today"
    ] * 9
    assert world.model().champion_number == champion.number


def test_rejected_versions_lengthen_the_pause_up_to_its_limit(
    tmp_path: Path, stock: Stock, engine: LocalEngine
) -> None:
    """After each version that is worse than the live one the pause doubles: 14 days at the most here."""
    worse = PIPELINE.replace("return DummyRegressor()", 'return DummyRegressor(strategy="quantile", quantile=1.0)')
    world = World(tmp_path / "toy", stock, RETRAIN, worse)
    world.project.engine = engine
    world.live(200.0)
    find_harm(world, VersionRef("demand", 1))
    tick_daily(world, 45)
    assert trained_at(world) == [1, 15, 29, 43]
    assert {entry.body["origin"] for entry in world.facts("retrain.decided")} == {"finding"}
    assert world.stages()[2] == "rejected"
    assert set(world.stages().values()) == {"live", "rejected"}


def test_an_alarm_asks_for_a_new_model_and_a_warning_does_not(aging: World) -> None:
    """Only what is proven; the reason names the check."""
    champion = aging.live(260.0)
    find_harm(aging, champion, level="warn")
    tick_daily(aging, 1)
    assert trained_at(aging) == []
    find_harm(aging, champion)
    tick_daily(aging, 1)
    [decided] = aging.facts("retrain.decided")
    assert (decided.body["origin"], decided.body["reasons"]) == ("finding", ["alarm: quality"])
    assert aging.model().version(2).origin == "finding"


def test_an_alarm_about_a_version_that_is_gone_asks_for_nothing(aging: World) -> None:
    """A rollback has answered it already."""
    aging.live(200.0)
    bad = aging.live(260.0)
    find_harm(aging, bad)
    rollback(aging.project, "demand", reason="it is bad")
    tick_daily(aging, 3)
    assert trained_at(aging) == []


def test_a_version_with_newer_data_takes_the_place_of_one_whose_gate_held(aging: World) -> None:
    """It waited in shadow for evidence; it is retired, with the reason, before the newer one comes."""
    champion = aging.live(260.0)
    waiting = aging.register(205.0)
    aging.gate(waiting, "hold")
    deploy(aging.project, waiting)
    find_harm(aging, champion)
    tick_daily(aging, 1)
    assert aging.stages() == {1: "live", 2: "retired", 3: "shadow"}
    gave_way = aging.facts("stage.changed")[-2]
    assert (gave_way.subject, gave_way.body["verdict"]) == ("demand@2", "hold")
    assert gave_way.body["reasons"] == ["gives way to demand@3, which has newer data"]


def test_two_controllers_train_once(aging: World) -> None:
    """The second one's decision to train is refused, because the first has moved the ledger."""
    aging.live(260.0)
    aging.clock.move_to(START + 20 * DAY)
    other = aging.again()
    other.project.engine = aging.project.engine
    second = Controller(other.project)
    first = Controller(aging.project)
    interrupt(aging, "retrain.decided", second.tick)
    first.tick()
    first.tick()
    assert trained_at(aging) == [20]
    assert len(aging.facts("run.finished")) == 2
    assert aging.stages() == {1: "live", 2: "shadow"}
