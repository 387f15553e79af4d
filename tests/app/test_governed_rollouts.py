"""People deploy, roll back, approve, refuse, freeze and unfreeze, and a loop goes on beside them, in any order."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kairos.app.approving import approve, freeze, refuse, unfreeze
from kairos.app.changing import move
from kairos.app.control import end_if_refused, is_held
from kairos.app.deploying import deploy, rollback
from kairos.app.project import Project
from kairos.app.standing import settings_now
from kairos.clock import ReplayClock
from kairos.delivery.rollout import StageStep
from kairos.delivery.state import DeliveryState, ModelState
from kairos.errors import TransitionRefused
from kairos.ledger import Entry
from kairos.values import VersionRef
from tests.app.worlds import SETTINGS, START

PEOPLE = ("ann", "bob", "carol")
STEPS = tuple(StageStep.parse(text) for text in ("shadow", "canary:25%", "live"))
ORDER = {"shadow": 1, "canary": 2, "live": 3}
CONTROL = """
[control]
approvals = {approvals}
override_approvals = {may_override}
freeze = ["daily 18:00..08:00"]
"""
WHO = st.sampled_from(PEOPLE)
BACK = st.sampled_from([0, 0, 0, 1])


class Governed(RuleBasedStateMachine):
    """Checks every fact against a second reading of the rules, which is simpler and slower than the code's."""

    @initialize(approvals=st.integers(0, 2), may_override=st.booleans())
    def begin(self, approvals: int, may_override: bool) -> None:
        """Version 1 is live; nothing goes forward at night."""
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        control = CONTROL.format(approvals=approvals, may_override=str(may_override).lower())
        (root / "kairos.toml").write_text(SETTINGS + control)
        self.clock = ReplayClock(START + timedelta(hours=9))
        self.project = Project(root, clock=self.clock, actor="ann")
        self.project.ledger._connection().execute("PRAGMA synchronous = OFF")  # nobody pulls the plug here
        self.approvals, self.may_override = approvals, may_override
        self.count = 0
        self.register("ann", "pass")
        body = {"from": "registered", "to": "live", "share": 0.0, "reasons": [], "override": "the first"}
        self.project.tell("stage.changed", subject="demand@1", body={**body, **settings_now(self.project, "demand")})
        self.checked = self.project.ledger.head()

    def teardown(self) -> None:
        """Closes the ledger."""
        self.project.ledger.close()
        self.folder.cleanup()

    @property
    def model(self) -> ModelState:
        """Where the versions stand."""
        return self.project.state().model("demand")

    @precondition(lambda self: self.model.challenger is None)
    @rule(maker=st.sampled_from((*PEOPLE, "kairos")), who=WHO, verdict=st.sampled_from(["pass", "hold"]))
    def bring(self, maker: str, who: str, verdict: str) -> None:
        """Somebody makes a version and somebody begins to make it live."""
        self.register(maker, verdict)
        self.project.actor = who
        with suppress(TransitionRefused):
            deploy(self.project, self.version(0))

    def register(self, who: str, verdict: str) -> None:
        """A new version, judged against what is live."""
        self.count += 1
        self.project.actor = who
        ref = f"demand@{self.count}"
        body = {"package": f"{self.count:032x}.dir", "run": "r1", "origin": "manual", "reasons": []}
        self.project.tell("version.registered", subject=ref, body=body)
        live = self.model.champion_ref
        judged = {"verdict": verdict, "sentence": "made up", "against": None if live is None else str(live)}
        self.project.tell("gate.decided", subject=ref, body=judged)

    def version(self, back: int) -> VersionRef:
        """The version on trial, or else one of the newest."""
        trial = self.model.challenger_number
        return VersionRef("demand", trial if trial is not None and back == 0 else max(1, self.count - back))

    @rule(hours=st.sampled_from([1, 2, 12]))
    def wait(self, hours: int) -> None:
        """Time goes by."""
        self.clock.move_to(self.clock.now() + timedelta(hours=hours))

    @rule(who=WHO, back=BACK, to=st.sampled_from([None, *STEPS]), override=st.sampled_from([None, None, "because"]))
    def deploy(self, who: str, back: int, to: StageStep | None, override: str | None) -> None:
        """By hand, with or without a reason to go past the rules."""
        self.project.actor = who
        with suppress(TransitionRefused):
            deploy(self.project, self.version(back), to=to, override=override)

    @precondition(lambda self: self.model.challenger is not None)
    @rule()
    def advance(self) -> None:
        """The loop, with all the evidence that it could wish for."""
        self.project.actor = "kairos"
        state = self.project.state()
        model = self.model
        if model.challenger is None or model.champion is None:
            return
        challenger = model.challenger
        if end_if_refused(self.project, challenger, to="retired", expect=state.seq):
            return
        to = STEPS[ORDER[challenger.stage]]
        share = to.share if to.stage == "canary" else 0.0
        if not is_held(self.project, model, challenger, to=to.stage, share=share, expect=state.seq):
            move(self.project, challenger, to.stage, share=share, verdict="pass", reasons=["proof"], expect=state.seq)

    @rule(who=WHO, back=BACK, yes=st.sampled_from([True, True, True, False]))
    def say(self, who: str, back: int, yes: bool) -> None:
        """A word about a version."""
        self.project.actor = who
        with suppress(TransitionRefused):
            (approve if yes else refuse)(self.project, self.version(back), reason="looked at it")

    @precondition(lambda self: self.model.challenger is not None)
    @rule(who=st.permutations(PEOPLE), hours=st.integers(0, 1))
    def agree(self, who: list[str], hours: int) -> None:
        """Several say yes to what is on trial, and the loop goes on some time later."""
        for person in who[:2]:
            self.say(person, 0, yes=True)
        self.wait(hours)
        self.advance()

    @precondition(lambda self: len(self.model.freezes) < 2)
    @rule(who=WHO, hours=st.sampled_from([None, 2, 30]))
    def freeze(self, who: str, hours: int | None) -> None:
        """By hand, with or without an end."""
        self.project.actor = who
        until = None if hours is None else self.clock.now() + timedelta(hours=hours)
        freeze(self.project, "demand", reason="a fair", until=until)

    @precondition(lambda self: self.model.freezes)
    @rule(who=WHO)
    def unfreeze(self, who: str) -> None:
        """All of them."""
        self.project.actor = who
        with suppress(TransitionRefused):
            unfreeze(self.project, "demand", reason="over")

    @rule(who=st.sampled_from((*PEOPLE, "kairos")))
    def rollback(self, who: str) -> None:
        """Always possible where something is on trial or was live before; by whomever, at whatever time."""
        self.project.actor = who
        model = self.model
        if model.challenger is None and (model.champion is None or model.former is None):
            with suppress(TransitionRefused):
                rollback(self.project, "demand", reason="why not")
                raise AssertionError("there was nothing to go back to")
            return
        rollback(self.project, "demand", reason="why not")
        after = self.project.state().model("demand")
        if model.challenger is None:
            assert after.champion is not None
            assert after.champion.live == model.former

    @invariant()
    def every_step_forward_kept_the_rules(self) -> None:
        """Not in a freeze, not without the people who are asked for, unless a person said why."""
        entries = list(self.project.ledger.read())
        for entry in entries[self.checked :]:
            if entry.kind == "stage.changed" and entry.body["to"] in ORDER and not entry.body.get("restored"):
                self._check(entry, entries[: entry.seq - 1])
        self.checked = len(entries)

    def _check(self, entry: Entry, before: list[Entry]) -> None:
        has_override = entry.body["override"] is not None
        stages = [e for e in before if e.kind == "stage.changed"]
        mine = [e for e in stages if e.subject == entry.subject]
        was = mine[-1].body if mine else {"to": "registered", "share": 0.0}
        is_back = was["to"] == "canary" and entry.body["to"] in ("shadow", "canary") and entry.body["share"] < 0.25
        if is_back:
            return
        assert has_override or not is_frozen(before, entry.at)
        if ORDER[entry.body["to"]] >= 2 and not (has_override and self.may_override):
            assert len(who_counts(entry, before)) >= self.approvals
        if not (has_override and self.may_override):
            assert not [p for p, e in last_words(entry.subject, before).items() if e.body["verdict"] == "fail"]

    @invariant()
    def one_version_is_live_and_one_on_trial(self) -> None:
        """At most."""
        live = [n for n, v in self.model.versions.items() if v.stage == "live"]
        trial = [n for n, v in self.model.versions.items() if v.stage in ("shadow", "canary")]
        assert live == ([] if self.model.champion_number is None else [self.model.champion_number])
        assert trial == ([] if self.model.challenger_number is None else [self.model.challenger_number])

    @invariant()
    def folding_in_two_parts_is_folding_at_once(self) -> None:
        """The state that the project keeps was folded fact by fact; and cut in the middle it comes out the same."""
        entries = list(self.project.ledger.read())
        whole = DeliveryState.fold(entries)
        half = DeliveryState.fold(entries[: len(entries) // 2])
        assert self.project.state() == whole == DeliveryState.fold(entries[len(entries) // 2 :], start=half)


def is_frozen(before: list[Entry], at: datetime) -> bool:
    """Whether it is night, or somebody has frozen the model."""
    ended = max((e.seq for e in before if e.kind == "freeze.ended"), default=0)
    begun = [e.body["until"] for e in before if e.kind == "freeze.begun" and e.seq > ended]
    return not 8 <= at.hour < 18 or any(until is None or at < datetime.fromisoformat(until) for until in begun)


def last_words(subject: str, before: list[Entry]) -> dict[str, Entry]:
    """What each person said last about a version."""
    return {e.actor: e for e in before if e.kind == "approval.decided" and e.subject == subject}


def who_counts(entry: Entry, before: list[Entry]) -> set[str]:
    """Who has approved a version for the attempt that a step is part of, without those who have a part in it."""
    mine = [e for e in before if e.subject == entry.subject and e.kind in ("version.registered", "stage.changed")]
    attempt = [entry]
    for step in reversed(mine):  # back to the beginning of the attempt
        if step.kind == "version.registered" or step.body["to"] not in ORDER or displaced(step, before):
            break
        attempt.append(step)
    since = max((end_of_attempt(e, before) for e in mine if e not in attempt), default=0)
    own = {mine[0].actor, attempt[-1].actor, entry.actor, "kairos"}
    live = champion(before)
    words = last_words(entry.subject, before).values()
    yes = {e.actor for e in words if e.body["verdict"] == "pass" and e.body["against"] == live and e.seq > since}
    return yes - own


def champion(before: list[Entry]) -> str | None:
    """What was live then."""
    live = None
    for e in before:
        if e.kind == "stage.changed":
            live = e.subject if e.body["to"] == "live" else None if e.subject == live else live
    return live


def displaced(step: Entry, before: list[Entry]) -> bool:
    """Whether a version that went live was put aside by another one."""
    return step.body["to"] == "live" and end_of_attempt(step, before) != step.seq


def end_of_attempt(step: Entry, before: list[Entry]) -> int:
    """The entry that ended the attempt that a step was part of: the step, or the one that put it aside."""
    if step.kind != "stage.changed" or step.body["to"] != "live":
        return step.seq
    later = (e for e in before[step.seq :] if e.kind == "stage.changed" and e.subject != step.subject)
    return next((e.seq for e in later if e.body["to"] == "live"), step.seq)


TestGoverned = Governed.TestCase
TestGoverned.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
