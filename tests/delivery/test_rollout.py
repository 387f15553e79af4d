"""Rollout decisions: harm ends it, proof moves it on, silence holds it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.rollout import RolloutPolicy, StageStep
from kairos.delivery.rollout.deciding import decide, decide_again, decide_bake
from kairos.delivery.rollout.evidence import Guard, RolloutEvidence
from kairos.delivery.stages import Stage
from kairos.errors import SettingsError
from kairos.values import canonical_json, plain
from tests.delivery.trials import GOOD, START, clean_guards, evidence

STAGES = tuple(StageStep.parse(text) for text in ("shadow", "canary:25%", "live"))
POLICY = RolloutPolicy(stages=STAGES, harm_margin=0.01, critical=())


def test_proof_moves_a_shadow_to_the_canary_and_the_canary_to_live() -> None:
    """Each step is the next of the policy."""
    first = decide(POLICY, "shadow", 0.0, evidence())
    assert (first.verdict, first.action, first.to) == ("pass", "advance", STAGES[1])
    second = decide(POLICY, "canary", 0.25, evidence(guards=clean_guards(240, 60)))
    assert second.to == STAGES[2]
    assert "on 300 requests" in second.sentence


def test_proven_harm_rolls_back_at_any_stage() -> None:
    """The loss's e-process above 1/alpha is enough."""
    bad = replace(GOOD, harm_log_e=math.log(20.1), challenger_mean=90.0, upper=60.0)
    stages: tuple[tuple[Stage, float], ...] = (("shadow", 0.0), ("canary", 0.1), ("live", 1.0))
    for stage, share in stages:
        decision = decide(POLICY, stage, share, evidence(bad))
        assert (decision.verdict, decision.action) == ("fail", "rollback")
        assert "90 against 50" in decision.sentence


def test_guards_share_alpha() -> None:
    """With two guards and the loss, each must reach 3 / alpha, so that all together stay below alpha."""
    loud = Guard(name="errors", what="errors", pairs=(13, 0), by=("pairs",))
    quiet = replace(loud, name="impossible", pairs=(0, 0))
    alone, among = replace(loud, pairs=(8, 0)), replace(loud, pairs=(9, 0))
    assert decide(POLICY, "shadow", 0.0, evidence(guards=(alone, quiet))).action == "advance"
    decision = decide(POLICY, "shadow", 0.0, evidence(guards=(quiet, among)))
    assert decision.action == "rollback"
    assert "too many errors: 9 of the challenger's, 0 of the champion's (e = 108 >= 60)" in decision.sentence


def test_critical_guards_get_half_of_alpha() -> None:
    """The one that matters most acts sooner, the others later."""
    guards = tuple(Guard(name=name, what=name, pairs=(0, 0), by=("pairs",)) for name in "abcdefg")
    loud = replace(guards[0], pairs=(9, 0))
    policy = replace(POLICY, critical=("a",))
    assert decide(POLICY, "shadow", 0.0, evidence(guards=(loud, *guards[1:]))).action == "advance"
    assert decide(policy, "shadow", 0.0, evidence(guards=(loud, *guards[1:]))).action == "rollback"
    assert decide(policy, "shadow", 0.0, evidence(guards=(*guards[:-1], replace(loud, name="g")))).action == "advance"


def test_by_default_the_loss_gets_half_of_alpha() -> None:
    """Its limit is 40 however many guards there are: labels are slow, and counts are not."""
    guards = tuple(Guard(name=name, what=name, by=("pairs",)) for name in "abcdefg")
    harm = replace(GOOD, harm_log_e=math.log(41))
    assert decide(RolloutPolicy(), "shadow", 0.0, evidence(harm, guards=guards)).action == "rollback"
    assert decide(POLICY, "shadow", 0.0, evidence(harm, guards=guards)).action != "rollback"


def test_a_limit_of_the_owners_takes_back_what_breaks_it() -> None:
    """Whatever the champion does: 20 slow answers of 100 are more than the 1 % that was stated."""
    slow = Guard(name="p99_latency < 50ms", what="answers that break it", by=("cap",), own=(20, 100), cap=0.01)
    decision = decide(POLICY, "canary", 0.25, evidence(guards=(slow,)))
    assert decision.action == "rollback"
    assert "20 of 100 are answers that break it, where 0.01 of all are allowed" in decision.sentence
    assert decide(POLICY, "canary", 0.25, evidence(guards=(replace(slow, own=(1, 100)),))).action == "advance"


def test_a_tolerance_is_harm_that_is_accepted() -> None:
    """Three times as many bad events are harm, unless the owner tolerates four times as many."""
    guard = Guard(name="errors", what="errors", asked={"0.5": (75, 25)}, by=("shares",))
    assert decide(POLICY, "canary", 0.5, evidence(guards=(guard,))).action == "rollback"
    lenient = replace(POLICY, tolerance=3.0)
    assert decide(lenient, "canary", 0.5, evidence(guards=(guard,))).action != "rollback"


