"""What to do with a challenger on live traffic: a pure decision from policy and evidence.

Rollback is a union: any guard, or the paired loss, that proves harm ends the rollout. Promotion is an intersection: the
paired loss must be proven not worse than the margin, and every guard must be quiet. Both may be looked at as often as
one likes, because the evidence is made of e-processes and confidence sequences. Waiting too long is ``hold``, never a
silent promotion: the challenger is withdrawn. After a promotion the former champion goes on predicting for a while (the
bake), so the same evidence can still lead back to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from kairos.delivery.state import Stage
from kairos.errors import SettingsError
from kairos.values import Verdict, duration_text

__all__ = [
    "SPLIT_LIMIT",
    "Guard",
    "PairedLoss",
    "RolloutDecision",
    "RolloutEvidence",
    "RolloutPolicy",
    "StageStep",
    "decide",
    "decide_bake",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStep:
    """One step of a rollout."""

    stage: Stage
    share: float
    """The part of requests that the challenger answers, in [0, 1]."""

    @classmethod
    def parse(cls, text: str) -> StageStep:
        """Reads ``shadow``, ``canary:10%`` or ``live``.

        >>> StageStep.parse("canary:10%")
        StageStep(stage='canary', share=0.1)
        """
        name, colon, share = text.partition(":")
        if name == "shadow" and not colon:
            return cls(stage="shadow", share=0.0)
        if name == "live" and not colon:
            return cls(stage="live", share=1.0)
        if name == "canary" and share.endswith("%"):
            try:
                part = float(share[:-1]) / 100
            except ValueError:
                part = math.nan
            if 0 < part < 1:
                return cls(stage="canary", share=part)
        raise SettingsError(
            "A rollout stage cannot be read.", given=text, accepted="'shadow', 'canary:N%' with 0 < N < 100, or 'live'"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """How much proof a challenger owes before it answers more users."""

    stages: tuple[StageStep, ...] = (
        StageStep(stage="shadow", share=0.0),
        StageStep(stage="canary", share=0.1),
        StageStep(stage="live", share=1.0),
    )
    alpha: float = 0.05
    """Chance of rolling back a harmless version over the whole rollout, and of promoting a harmful one."""
    harm_margin: float = 0.10
    """How much worse the challenger's mean loss may be, as a part of the champion's. The gate has judged finer before;
    here it is about harm that no holdout shows."""
    min_pairs: int = 100
    """Labelled requests, answered by both, before a promotion is thought of."""
    min_canary_requests: int = 20
    """Requests that the challenger has answered itself before it goes live."""
    min_dwell: timedelta = timedelta(days=1)
    """The least time in a stage."""
    max_wait: timedelta = timedelta(days=14)
    """The most time in a stage; then the challenger is withdrawn and a person may deploy it anew."""
    bake: timedelta = timedelta(days=7)
    """How long the former champion is kept warm after a promotion, so that harm shown late still leads back to it."""

    def __post_init__(self) -> None:
        if not self.stages or self.stages[-1].stage != "live":
            raise SettingsError("A rollout has to end live.", given=str([s.stage for s in self.stages]))
        shares = [s.share for s in self.stages]
        if shares != sorted(shares):
            raise SettingsError("A rollout's shares have to grow.", given=str(shares))

    def after(self, stage: Stage, share: float) -> StageStep:
        """The step that follows."""
        for step in self.stages:
            if step.share > share or (stage == "registered" and step.share >= share):
                return step
        return self.stages[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLoss:
    """Losses of both versions on the same matured requests; differences are challenger minus champion."""

    pairs: int
    champion_mean: float
    challenger_mean: float
    lower: float
    """Confidence sequence for the mean difference, lower end."""
    upper: float
    """Confidence sequence for the mean difference, upper end; one-sided at ``alpha``."""
    harm_log_e: float
    """Natural log of the e-process against "the challenger is never worse"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One kind of bad event, counted for each share: ``{share: (challenger's, champion's)}``."""

    name: str
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Keyed by the share as text, so that the evidence has one JSON form."""
    harm_log_e: float = 0.0
    """Natural log of the bad-event-share e-process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvidence:
    """Everything a rollout decision is made from."""

    as_of: datetime
    since: datetime
    """When the challenger came to its stage."""
    loss: PairedLoss | None
    """``None`` while no request has both predictions and a matured label."""
    guards: tuple[Guard, ...] = ()
    canary_requests: int = 0
    """Requests that the challenger itself answered."""
    split_log_e: float = 0.0
    """Natural log of the e-value against "requests were split as designed"."""
    unusable: str | None = None
    """Why the challenger cannot be used at all (it does not load, it answers NaN), or ``None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """What to do, and the evidence for it in one line."""

    verdict: Verdict
    action: Literal["advance", "rollback", "wait", "freeze", "withdraw"]
    to: StageStep | None
    sentence: str


