"""People and freezes hold up what goes forward, in the loop as by hand; nothing holds up the way back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kairos.app.approving import approve, freeze, refuse, unfreeze
from kairos.app.controller import Controller
from kairos.app.deploying import deploy, rollback
from kairos.app.project import Project
from kairos.delivery.rollout import StageStep
from kairos.errors import NotFound, TransitionRefused, UsageError
from kairos.values import VersionRef
from tests.app.worlds import DAY, SETTINGS, START, Stock, World

FOUR_EYES = SETTINGS + "\n[control]\napprovals = 1\n"
LIVE = StageStep.parse("live")


def of(world: World, person: str) -> Project:
    """The project as that person opens it."""
    return Project(world.root, clock=world.clock, actor=person)


def days(world: World, count: int, *says: tuple[VersionRef, float]) -> None:
    """Lets days pass, with a turn of the loop at the end of each; in canary, every fourth hour is the challenger's."""
    controller = Controller(of(world, "kairos"))
    for _ in range(count):
        challenger = world.model().challenger
        mine = range(0, 24, 4) if challenger is not None and challenger.stage == "canary" else ()
        world.day(*says, answered_by=dict.fromkeys(mine, 1))
        controller.tick()


def refused(project: Project, ref: VersionRef, complaint: str, **how: object) -> TransitionRefused:
    """Deploys in vain: nothing is written."""
    head = project.ledger.head()
    with pytest.raises(TransitionRefused, match=complaint) as caught:
        deploy(project, ref, **how)  # type: ignore[arg-type]
    assert project.ledger.head() == head
    return caught.value


@pytest.fixture
def four_eyes(tmp_path: Path, stock: Stock) -> World:
    """A project in which one other person has to approve."""
    return World(tmp_path / "toy", stock, FOUR_EYES)


def test_the_first_version_waits_for_another_person(four_eyes: World) -> None:
    """Who made it approves in vain; who approved it deploys in vain; then it is two people."""
    ref = four_eyes.passed()
    refusal = refused(of(four_eyes, "ann"), ref, "waits for approval by one person")
    assert refusal.facts["verdict"] == "hold"
    with pytest.raises(TransitionRefused, match="tester made demand@1, so this approval would not count"):
        approve(four_eyes.project, ref, reason="mine")
    entry = approve(of(four_eyes, "bob"), ref, reason="looked at the winter rows")
    assert (entry.actor, entry.subject) == ("bob", "demand@1")
    assert {name: entry.body[name] for name in ("verdict", "reason", "against", "package")} == {
        "verdict": "pass",
        "reason": "looked at the winter rows",
        "against": None,
        "package": four_eyes.stock.packages[200.0],
    }
    refused(of(four_eyes, "bob"), ref, "does not count: bob takes this step")
    assert deploy(of(four_eyes, "ann"), ref).body["to"] == "live"


def test_the_loop_waits_for_approval_and_keeps_the_proof(four_eyes: World) -> None:
    """It says once what it waits for, with the evidence; who asked for the version does not count; then it goes on."""
    bad = VersionRef("demand", 1)
    four_eyes.live(260.0)
    good = four_eyes.passed(200.0)
    deploy(of(four_eyes, "ann"), good)
    days(four_eyes, 8, (bad, 260.0), (good, 200.0))
    assert four_eyes.stages() == {1: "live", 2: "shadow"}
    [held] = four_eyes.facts("rollout.held")
    assert (held.actor, held.subject, held.body["to"], held.body["verdict"]) == ("kairos", "demand@2", "canary", "hold")
    assert held.body["waits_for"] == ["approval"]
    assert held.body["reasons"] == ["demand@2 waits for approval by one person."]
    assert held.body["evidence"]["loss"]["pairs"] >= 48
    with pytest.raises(TransitionRefused, match="ann asked for demand@2 to be made live"):
        approve(of(four_eyes, "ann"), good, reason="mine")
    approve(of(four_eyes, "bob"), good, reason="fine")
    days(four_eyes, 1, (bad, 260.0), (good, 200.0))
    assert four_eyes.stages() == {1: "live", 2: "canary"}
    days(four_eyes, 6, (bad, 260.0), (good, 200.0))
    assert four_eyes.model().champion_number == 2
    assert len(four_eyes.facts("rollout.held")) == 1
    assert four_eyes.facts("stage.changed")[-1].body["control"]["approvals"] == 1


