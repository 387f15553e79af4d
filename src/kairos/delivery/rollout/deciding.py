"""What to do with a challenger on live traffic: a pure decision from policy and evidence.

Rollback is a union: any guard, or the paired loss, that proves harm ends the rollout. Promotion is an intersection: the
paired loss must be proven not worse than the margin, and every guard must be proven safe for the next step. Both may be
looked at as often as one likes, because the evidence is made of e-processes and confidence sequences. Waiting too long
is ``hold``, never a silent promotion: the challenger then answers nobody and waits for a person. After a promotion the
former champion goes on predicting for a while (the bake), so the same evidence can still lead back to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kairos.delivery.rollout import words
from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.delivery.rollout.harm import LOSS, Alarm, alarms
from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.power import Power, power
from kairos.delivery.rollout.proof import Missing, missing
from kairos.delivery.rollout.steps import StageStep
from kairos.delivery.rollout.worth import worth_of
from kairos.delivery.stages import Stage
from kairos.values import Json, Verdict, duration_text

__all__ = ["SPLIT_LIMIT", "RolloutDecision", "decide", "decide_again", "decide_bake"]

SPLIT_LIMIT = math.log(100)
"""Natural log of the e-value from which on the split of requests counts as wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """What to do, and the evidence for it."""

    verdict: Verdict
    action: Literal["advance", "rollback", "wait", "freeze", "hold"]
    """``hold``: to shadow, to wait for a person. In a bake, ``advance`` lets the former champion go."""
    to: StageStep | None
    sentence: str
    """With its numbers, for the statistician."""
    words: tuple[str, str]
    """The same in two sentences, for everybody."""
    due: datetime | None = None
    """When what is missing will be there at the present rate; ``None`` if nothing is, or if that cannot be told."""
    power: tuple[Power, ...] = ()
    """What each guard would have seen by now."""


def decide(policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence) -> RolloutDecision:
    """What to do with a challenger that stands at ``stage`` and answers ``share`` of the requests."""
    found = alarms(policy, evidence)
    back = _rollback(policy, evidence, found)
    if back is not None:
        return back
    seen = _power(evidence, found)
    lacks = _lacks(policy, stage, share, evidence, found)
    sentence = _list(lacks)
    if evidence.is_overdue:
        return RolloutDecision(
            verdict="hold",
            action="wait",
            to=None,
            sentence=f"waits for a person{f': {sentence}' if sentence else ''}",
            words=words.waiting(stage, share, lacks, is_overdue=True),
            power=seen,
        )
    is_split_wrong = evidence.split_log_e >= SPLIT_LIMIT
    if not lacks and not is_split_wrong:
        to = policy.after(stage, share)
        return RolloutDecision(
            verdict="pass",
            action="advance",
            to=to,
            sentence=words.proof(policy, evidence),
            words=words.advanced(policy, evidence, to),
            power=seen,
        )
    if is_split_wrong:
        sentence = f"requests are not split as designed (e = {_e_text(evidence.split_log_e)})"
        lacks = [Missing(text=sentence)]
    if evidence.as_of - evidence.since >= policy.max_wait:
        return RolloutDecision(
            verdict="hold",
            action="hold",
            to=StageStep(stage="shadow", share=0.0),
            sentence=f"not decided within {duration_text(policy.max_wait)}, waits for a person: {sentence}",
            words=words.held(policy, lacks),
            power=seen,
        )
    if is_split_wrong:
        said = words.frozen(stage, share)
        frozen = f"{sentence}; the share is frozen"
        return RolloutDecision(verdict="hold", action="freeze", to=None, sentence=frozen, words=said, power=seen)
    said = words.waiting(stage, share, lacks, is_overdue=False)
    due = words.due_date(lacks)
    return RolloutDecision(verdict="hold", action="wait", to=None, sentence=sentence, words=said, due=due, power=seen)