@pytest.mark.parametrize(
    ("weak", "missing"),
    [
        (evidence(None), "0 of 100 labelled"),
        (evidence(replace(GOOD, pairs=99)), "99 of 100 labelled"),
        (evidence(replace(GOOD, upper=0.6)), "may still be 0.6 higher, 0.5 is allowed"),
        (evidence(replace(GOOD, upper=math.nan)), "may still be nan higher"),
        (evidence(replace(GOOD, harm_log_e=math.nan)), "not a number"),
        (evidence(asked={"0.25": (19, 60)}), "19 of 24 requests answered by the challenger itself"),
        (evidence(days=0.05, per_day=4800), "2 hours in this stage, of which 1 hour 12 minutes are over"),
        (evidence(days=0.0001, per_day=2_400_000), "2 hours in this stage, which have just begun"),
        (evidence(guards=clean_guards(10, 60)), "errors may still be more than 0.125 of all (0 of 10 so far)"),
        (evidence(guards=clean_guards(240, 5)), "slow answers may still be more than 0.175 of all"),
    ],
)
def test_missing_evidence_is_hold_and_says_what_is_missing(weak: RolloutEvidence, missing: str) -> None:
    """Never a pass, never a fail; NaN proves nothing."""
    decision = decide(POLICY, "canary", 0.25, weak)
    assert (decision.verdict, decision.action, decision.to) == ("hold", "wait", None)
    assert missing in decision.sentence


def test_waiting_too_long_leads_back_to_shadow_to_wait_for_a_person() -> None:
    """After ``max_wait`` the verdict is hold, in a stage where nobody is answered; nothing is promoted in silence."""
    stages: tuple[tuple[Stage, float], ...] = (("shadow", 0.0), ("canary", 0.25))
    for stage, share in stages:
        decision = decide(POLICY, stage, share, evidence(replace(GOOD, upper=3.0), days=14))
        assert (decision.verdict, decision.action) == ("hold", "hold")
        assert decision.to == StageStep(stage="shadow", share=0.0)
        assert "not decided within 14d" in decision.sentence


def test_what_waits_for_a_person_goes_back_on_harm_and_forward_on_nothing() -> None:
    """Whatever is proven meanwhile, the step forward is a person's; the step back is not."""
    assert decide(POLICY, "shadow", 0.0, evidence(is_overdue=True, days=99)).action == "wait"
    harm = replace(GOOD, harm_log_e=math.log(21))
    assert decide(POLICY, "shadow", 0.0, evidence(harm, is_overdue=True, days=99)).action == "rollback"


def test_a_wrong_split_freezes() -> None:
    """If requests did not reach the arms as designed, no comparison can be trusted."""
    decision = decide(POLICY, "canary", 0.25, evidence(split_log_e=math.log(101)))
    assert decision.action == "freeze"
    assert "not split as designed (e = 101)" in decision.sentence


def test_an_unusable_challenger_goes_at_once() -> None:
    """A package that does not load needs no statistics."""
    decision = decide(POLICY, "shadow", 0.0, evidence(None, unusable="demand@2 does not load"))
    assert (decision.action, decision.sentence) == ("rollback", "demand@2 does not load")
    assert decision.words[0] == "The new version is taken back: demand@2 does not load."


def test_who_is_far_too_slow_in_shadow_does_not_come_to_users_and_is_not_taken_back() -> None:
    """A shadow predicts in another thread: its times are no proof, but a reason to wait."""
    slow = Guard(name="timeouts", what="timeouts", by=("shares",), aside=(40, 120))
    decision = decide(POLICY, "shadow", 0.0, evidence(guards=(slow,)))
    assert decision.action == "wait"
    assert "timeouts: 40 of 120 in shadow" in decision.sentence


@given(st.floats(allow_nan=True), st.floats(allow_nan=True), st.integers(0, 1000), st.floats(0, 60))
def test_nothing_advances_without_proof(upper: float, harm_log_e: float, pairs: int, days: float) -> None:
    """Whatever the evidence: to advance, the bound is below the margin, rows suffice and no harm is proven."""
    loss = replace(GOOD, upper=upper, harm_log_e=harm_log_e, pairs=pairs)
    decision = decide(POLICY, "shadow", 0.0, evidence(loss, days=days))
    if decision.action == "advance":
        assert upper < 0.5
        assert pairs >= 100
        assert harm_log_e < math.log(20)
        assert days >= 1 / 24