def test_a_version_that_waits_for_approval_is_still_rolled_back_for_harm(four_eyes: World) -> None:
    """People may be slow; users are safe first."""
    champion = four_eyes.live(200.0)
    bad = four_eyes.passed(260.0)
    deploy(of(four_eyes, "ann"), bad)
    days(four_eyes, 7, (champion, 200.0), (bad, 260.0))
    assert four_eyes.stages() == {1: "live", 2: "rolled_back"}


def test_an_approval_lapses_when_another_version_goes_live(four_eyes: World) -> None:
    """As a gate's verdict does: it was given against what was live then."""
    four_eyes.live(260.0)
    ref = four_eyes.passed(205.0)
    approve(of(four_eyes, "bob"), ref, reason="fine")
    four_eyes.live(200.0)
    four_eyes.gate(ref)
    complaint = "it was given when demand@1 was live"
    refused(four_eyes.project, ref, complaint, to=StageStep.parse("canary:25%"), override="now")


def test_an_approval_lapses_when_the_attempt_has_ended(four_eyes: World) -> None:
    """The next attempt is approved anew; a refusal stands."""
    four_eyes.live(260.0)
    ref = four_eyes.passed(200.0)
    approve(of(four_eyes, "bob"), ref, reason="fine")
    deploy(four_eyes.project, ref)
    refuse(of(four_eyes, "carol"), ref, reason="not on a Friday")
    assert [one.person for one in four_eyes.model().version(2).approvals] == ["bob", "carol"]
    rollback(four_eyes.project, "demand", reason="carol is right")
    assert [one.person for one in four_eyes.model().version(2).approvals] == ["carol"]


def test_an_approval_is_for_the_settings_that_go_live(four_eyes: World) -> None:
    """Who approved a version that clips at 5000 has not approved one that clips at 6000."""
    ref = four_eyes.passed()
    approve(of(four_eyes, "bob"), ref, reason="fine")
    (four_eyes.root / "kairos.toml").write_text(FOUR_EYES + "\n[model.demand.output]\nrange = [0, 6000]\n")
    refused(of(four_eyes, "ann"), ref, "given for other settings of output and capture")


def test_a_change_of_settings_alone_needs_approval_too(four_eyes: World) -> None:
    """What leaves the server changes; the approval of the version before does not cover it."""
    ref = four_eyes.live()
    with pytest.raises(TransitionRefused, match="demand@1 is live already, so nothing waits for it"):
        approve(of(four_eyes, "bob"), ref, reason="fine")
    (four_eyes.root / "kairos.toml").write_text(FOUR_EYES + "\n[model.demand.output]\nrange = [0, 6000]\n")
    refused(of(four_eyes, "ann"), ref, "waits for approval by one person")
    approve(of(four_eyes, "bob"), ref, reason="fine")
    assert deploy(of(four_eyes, "ann"), ref).body["serving"]["output"]["upper"] == 6000


def test_no_override_goes_past_people_unless_the_settings_say_so(tmp_path: Path, stock: Stock) -> None:
    """With it the fact keeps every sentence that was gone past."""
    world = World(tmp_path / "toy", stock, FOUR_EYES)
    ref = world.register()
    refusal = refused(world.project, ref, "waits for approval by one person", override="it burns")
    assert (
        refusal.hint == "An override does not go past it, because model.demand.control.override_approvals is not set."
    )
    (world.root / "kairos.toml").write_text(FOUR_EYES + "override_approvals = true\n")
    entry = deploy(of(world, "ann"), ref, override="it burns")
    assert entry.body["override"] == "it burns"
    assert entry.body["overridden"] == ["demand@1 met no gate.", "demand@1 waits for approval by one person."]


