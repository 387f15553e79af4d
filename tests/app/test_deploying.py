"""Changing what is live: what the rules forbid is refused and writes nothing; each change is a fact with its reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from kairos.app.deploying import deploy, rollback
from kairos.app.project import Project
from kairos.clock import ReplayClock
from kairos.delivery.rollout import StageStep
from kairos.delivery.state import DeliveryState, ModelState
from kairos.errors import LedgerMoved, NotFound, TransitionRefused, UsageError
from kairos.values import VersionRef
from tests.app.worlds import SETTINGS, START, World

LIVE = StageStep.parse("live")
SHADOW = StageStep.parse("shadow")
CANARY = StageStep.parse("canary:25%")


def refused(world: World, ref: VersionRef, complaint: str, to: StageStep | None = None) -> TransitionRefused:
    """Deploys in vain: nothing is written."""
    head = world.project.ledger.head()
    with pytest.raises(TransitionRefused, match=complaint) as caught:
        deploy(world.project, ref, to=to)
    assert world.project.ledger.head() == head
    return caught.value


def test_the_first_version_goes_live_at_once(world: World) -> None:
    """There is nothing to compare it with; the fact says so, and who did it."""
    entry = deploy(world.project, world.passed())
    assert (entry.body["from"], entry.body["to"], entry.actor) == ("registered", "live", "tester")
    assert entry.body["reasons"] == ["passed its gate", "nothing was live"]
    assert (entry.body["evidence"], entry.body["policy"], entry.body["override"]) == (None, None, None)


def test_the_next_version_begins_at_the_first_stage(world: World) -> None:
    """It answers nobody there."""
    world.live()
    entry = deploy(world.project, world.passed(205.0))
    assert (entry.body["to"], entry.body["share"]) == ("shadow", 0.0)
    assert world.model().champion_number == 1


@pytest.mark.parametrize(("verdict", "said"), [(None, "met no gate"), ("fail", "is fail"), ("hold", "is hold")])
def test_without_a_passed_gate_nothing_goes_live(world: World, verdict: str | None, said: str) -> None:
    """The refusal carries the verdict, for the exit code, and says what to type."""
    ref = world.register()
    if verdict is not None:
        world.gate(ref, verdict)
    refusal = refused(world, ref, said)
    assert refusal.facts["verdict"] == verdict
    assert refusal.hint is not None
    assert "kairos gate demand@1" in refusal.hint


@pytest.mark.parametrize(("verdict", "may"), [("hold", True), ("pass", True), ("fail", False), (None, False)])
def test_a_version_whose_gate_holds_may_go_to_shadow(world: World, verdict: str | None, may: bool) -> None:
    """It answers nobody there, and what is missing comes in; a version that failed may not."""
    world.live()
    ref = world.register(205.0)
    if verdict is not None:
        world.gate(ref, verdict)
    if may:
        assert deploy(world.project, ref).body["verdict"] == verdict
    else:
        refused(world, ref, str(ref))
    assert world.stages()[2] == ("shadow" if may else "registered")


def test_a_version_whose_gate_holds_may_not_answer(world: World) -> None:
    """Not even a part of the users."""
    world.live()
    ref = world.register(205.0)
    world.gate(ref, "hold")
    refused(world, ref, "is hold", to=CANARY)


@pytest.mark.parametrize("to", [CANARY, LIVE])
def test_stages_are_not_skipped(world: World, to: StageStep) -> None:
    """Without a reason given by a person."""
    world.live()
    refusal = refused(world, world.passed(205.0), "skip stages", to=to)
    assert "verdict" not in refusal.facts


def test_what_is_live_is_not_deployed_again(world: World) -> None:
    """Nothing would change."""
    refused(world, world.live(), "live already")


def test_there_is_one_challenger_at_a_time(world: World) -> None:
    """The refusal names the one on trial and how to end its trial."""
    world.live()
    deploy(world.project, world.passed(205.0))
    refusal = refused(world, world.passed(200.0), "demand@2 is on trial")
    assert refusal.hint == "End its trial first: kairos rollback demand"


def test_a_version_or_model_that_is_not_there_is_named(world: World) -> None:
    """With those that are."""
    world.live()
    with pytest.raises(NotFound, match=r"no version demand@7.*demand@1"):
        deploy(world.project, VersionRef("demand", 7))
    with pytest.raises(NotFound, match="Did you mean 'demand'"):
        deploy(world.project, VersionRef("deamnd", 1))
    with pytest.raises(NotFound, match="no model"):
        rollback(world.project, "deamnd", reason="why")


def test_an_override_goes_against_the_gate_and_keeps_its_reason(world: World) -> None:
    """Who did it and why is the fact; the gate's verdict stays what it was."""
    world.live()
    ref = world.register(260.0)
    world.gate(ref, "fail")
    entry = deploy(world.project, ref, to=LIVE, override="the old one is illegal now")
    assert entry.body["override"] == "the old one is illegal now"
    assert entry.body["reasons"] == ["the old one is illegal now"]
    assert entry.body["verdict"] == "fail"
    model = world.model()
    assert (model.champion_number, model.previous_number) == (2, 1)


