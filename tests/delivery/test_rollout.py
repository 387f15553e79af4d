"""Rollout decisions: harm ends it, proof moves it on, silence holds it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.rollout import Guard, PairedLoss, RolloutEvidence, RolloutPolicy, StageStep, decide, decide_bake
from kairos.errors import SettingsError

START = datetime(2012, 1, 1, tzinfo=UTC)
POLICY = RolloutPolicy(harm_margin=0.01)
GOOD = PairedLoss(pairs=300, champion_mean=50.0, challenger_mean=40.0, lower=-15.0, upper=-4.0, harm_log_e=-3.0)


def evidence(loss: PairedLoss | None = GOOD, *, days: float = 5, canary_requests: int = 100) -> RolloutEvidence:
    return RolloutEvidence(as_of=START + timedelta(days=days), since=START, loss=loss, canary_requests=canary_requests)


def test_proof_moves_a_shadow_to_the_canary_and_the_canary_to_live() -> None:
    """Each step is the next of the policy."""
    first = decide(POLICY, "shadow", 0.0, evidence())
    assert (first.verdict, first.action, first.to) == ("pass", "advance", StageStep(stage="canary", share=0.1))
    second = decide(POLICY, "canary", 0.1, evidence())
    assert second.to == StageStep(stage="live", share=1.0)
    assert "on 300 requests" in second.sentence


def test_proven_harm_rolls_back_at_any_stage() -> None:
    """The loss's e-process above 1/alpha is enough."""
    bad = replace(GOOD, harm_log_e=math.log(20.1), challenger_mean=90.0, upper=60.0)
    for stage, share in (("shadow", 0.0), ("canary", 0.1), ("live", 1.0)):
        decision = decide(POLICY, stage, share, evidence(bad))  # type: ignore[arg-type]
        assert (decision.verdict, decision.action) == ("fail", "rollback")
        assert "90 against 50" in decision.sentence


def test_guards_share_alpha() -> None:
    """With two guards and the loss, each must reach 3/alpha, so that all together stay below alpha."""
    guards = (Guard(name="error", harm_log_e=math.log(59)), Guard(name="invalid output", counts={"0.1": (7, 1)}))
    quiet = replace(evidence(), guards=guards)
    assert decide(POLICY, "canary", 0.1, quiet).action == "advance"
    loud = replace(quiet, guards=(guards[0], replace(guards[1], harm_log_e=math.log(61))))
    decision = decide(POLICY, "canary", 0.1, loud)
    assert decision.action == "rollback"
    assert "'invalid output': 7 of the challenger's, 1 of the champion's" in decision.sentence


@pytest.mark.parametrize(
    ("weak", "missing"),
    [
        (evidence(None), "0 of 100 labelled"),
        (evidence(replace(GOOD, pairs=99)), "99 of 100 labelled"),
        (evidence(replace(GOOD, upper=0.6)), "may still be 0.6 higher, 0.5 is allowed"),
        (evidence(replace(GOOD, upper=math.nan)), "may still be nan higher"),
        (evidence(canary_requests=19), "19 of 20 requests"),
        (evidence(days=0.5), "12h of 1d"),
    ],
)
def test_missing_evidence_is_hold_and_says_what_is_missing(weak: RolloutEvidence, missing: str) -> None:
    """Never a pass, never a fail; NaN proves nothing."""
    decision = decide(POLICY, "canary", 0.1, weak)
    assert (decision.verdict, decision.action) == ("hold", "wait")
    assert missing in decision.sentence


def test_waiting_too_long_withdraws_the_challenger() -> None:
    """After ``max_wait`` the verdict is hold and the challenger goes; nothing is promoted in silence."""
    decision = decide(POLICY, "shadow", 0.0, evidence(replace(GOOD, upper=3.0), days=14))
    assert (decision.verdict, decision.action) == ("hold", "withdraw")
    assert "not decided within 14d" in decision.sentence


def test_a_wrong_split_freezes() -> None:
    """If requests did not reach the arms as designed, no comparison can be trusted."""
    decision = decide(POLICY, "canary", 0.1, replace(evidence(), split_log_e=math.log(101)))
    assert decision.action == "freeze"


def test_an_unusable_challenger_goes_at_once() -> None:
    """A package that does not load needs no statistics."""
    decision = decide(POLICY, "shadow", 0.0, replace(evidence(None), unusable="demand@2 does not load"))
    assert (decision.action, decision.sentence) == ("rollback", "demand@2 does not load")


@given(st.floats(allow_nan=True), st.floats(allow_nan=True), st.integers(0, 1000), st.floats(0, 60))
def test_nothing_advances_without_proof(upper: float, harm_log_e: float, pairs: int, days: float) -> None:
    """Whatever the evidence: to advance, the bound is below the margin, rows suffice and no harm is proven."""
    loss = replace(GOOD, upper=upper, harm_log_e=harm_log_e, pairs=pairs)
    decision = decide(POLICY, "shadow", 0.0, evidence(loss, days=days))
    if decision.action == "advance":
        assert upper < 0.5
        assert pairs >= 100
        assert harm_log_e < math.log(20)
        assert days >= 1


@pytest.mark.parametrize("text", ["canary", "canary:0%", "canary:100%", "canary:x%", "live:5%", "canry:5%"])
def test_a_stage_that_cannot_be_read_is_refused(text: str) -> None:
    """The message shows the accepted forms."""
    with pytest.raises(SettingsError, match="canary:N%"):
        StageStep.parse(text)


def test_a_rollout_has_to_end_live_and_grow() -> None:
    """Policies that cannot work are refused when they are made."""
    with pytest.raises(SettingsError, match="end live"):
        RolloutPolicy(stages=(StageStep.parse("shadow"),))
    with pytest.raises(SettingsError, match="have to grow"):
        RolloutPolicy(stages=tuple(StageStep.parse(s) for s in ("canary:20%", "canary:10%", "live")))


def test_a_bake_ends_when_no_harm_was_shown_in_time() -> None:
    """The former champion is let go after ``bake``, not before."""
    assert decide_bake(POLICY, evidence(GOOD, days=6)).action == "wait"
    assert decide_bake(POLICY, evidence(GOOD, days=7)).action == "advance"
    assert decide_bake(POLICY, evidence(None, days=7)).action == "advance"


def test_harm_shown_during_the_bake_leads_back() -> None:
    """Being live protects nobody: the same proof that ends a rollout ends a bake."""
    decision = decide_bake(POLICY, evidence(replace(GOOD, harm_log_e=10.0), days=3))
    assert (decision.verdict, decision.action) == ("fail", "rollback")