def test_a_refused_version_is_withdrawn_from_its_trial(world: World) -> None:
    """At the next turn of the loop, whatever the evidence says but harm; the person's reason is the reason."""
    champion = world.live(260.0)
    ref = world.passed(200.0)
    deploy(world.project, ref)
    refuse(of(world, "carol"), ref, reason="the licence forbids it")
    days(world, 1, (champion, 260.0), (ref, 200.0))
    assert world.stages() == {1: "live", 2: "retired"}
    entry = world.facts("stage.changed")[-1]
    assert (entry.actor, entry.body["verdict"]) == ("kairos", "fail")
    assert entry.body["reasons"] == [
        "carol refused demand@2 on 2012-01-02: the licence forbids it. It goes on only if carol approves it after all."
    ]
    refusal = refused(world.project, ref, "carol refused demand@2")
    assert refusal.facts["verdict"] == "fail"
    approve(of(world, "carol"), ref, reason="they changed it")
    assert deploy(world.project, ref).body["to"] == "shadow"


def test_a_refused_version_of_the_loop_is_rejected_before_its_trial(world: World) -> None:
    """It is not judged any more."""
    world.live(260.0)
    ref = world.register(200.0, origin="age")
    refuse(of(world, "carol"), ref, reason="bad data")
    Controller(of(world, "kairos")).tick()
    assert world.stages() == {1: "live", 2: "rejected"}
    assert [entry.subject for entry in world.facts("gate.decided")] == ["demand@1"]


def test_a_live_version_is_not_refused_but_rolled_back(world: World) -> None:
    """The refusal names the command."""
    ref = world.live()
    with pytest.raises(TransitionRefused, match=r"a refusal would change nothing.*kairos rollback demand"):
        refuse(of(world, "carol"), ref, reason="late")


@pytest.mark.parametrize("tell", [approve, refuse, freeze, unfreeze])
def test_who_says_something_says_why(world: World, tell: object) -> None:
    """An empty reason is none, and writes nothing."""
    about: object = world.passed() if tell in (approve, refuse) else world.passed().model
    head = world.project.ledger.head()
    with pytest.raises(UsageError, match="needs a reason"):
        tell(of(world, "carol"), about, reason="  ")  # type: ignore[operator]
    assert world.project.ledger.head() == head


def test_the_loop_is_no_person(world: World) -> None:
    """It cannot approve what it made or what somebody else did."""
    with pytest.raises(TransitionRefused, match="kairos is the loop, and no person"):
        approve(of(world, "kairos"), world.passed(), reason="why not")


def test_in_a_freeze_harm_leads_back(world: World) -> None:
    """At once, as at any other time."""
    champion = world.live(200.0)
    bad = world.passed(260.0)
    deploy(world.project, bad)
    freeze(of(world, "ann"), "demand", reason="the warehouse moves")
    days(world, 7, (champion, 200.0), (bad, 260.0))
    assert world.stages() == {1: "live", 2: "rolled_back"}


def test_in_a_freeze_the_loop_waits(world: World) -> None:
    """What is proven better stays where it is until the freeze has ended, and then goes on at once."""
    champion = world.live(260.0)
    good = world.passed(200.0)
    deploy(world.project, good)
    freeze(of(world, "ann"), "demand", reason="the warehouse moves")
    days(world, 8, (champion, 260.0), (good, 200.0))
    assert world.stages() == {1: "live", 2: "shadow"}
    [held] = world.facts("rollout.held")
    assert held.body["reasons"] == [
        "ann froze demand until somebody unfreezes it: the warehouse moves. A rollback is possible."
    ]
    entry = unfreeze(of(world, "bob"), "demand", reason="it has moved")
    assert entry.body["ended"] == [{"person": "ann", "reason": "the warehouse moves"}]
    days(world, 1, (champion, 260.0), (good, 200.0))
    assert world.stages()[2] == "canary"


