"""A loop that is stopped anywhere goes on where it was; what others do meanwhile, and trouble elsewhere, is no harm."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from kairos.app.controller import Controller
from kairos.app.deploying import deploy, rollback
from kairos.app.judging import judge
from kairos.app.looping import Loop
from kairos.app.retraining import retrain_facts
from kairos.app.retrying import decide_again
from kairos.app.watching import Watch
from kairos.clock import ReplayClock
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.rollout import StageStep
from kairos.delivery.state import ModelState
from kairos.errors import KairosError, LedgerMoved, TransitionRefused
from kairos.values import VersionRef
from tests.app.test_controller import RETRAIN, find_harm, interrupt, live_days, moves, trained_at
from tests.app.worlds import DAY, SETTINGS, START, Stock, World

CANARY, LIVE = StageStep.parse("canary:25%"), StageStep.parse("live")


@pytest.mark.parametrize("verdict", ["pass", "hold", None])
def test_a_version_made_before_a_stop_is_taken_further(world: World, verdict: str | None) -> None:
    """Whether it was judged already or not."""
    world.live(260.0)
    made = world.register(200.0, origin="age")
    if verdict is not None:
        world.gate(made, verdict)
    Controller(world.project).tick()
    assert world.stages() == {1: "live", 2: "shadow"}
    assert len([gate for gate in world.facts("gate.decided") if gate.subject == "demand@2"]) == 1


def test_a_version_that_failed_before_a_stop_is_rejected(world: World) -> None:
    """So that it counts among the failures that lengthen the pause."""
    world.live(200.0)
    made = world.register(260.0, origin="finding")
    judge(world.project, made)
    Controller(world.project).tick()
    assert world.stages() == {1: "live", 2: "rejected"}
    assert world.facts("stage.changed")[-1].body["reasons"][0].startswith("fail: worse")
    assert world.model().failures_in_a_row == 1


def test_a_verdict_on_another_champion_is_not_used(world: World) -> None:
    """It is judged again, against what is live now."""
    world.live(260.0)
    made = world.passed(205.0, origin="age")
    forced = world.register(200.0)
    deploy(world.project, forced, to=LIVE, override="I know better")
    with pytest.raises(TransitionRefused, match="compared demand@2 with demand@1, and demand@3 is live"):
        deploy(world.project, made)
    newest = world.register(205.0, origin="age")
    world.gate(newest)
    rollback(world.project, "demand", reason="no")
    Controller(world.project).tick()
    assert [gate.body["against"] for gate in world.facts("gate.decided") if gate.subject == "demand@4"] == [
        "demand@3",
        "demand@1",
    ]


def test_what_a_person_made_is_left_to_her(world: World) -> None:
    """The loop judges and deploys only what it made itself."""
    world.live(260.0)
    world.passed(200.0)
    Controller(world.project).tick()
    assert world.stages() == {1: "live", 2: "registered"}


def test_a_trial_that_a_person_began_during_a_training_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that came out waits until it is decided."""
    world.live(260.0)
    hers = world.passed(205.0)

    def train(*args: object, **kwargs: object) -> SimpleNamespace:
        deploy(world.project, hers, to=CANARY, override="my trial")
        world.register(200.0, origin="finding")
        return SimpleNamespace(data_checks=())

    monkeypatch.setattr("kairos.app.retraining.train", train)
    find_harm(world, VersionRef("demand", 1))
    Controller(world.project).tick()
    assert trained_at(world) == [0]
    assert world.stages() == {1: "live", 2: "canary", 3: "registered"}
    rollback(world.project, "demand", reason="enough")
    Controller(world.project).tick()
    assert world.stages() == {1: "live", 2: "rolled_back", 3: "shadow"}