def test_what_goes_live_by_force_ends_the_trial_of_another(world: World) -> None:
    """The one on trial is retired, with the reason, before."""
    world.live()
    deploy(world.project, world.passed(205.0))
    forced = world.passed(200.0)
    deploy(world.project, forced, to=LIVE, override="now")
    assert world.stages() == {1: "retired", 2: "retired", 3: "live"}
    gave_way = world.facts("stage.changed")[-2]
    assert (gave_way.subject, gave_way.body["reasons"]) == ("demand@2", ["gave way to demand@3"])


def test_a_rollback_ends_the_trial_and_leaves_the_champion(world: World) -> None:
    """The reason is the person's own."""
    world.live()
    deploy(world.project, world.passed(205.0))
    [entry] = rollback(world.project, "demand", reason="too slow")
    assert (entry.subject, entry.body["to"], entry.body["reasons"]) == ("demand@2", "rolled_back", ["too slow"])
    assert world.model().champion_number == 1


def test_rollbacks_go_back_version_by_version_and_then_no_further(world: World) -> None:
    """Each to the exact version before, with its bytes, and never to one that was taken back."""
    for level in (200.0, 205.0, 260.0):
        world.live(level)
    packages = {number: version.package for number, version in world.model().versions.items()}
    for former in (2, 1):
        back, ended = rollback(world.project, "demand", reason="bad")
        assert (back.subject, back.body["to"]) == (f"demand@{former}", "live")
        assert (ended.subject, ended.body["to"]) == (f"demand@{former + 1}", "rolled_back")
        live = world.project.state().model("demand").route().champion
        assert live is not None
        assert (live.ref.number, live.package) == (former, packages[former])
    head = world.project.ledger.head()
    with pytest.raises(TransitionRefused, match="no former version"):
        rollback(world.project, "demand", reason="bad")
    assert world.project.ledger.head() == head


def test_a_version_that_was_taken_back_bakes_no_more(world: World) -> None:
    """After a rollback only the former version is in the route."""
    world.live(200.0)
    world.live(260.0)
    rollback(world.project, "demand", reason="bad")
    route = world.model().route()
    assert (route.champion and route.champion.ref.number, route.challenger, route.previous) == (1, None, None)


def test_a_change_that_was_decided_on_older_ground_is_refused(world: World) -> None:
    """Another process has written in between; nothing of this change is kept."""
    ref = world.passed()
    other = world.again().project
    state = world.project.state
    world.project.state = lambda **at: (state(**at), other.tell("finding", subject="demand", body={}))[0]  # type: ignore[method-assign]
    with pytest.raises(LedgerMoved):
        deploy(world.project, ref)
    assert world.facts("stage.changed") == []