SPLIT_LIMIT = math.log(100)
"""Natural log of the e-value from which on the split of requests counts as wrong."""


def decide(policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence) -> RolloutDecision:
    """What to do with a challenger that stands at ``stage`` and answers ``share`` of the requests."""
    harm = _harm(policy, evidence)
    if harm is not None:
        return RolloutDecision(verdict="fail", action="rollback", to=None, sentence=harm)
    is_split_wrong = evidence.split_log_e >= SPLIT_LIMIT
    if is_split_wrong:
        missing: str | None = f"requests are not split as designed (e = {_e_text(evidence.split_log_e)})"
    else:
        missing = _missing(policy, stage, evidence)
    if missing is None:
        to = policy.after(stage, share)
        return RolloutDecision(verdict="pass", action="advance", to=to, sentence=_proof(policy, evidence))
    if evidence.as_of - evidence.since >= policy.max_wait:
        missing = f"withdrawn, not decided within {duration_text(policy.max_wait)}: {missing}"
        return RolloutDecision(verdict="hold", action="withdraw", to=None, sentence=missing)
    if is_split_wrong:
        return RolloutDecision(verdict="hold", action="freeze", to=None, sentence=f"{missing}; the share is frozen")
    return RolloutDecision(verdict="hold", action="wait", to=None, sentence=missing)


def decide_bake(policy: RolloutPolicy, evidence: RolloutEvidence) -> RolloutDecision:
    """What to do with a version that is live while the one before it still predicts beside it.

    ``since`` in the evidence is when it went live. ``advance`` means that the bake is over: the former champion may go.
    """
    harm = _harm(policy, evidence)
    if harm is not None:
        return RolloutDecision(verdict="fail", action="rollback", to=None, sentence=harm)
    waited = evidence.as_of - evidence.since
    if waited < policy.bake:
        sentence = f"{duration_text(waited)} of {duration_text(policy.bake)} live beside the former champion"
        return RolloutDecision(verdict="hold", action="wait", to=None, sentence=sentence)
    sentence = f"no harm shown within {duration_text(policy.bake)} of being live"
    return RolloutDecision(verdict="pass", action="advance", to=None, sentence=sentence)


def _harm(policy: RolloutPolicy, evidence: RolloutEvidence) -> str | None:
    """The proof of harm in a sentence; each of the G guards and the loss has its part of alpha."""
    if evidence.unusable is not None:
        return evidence.unusable
    limit = math.log((len(evidence.guards) + 1) / policy.alpha)
    loss = evidence.loss
    if loss is not None and loss.harm_log_e >= limit:
        return (
            f"worse on {loss.pairs} requests that both answered: mean loss {loss.challenger_mean:.4g} against "
            f"{loss.champion_mean:.4g} (e = {_e_text(loss.harm_log_e)} >= {_e_text(limit)})"
        )
    for guard in evidence.guards:
        if guard.harm_log_e >= limit:
            mine, theirs = (sum(c[i] for c in guard.counts.values()) for i in (0, 1))
            return (
                f"too many bad events of kind {guard.name!r}: {mine} of the challenger's, {theirs} of the champion's "
                f"(e = {_e_text(guard.harm_log_e)} >= {_e_text(limit)})"
            )
    return None


def _missing(policy: RolloutPolicy, stage: Stage, evidence: RolloutEvidence) -> str | None:
    """What is not proven yet, or ``None`` when the challenger may go on."""
    loss, waited = evidence.loss, evidence.as_of - evidence.since
    if loss is None or loss.pairs < policy.min_pairs:
        have = 0 if loss is None else loss.pairs
        return f"{have} of {policy.min_pairs} labelled requests that both answered"
    if any(math.isnan(e) for e in (loss.harm_log_e, *(g.harm_log_e for g in evidence.guards))):
        return "the evidence of harm is not a number"
    margin = policy.harm_margin * loss.champion_mean
    if not loss.upper < margin:
        return f"the mean loss may still be {loss.upper:.4g} higher, {margin:.4g} is allowed ({loss.pairs} requests)"
    if stage == "canary" and evidence.canary_requests < policy.min_canary_requests:
        return f"{evidence.canary_requests} of {policy.min_canary_requests} requests answered by the challenger itself"
    if waited < policy.min_dwell:
        return f"{duration_text(waited)} of {duration_text(policy.min_dwell)} in this stage"
    return None


def _proof(policy: RolloutPolicy, evidence: RolloutEvidence) -> str:
    loss = evidence.loss
    assert loss is not None  # nothing advances without it
    return (
        f"mean loss {loss.challenger_mean:.4g} against {loss.champion_mean:.4g} on {loss.pairs} requests; the "
        f"difference is below {loss.upper:.4g} at any time with {1 - policy.alpha:.0%}"
    )


def _e_text(log_e: float) -> str:
    return f"{math.exp(log_e):.3g}" if log_e < 50 else f"exp({log_e:.0f})"