def test_a_freeze_by_hand_may_end_by_itself(world: World) -> None:
    """At its moment, and not before; a moment that is past is refused."""
    world.live()
    ref = world.passed(205.0)
    freeze(world.project, "demand", reason="a fair", until=START + DAY)
    refused(world.project, ref, "tester froze demand until 2012-01-03 00:00 UTC: a fair")
    with pytest.raises(UsageError, match="later than now"):
        freeze(world.project, "demand", reason="a fair", until=START)
    world.clock.move_to(START + DAY)
    assert deploy(world.project, ref).body["to"] == "shadow"


def test_a_person_goes_past_a_freeze_with_a_reason(world: World) -> None:
    """The fact keeps the reason and what was gone past."""
    world.live()
    ref = world.passed(205.0)
    freeze(of(world, "ann"), "demand", reason="a fair")
    entry = deploy(world.project, ref, override="the fair needs it")
    assert (entry.body["to"], entry.body["override"]) == ("shadow", "the fair needs it")
    assert entry.body["overridden"] == ["ann froze demand until somebody unfreezes it: a fair. A rollback is possible."]


def test_a_rollback_never_asks(tmp_path: Path, stock: Stock) -> None:
    """Frozen by the settings and by hand, with approvals due: the way back is open, of a trial and of the champion."""
    control = '\n[control]\napprovals = 2\nfreeze = ["2012-01-01..2013-01-01"]\n'
    world = World(tmp_path / "toy", stock, SETTINGS + control)
    world.live(200.0)
    world.live(205.0)
    world.put(world.passed(260.0), "canary", share=0.25)
    freeze(of(world, "ann"), "demand", reason="a fair")
    rollback(of(world, "bob"), "demand", reason="harm")
    rollback(of(world, "bob"), "demand", reason="more harm")
    assert world.stages() == {1: "live", 2: "rolled_back", 3: "rolled_back"}


def test_the_bake_lasts_as_long_as_the_freeze(tmp_path: Path, stock: Stock) -> None:
    """The former champion stays warm, so the quickest way back is kept for the weekend."""
    settings = SETTINGS + '\n[model.demand.control]\nfreeze = ["2012-01-04..2012-01-07"]\n'
    world = World(tmp_path / "toy", stock, settings)
    former, better = world.live(205.0), world.live(200.0)
    days(world, 5, (better, 200.0), (former, 205.0))
    assert world.model().previous_number == 1
    [held] = world.facts("rollout.held")
    assert (held.subject, held.body["to"]) == ("demand@1", "retired")
    days(world, 1, (better, 200.0), (former, 205.0))
    assert world.model().previous_number is None


def test_a_new_version_of_the_loop_waits_out_the_freeze(world: World) -> None:
    """It is judged meanwhile, and its rollout begins at the next turn after the end."""
    world.live(260.0)
    world.register(200.0, origin="age")
    freeze(world.project, "demand", reason="a fair", until=START + 2 * DAY)
    controller = Controller(of(world, "kairos"))
    for _ in range(2):
        controller.tick()
        world.clock.move_to(world.clock.now() + timedelta(hours=12))
    assert world.stages() == {1: "live", 2: "registered"}
    assert len(world.facts("rollout.held")) == 1
    world.clock.move_to(START + 2 * DAY)
    controller.tick()
    assert world.stages() == {1: "live", 2: "shadow"}


def test_what_is_not_frozen_cannot_be_unfrozen(world: World) -> None:
    """And a model that is not there is named."""
    world.live()
    with pytest.raises(TransitionRefused, match="Nobody has frozen 'demand'"):
        unfreeze(world.project, "demand", reason="why not")
    with pytest.raises(NotFound, match="Did you mean 'demand'"):
        freeze(world.project, "deamnd", reason="why not")