@pytest.mark.parametrize("text", ["canary", "canary:0%", "canary:100%", "canary:x%", "live:5%", "canry:5%"])
def test_a_stage_that_cannot_be_read_is_refused(text: str) -> None:
    """The message shows the accepted forms."""
    with pytest.raises(SettingsError, match="canary:N%"):
        StageStep.parse(text)


def test_a_rollout_has_to_end_live_and_grow() -> None:
    """Policies that cannot work are refused when they are made."""
    with pytest.raises(SettingsError, match="end live"):
        RolloutPolicy(stages=(StageStep.parse("shadow"),))
    for stages in (("canary:20%", "canary:10%", "live"), ("canary:20%", "canary:20%", "live")):
        with pytest.raises(SettingsError, match="have to grow"):
            RolloutPolicy(stages=tuple(StageStep.parse(s) for s in stages))
    with pytest.raises(SettingsError, match="out of range"):
        RolloutPolicy(cap=1.0)


def test_a_bake_ends_when_no_harm_was_shown_in_time() -> None:
    """The former champion is let go after ``bake``, not before."""
    assert decide_bake(POLICY, evidence(GOOD, days=6)).action == "wait"
    assert decide_bake(POLICY, evidence(GOOD, days=7)).action == "advance"
    assert decide_bake(POLICY, evidence(None, days=7)).action == "advance"


def test_a_bake_goes_on_until_bad_events_are_proven_rare_but_not_for_ever() -> None:
    """Two slow answers among twelve show nothing yet; after ``max_wait`` the former goes, and the verdict says hold."""
    guards = (replace(clean_guards(240, 12)[1], own=(2, 12)),)
    waiting = decide_bake(POLICY, evidence(days=7, guards=guards))
    assert (waiting.action, waiting.verdict) == ("wait", "hold")
    ended = decide_bake(POLICY, evidence(days=14, guards=guards))
    assert (ended.action, ended.verdict) == ("advance", "hold")
    assert "not proven either: slow answers may still be" in ended.sentence


def test_harm_shown_during_the_bake_leads_back() -> None:
    """Being live protects nobody: the same proof that ends a rollout ends a bake."""
    decision = decide_bake(POLICY, evidence(replace(GOOD, harm_log_e=10.0), days=3))
    assert (decision.verdict, decision.action) == ("fail", "rollback")


@pytest.mark.parametrize(
    "case",
    [
        evidence(),
        evidence(None, days=0.3),
        evidence(guards=clean_guards(240, 60), split_log_e=math.inf),
        evidence(replace(GOOD, upper=math.nan), label_free=None, is_overdue=True),
        evidence(unusable="it does not load", on_trial_since=START - timedelta(days=3)),
    ],
)
def test_every_decision_can_be_made_again_from_what_the_ledger_keeps(case: RolloutEvidence) -> None:
    """Policy and evidence come back from JSON as they were, to the byte, and lead to the same decision."""
    kept = [plain(POLICY), plain(case)]
    assert canonical_json(RolloutPolicy.from_plain(kept[0])) == canonical_json(POLICY)
    assert canonical_json(RolloutEvidence.from_plain(kept[1])) == canonical_json(case)
    for question, decision in (
        ({"about": "trial", "stage": "canary", "share": 0.25}, decide(POLICY, "canary", 0.25, case)),
        ({"about": "bake"}, decide_bake(POLICY, case)),
    ):
        assert canonical_json(decide_again(question, *kept)) == canonical_json(decision)


def test_a_refit_owes_no_second_proof_of_its_loss() -> None:
    """Its twin's gate stands for that: what both predicted is enough, and the guards are asked as of any version."""
    refit = replace(POLICY, loss_is_proven=True)
    young = evidence(None, days=1.1)
    assert decide(POLICY, "shadow", 0.0, young).action == "wait"
    first = decide(refit, "shadow", 0.0, young)
    assert (first.action, first.to) == ("advance", STAGES[1])
    assert "its twin passed the gate" in first.sentence
    assert "taken back as soon as that is proven" in first.words[1]
    unproven = evidence(None, days=1.1, guards=(Guard(name="errors", what="errors", own=(2, 8), by=("pairs",)),))
    waits = decide(refit, "canary", 0.25, unproven)
    assert waits.action == "wait"
    assert "errors may still be more" in waits.sentence


def test_a_refit_that_does_harm_is_taken_back_like_any_other() -> None:
    """By its loss too."""
    bad = replace(GOOD, harm_log_e=math.log(20.1), challenger_mean=90.0, upper=60.0)
    assert decide(replace(POLICY, loss_is_proven=True), "canary", 0.25, evidence(bad)).action == "rollback"


def test_policies_of_old_ledgers_ask_for_the_loss() -> None:
    """They were written before there were refits."""
    old = {name: value for name, value in plain(POLICY).items() if name != "loss_is_proven"}
    assert RolloutPolicy.from_plain(old) == POLICY