def test_a_rollback_beside_other_writers_is_whole(world: World) -> None:
    """Both facts or none: whoever writes in between makes it decide again from the start, not go half the way back."""
    world.live(200.0)
    world.live(260.0)
    interrupt(world, "never", lambda: None)
    original = world.project.ledger.append_all
    calls = []

    def disturbed(*args: object, **kwargs: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            world.again().project.tell("finding", subject="other", body={})
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.project.ledger.append_all = disturbed  # type: ignore[method-assign,assignment]
    back, ended = decide_again(lambda: rollback(world.project, "demand", reason="bad"))
    assert len(calls) == 2
    assert (back.subject, back.body["to"], ended.subject, ended.body["to"], ended.seq - back.seq) == (
        "demand@1",
        "live",
        "demand@2",
        "rolled_back",
        1,
    )
    assert world.stages() == {1: "live", 2: "rolled_back"}
    assert world.model().previous_number is None


def test_a_version_that_was_taken_back_does_not_return_by_itself(world: World) -> None:
    """Not by its old gate, and not as the former version, even after another trial was withdrawn."""
    world.live(205.0)
    world.live(200.0)
    world.live(260.0)
    rollback(world.project, "demand", reason="bad")
    bad = VersionRef("demand", 3)
    with pytest.raises(TransitionRefused, match="demand@3 was rolled back"):
        deploy(world.project, bad)
    deploy(world.project, bad, to=StageStep.parse("shadow"), override="once more")
    world.put(bad, "retired")
    rollback(world.project, "demand", reason="2 as well")
    assert world.model().champion_number == 1
    deploy(world.project, bad, to=LIVE, override="it was not its fault")
    assert not world.model().version(3).was_taken_back


def test_a_trial_does_not_begin_anew_by_deploying_again(world: World) -> None:
    """Its clocks run on; a person may still move it back with a reason."""
    world.live(260.0)
    ref = world.passed(200.0)
    deploy(world.project, ref)
    with pytest.raises(TransitionRefused, match="demand@2 is in shadow already"):
        deploy(world.project, ref)
    deploy(world.project, ref, to=CANARY, override="quick")
    with pytest.raises(TransitionRefused, match="demand@2 is in canary already"):
        deploy(world.project, ref)
    assert deploy(world.project, ref, to=StageStep.parse("shadow"), override="too early").body["to"] == "shadow"


def test_a_wrong_split_is_told_once_and_the_trial_ends_in_time(tmp_path: Path, stock: Stock) -> None:
    """The share stays frozen, nothing is promoted, and after ``max_wait`` the challenger answers nobody."""
    settings = SETTINGS.replace('bake = "3d"', 'bake = "3d"\nmax_wait = "5d"')
    world = World(tmp_path / "toy", stock, settings)
    champion, challenger = world.live(260.0), world.passed(200.0)
    deploy(world.project, challenger, to=CANARY, override="straight to canary")
    controller = Controller(world.project)
    for day in range(5):
        world.day((champion, 260.0), (challenger, 200.0), answered_by=dict.fromkeys(range(23), 1))
        controller.tick()
        assert world.stages()[2] == ("canary" if day < 4 else "shadow")
    findings = [f for f in world.facts("finding") if f.body["check"] == "request_split"]
    assert len(findings) == 1
    assert "not split as designed" in findings[0].body["sentence"]
    assert (
        "not decided within 5d, waits for a person: requests are not split"
        in world.facts("stage.changed")[-1].body["reasons"][0]
    )


def test_harm_in_the_bake_is_seen_while_another_version_is_on_trial(tmp_path: Path, stock: Stock) -> None:
    """The former version comes back; the trial goes on against it."""
    world = World(tmp_path / "toy", stock, SETTINGS.replace('bake = "3d"', 'bake = "9d"'))
    former, bad = world.live(200.0), world.live(260.0)
    third = world.passed(205.0)
    deploy(world.project, third)
    live_days(world, Controller(world.project), 6, (bad, 260.0), (former, 200.0), (third, 205.0))
    assert ("demand@1", "live") in moves(world)[2:]
    assert world.stages()[2] == "rolled_back"
    assert world.model().champion_number in (1, 3)


def test_a_margin_in_the_unit_of_the_loss_is_owed_in_the_rollout_as_well(tmp_path: Path, stock: Stock) -> None:
    """A version whose gate held is not promoted by the coarser margin of harm."""
    settings = SETTINGS + "\n[model.demand.gate]\nmargin = 0.2\n"
    world = World(tmp_path / "toy", stock, settings)
    champion = world.live(200.0)
    held = world.register(205.0)
    world.gate(held, "hold")
    deploy(world.project, held)
    live_days(world, Controller(world.project), 13, (champion, 200.0), (held, 205.0))
    assert world.stages()[2] == "shadow"


def test_drift_asks_for_a_new_model_only_where_the_settings_say_so(tmp_path: Path, stock: Stock) -> None:
    """It is no proof of harm, and never more than a warning."""
    answers = {}
    for name, on in (("default", ""), ("drift", 'on = ["input_drift"]\n')):
        world = World(tmp_path / name, stock, RETRAIN + on)
        find_harm(world, world.live(260.0), check="input_drift", level="warn")
        model = world.project.settings.model("demand")
        facts = retrain_facts(world.project, Watch(world.project, model), model, world.model())
        answers[name] = decide_retrain(model.retrain, facts)
    assert answers["default"].action == "wait"
    assert (answers["drift"].action, answers["drift"].reasons) == ("retrain", ("alarm: input_drift",))


TWO = SETTINGS + SETTINGS.partition("\n\n")[2].replace("model.demand", "model.alpha")


def test_trouble_with_one_model_keeps_no_other_from_being_watched(
    tmp_path: Path, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad challenger of the second is rolled back though the first cannot be looked at; the trouble is raised."""
    world = World(tmp_path / "toy", stock, TWO)
    world.live(200.0, model="alpha")
    champion, bad = world.live(200.0), world.passed(260.0)
    deploy(world.project, bad)
    controller = Controller(world.project)

    def broken() -> None:
        raise KairosError("alpha cannot be loaded.")

    monkeypatch.setattr(controller._watches["alpha"], "look", broken)
    for _ in range(7):
        world.day((champion, 200.0), (bad, 260.0))
        with pytest.raises(KairosError, match="alpha cannot be loaded"):
            controller.tick()
    assert world.stages() == {1: "live", 2: "rolled_back"}


def test_a_loop_that_cannot_begin_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that is full at the start must not end the watching in silence."""
    champion, bad = world.live(200.0), world.passed(260.0)
    deploy(world.project, bad)
    for _ in range(7):
        world.day((champion, 200.0), (bad, 260.0))
    world.project.settings = replace(world.project.settings, every=timedelta(milliseconds=10))
    begin, tries = Controller.__init__, []

    def sometimes(self: Controller, *args: object, **kwargs: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("the disk is full")
        begin(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Controller, "__init__", sometimes)
    monkeypatch.setattr(Loop, "_record", lambda self, project: None)
    with caplog.at_level(logging.ERROR), Loop(world.project):
        while world.stages()[2] != "rolled_back":
            pass
    assert len(tries) == 3
    assert "the disk is full" in caplog.text


def test_two_watchers_write_a_finding_once(world: World) -> None:
    """The second one's is refused, because the first has moved the ledger; at its next look it is known."""
    champion = world.live(200.0)
    for _ in range(12):
        world.day((champion, 200.0), truth=400.0)
    other = Controller(world.again().project)
    interrupt(world, "finding", other.tick)
    controller = Controller(world.project)
    controller.tick()
    controller.tick()
    found = [(f.body["check"], f.body["column"], f.body["level"]) for f in world.facts("finding")]
    assert len(found) == len(set(found)) > 0


def test_what_was_live_then_is_a_prefix_even_where_clocks_differ(world: World) -> None:
    """A host whose clock is behind does not make the past unreadable."""
    ref = world.passed(200.0)
    behind = world.again()
    behind.project.clock = ReplayClock(START - timedelta(seconds=2))
    deploy(behind.project, ref)
    past: ModelState = world.project.state(until=START - timedelta(seconds=1)).model("demand")
    assert past.champion_ref == ref


def test_a_person_who_is_faster_than_the_rollout_of_a_new_version_wins(world: World) -> None:
    """The loop's own deployment is refused and comes again only if there is room."""
    world.live(260.0)
    world.passed(200.0, origin="age")
    hers = world.passed(205.0)
    made = world.passed(200.0, origin="age")
    person = world.again().project
    controller = Controller(world.project)
    original = world.project.ledger.append_all
    done: list[object] = []

    def disturbed(*args: object, **kwargs: object) -> object:
        if not done:
            done.append(deploy(person, hers, to=CANARY, override="mine"))
        return original(*args, **kwargs)  # type: ignore[arg-type]

    world.project.ledger.append_all = disturbed  # type: ignore[method-assign,assignment]
    controller.tick()
    controller.tick()
    assert world.stages() == {1: "live", 2: "registered", 3: "canary", made.number: "registered"}


def test_a_moved_ledger_is_no_trouble(world: World) -> None:
    """It means that somebody else decided; a tick then ends without an error."""
    champion, bad = world.live(200.0), world.passed(260.0)
    deploy(world.project, bad)
    for _ in range(7):
        world.day((champion, 200.0), (bad, 260.0))
    controller = Controller(world.project)

    def moved(*args: object, **kwargs: object) -> None:
        raise LedgerMoved("Somebody else wrote.")

    world.project.ledger.append_all = moved  # type: ignore[method-assign,assignment]
    controller.tick()
    assert world.stages() == {1: "live", 2: "shadow"}
    del world.project.ledger.append_all
    controller.tick()
    assert world.stages() == {1: "live", 2: "rolled_back"}


def test_a_training_that_was_cut_off_is_tried_again_soon(world: World) -> None:
    """An hour later, not after the cooldown: it was decided and never came to an end."""
    world.project.settings = replace(
        world.project.settings,
        models={
            "demand": replace(
                world.project.settings.model("demand"),
                retrain=replace(world.project.settings.model("demand").retrain, max_age=20 * DAY),
            )
        },
    )
    world.live(260.0)
    world.clock.move_to(START + 20 * DAY)
    world.project.tell("retrain.decided", subject="demand", body={"origin": "age", "reasons": [], "window": ""})
    model = world.project.settings.model("demand")
    watch = Watch(world.project, model)

    waits = decide_retrain(model.retrain, retrain_facts(world.project, watch, model, world.model()))
    assert waits.action == "wait"
    world.clock.move_to(START + 20 * DAY + timedelta(hours=1))
    assert decide_retrain(model.retrain, retrain_facts(world.project, watch, model, world.model())).makes_version
    world.run()
    facts = retrain_facts(world.project, watch, model, world.model())
    assert facts.unfinished_in_a_row == 0
    assert decide_retrain(model.retrain, facts).action == "wait"