def decide_bake(policy: RolloutPolicy, evidence: RolloutEvidence) -> RolloutDecision:
    """What to do with a version that is live while the one before it still predicts beside it.

    ``since`` in the evidence is when it went live. ``advance`` means that the bake is over: the former champion may go.
    It goes when the bake's time is over and every guard is proven safe, or after ``max_wait`` if that is longer.
    """
    found = alarms(policy, evidence)
    back = _rollback(policy, evidence, found)
    if back is not None:
        return back
    seen = _power(evidence, found)
    lacks = _lacks(policy, "live", 1.0, evidence, found)
    waited = evidence.as_of - evidence.since
    if lacks and waited < max(policy.bake, policy.max_wait):
        said = words.waiting("live", 1.0, lacks, is_overdue=False)
        due = words.due_date(lacks)
        return RolloutDecision(
            verdict="hold", action="wait", to=None, sentence=_list(lacks), words=said, due=due, power=seen
        )
    sentence = f"no harm shown within {duration_text(waited)} of being live"
    if lacks:
        sentence += f", but not proven either: {_list(lacks)}"
    verdict: Verdict = "hold" if lacks else "pass"
    said = words.baked(policy, lacks)
    return RolloutDecision(verdict=verdict, action="advance", to=None, sentence=sentence, words=said, power=seen)


def decide_again(question: Json, policy: Json, evidence: Json) -> RolloutDecision:
    """The decision that was made from these, as they stand in the ledger.

    Args:
        question: ``{"about": "trial", "stage": ..., "share": ...}`` or ``{"about": "bake"}``.
        policy: ``plain`` of the policy.
        evidence: ``plain`` of the evidence.
    """
    rule, facts = RolloutPolicy.from_plain(policy), RolloutEvidence.from_plain(evidence)
    if question["about"] == "bake":
        return decide_bake(rule, facts)
    return decide(rule, question["stage"], question["share"], facts)


def _rollback(policy: RolloutPolicy, evidence: RolloutEvidence, found: Sequence[Alarm]) -> RolloutDecision | None:
    proven = next((alarm for alarm in found if alarm.is_proven), None)
    if evidence.unusable is not None:
        sentence = evidence.unusable
    elif proven is not None:
        sentence = (
            f"{_harm(policy, evidence, proven.name)} (e = {_e_text(proven.log_e)} >= {_e_text(proven.log_limit)})"
        )
    else:
        return None
    reason = sentence if proven is None or evidence.unusable is not None else _harm(policy, evidence, proven.name)
    return RolloutDecision(
        verdict="fail",
        action="rollback",
        to=None,
        sentence=sentence,
        words=words.taken_back(policy, reason, by_proof=evidence.unusable is None),
    )


def _harm(policy: RolloutPolicy, evidence: RolloutEvidence, name: str) -> str:
    """What was proven, with the counts."""
    loss = evidence.loss
    if name == LOSS and loss is not None:
        return (
            f"worse on {loss.pairs} requests that both answered: mean loss {loss.challenger_mean:.4g} against "
            f"{loss.champion_mean:.4g}"
        )
    for worth in worth_of(policy, evidence):
        if worth.rule.kind == name:
            return f"requests are worth less: {worth}"
    guard = next(guard for guard in evidence.guards if guard.name == name)
    if guard.by == ("cap",) and guard.cap is not None:
        return f"{guard.own[0]} of {guard.own[1]} are {guard.what}, where {guard.cap:.3g} of all are allowed"
    pairs = [guard.pairs] if "pairs" in guard.by else []
    counts = [*pairs, *(guard.asked.values() if "shares" in guard.by else ())]
    mine, theirs = (sum(pair[side] for pair in counts) for side in (0, 1))
    return f"too many {guard.what}: {mine} of the challenger's, {theirs} of the champion's"


def _lacks(
    policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence, found: Sequence[Alarm]
) -> list[Missing]:
    if any(math.isnan(alarm.log_e) for alarm in found):
        return [Missing(text="the evidence of harm is not a number")]
    return missing(policy, stage, share, evidence)


def _power(evidence: RolloutEvidence, found: Sequence[Alarm]) -> tuple[Power, ...]:
    limits = {alarm.name: alarm.log_limit for alarm in found}
    return tuple(power(guard, limits[guard.name]) for guard in evidence.guards if guard.by != ("cap",))


def _list(lacks: Sequence[Missing]) -> str:
    return "; ".join(each.text for each in lacks)


def _e_text(log_e: float) -> str:
    return f"{math.exp(log_e):.3g}" if log_e < 50 else f"exp({log_e:.0f})"