class Rollouts(RuleBasedStateMachine):
    """Whatever is typed, in whatever order: the ledger tells of a state that a server can serve."""

    versions: Bundle[int] = Bundle("versions")

    @initialize()
    def begin(self) -> None:
        """An empty project."""
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        (root / "kairos.toml").write_text(SETTINGS)
        self.project = Project(root, clock=ReplayClock(START), actor="tester")
        self.count = 0

    def teardown(self) -> None:
        """Closes the ledger."""
        self.project.ledger.close()
        self.folder.cleanup()

    @property
    def model(self) -> ModelState | None:
        """Where the versions stand."""
        return self.project.state().models.get("demand")

    @rule(target=versions, verdict=st.sampled_from(["pass", "fail", "hold", None]))
    def register(self, verdict: str | None) -> int:
        """A new version, judged or not."""
        self.count += 1
        body = {"package": f"{self.count:032x}.dir", "run": "r1", "origin": "manual", "reasons": []}
        self.project.tell("version.registered", subject=f"demand@{self.count}", body=body)
        if verdict is not None:
            judged = {"verdict": verdict, "sentence": f"{verdict}: made up"}
            self.project.tell("gate.decided", subject=f"demand@{self.count}", body=judged)
        return self.count

    @rule(
        number=versions,
        to=st.sampled_from([None, SHADOW, CANARY, LIVE]),
        override=st.sampled_from([None, None, "because"]),
    )
    def deploy(self, number: int, to: StageStep | None, override: str | None) -> None:
        """Refused, and then nothing is written; or done, and then it stands where it was sent."""
        ref, before = VersionRef("demand", number), self.project.ledger.head()
        had_verdict = self.project.state().model("demand").version(number).verdict
        try:
            entry = deploy(self.project, ref, to=to, override=override)
        except TransitionRefused:
            assert self.project.ledger.head() == before
            return
        version = self.project.state().model("demand").version(number)
        assert version.stage == entry.body["to"] == (to.stage if to else version.stage)
        assert version.share == (0.25 if version.stage == "canary" else 0.0)
        if override is None and version.stage != "shadow":
            assert had_verdict == "pass"
        if override is None:
            assert had_verdict in ("pass", "hold")

    @rule()
    def rollback(self) -> None:
        """Ends the trial, or brings back exactly the version that was live before and is still trusted."""
        model, before = self.model, self.project.ledger.head()
        if model is None:
            return
        former = model.former
        try:
            rollback(self.project, "demand", reason="why not")
        except TransitionRefused:
            assert self.project.ledger.head() == before
            assert model.challenger is None
            assert former is None or model.champion is None
            return
        after = self.project.state().model("demand")
        if model.challenger is not None:
            assert after.version(model.challenger.ref.number).stage == "rolled_back"
            assert after.champion_number == model.champion_number
            return
        assert former is not None
        assert model.champion is not None
        assert after.champion_number == former.ref.number
        assert after.version(former.ref.number).package == former.package
        assert after.version(model.champion.ref.number).stage == "rolled_back"

    @invariant()
    def one_version_is_live_and_one_on_trial(self) -> None:
        """At most; and what the route names is what the stages say."""
        if self.model is None:
            return
        at = {stage: [n for n, v in self.model.versions.items() if v.stage == stage] for stage in ("live", "shadow")}
        trial = [n for n, v in self.model.versions.items() if v.stage in ("shadow", "canary")]
        assert at["live"] == ([] if self.model.champion_number is None else [self.model.champion_number])
        assert trial == ([] if self.model.challenger_number is None else [self.model.challenger_number])
        assert self.model.previous_number is None or self.model.previous_number != self.model.champion_number

    @invariant()
    def the_cached_state_is_the_fold_over_the_ledger(self) -> None:
        """Nothing else keeps it."""
        assert self.project.state() == DeliveryState.fold(self.project.ledger.read())

    @invariant()
    def every_entry_fits(self) -> None:
        """No interleaving breaks the chain."""
        assert self.project.ledger.verify().is_intact


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_override_needs_a_reason(world: World, empty: str) -> None:
    """Who goes around the gate says why."""
    world.live()
    with pytest.raises(UsageError, match="An override needs a reason"):
        deploy(world.project, world.register(260.0), to=LIVE, override=empty)
    assert world.stages()[2] == "registered"
