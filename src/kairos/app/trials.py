"""Moving what is on trial, or bakes, on or back: evidence from the watch, a decision from ``delivery``, a fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from kairos.app.deploying import move, restore
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch
from kairos.delivery.rollout import RolloutEvidence, RolloutPolicy, decide, decide_bake
from kairos.delivery.state import Stage, VersionState
from kairos.values import plain

__all__ = ["judge_bake", "judge_trial"]

_STAGE_AFTER: Mapping[str, Stage] = MappingProxyType({"rollback": "rolled_back", "withdraw": "retired"})


def judge_bake(project: Project, watch: Watch, model: ModelSettings) -> None:
    """Goes back to the former champion, or lets it go, as the evidence says."""
    state = project.state()
    found = state.model(model.name)
    if found.champion is None or found.previous is None:
        return
    evidence = watch.rollout(found.previous, found.champion)
    decision = decide_bake(model.delivery, evidence)
    basis = plain({"evidence": evidence, "policy": model.delivery})
    verdict, reasons = decision.verdict, [decision.sentence]
    if decision.action == "rollback":
        before = found.last_live(found.previous.ref.number)
        restore(project, found, before, verdict=verdict, reasons=reasons, basis=basis, expect=state.seq)
    elif decision.action == "advance":
        move(
            project,
            found.previous,
            "retired",
            verdict=verdict,
            reasons=reasons,
            basis=basis,
            expect=state.seq,
        )


def judge_trial(project: Project, watch: Watch, model: ModelSettings) -> None:
    """Moves a challenger on or back, as the evidence says."""
    state = project.state()
    found = state.model(model.name)
    if found.champion is None or found.challenger is None:
        return
    evidence = watch.rollout(found.champion, found.challenger)
    policy = _owed_proof(model, found.challenger, evidence)
    decision = decide(policy, found.challenger.stage, found.challenger.share, evidence)
    to = _STAGE_AFTER.get(decision.action)
    if decision.action == "freeze":
        watch.tell_wrong_split(found.challenger, evidence, decision.sentence)
    elif decision.action == "advance" and decision.to is not None:
        to = decision.to.stage
    if to is not None:
        move(
            project,
            found.challenger,
            to,
            share=decision.to.share if decision.to is not None and to == "canary" else 0.0,
            verdict=decision.verdict,
            reasons=[decision.sentence],
            basis=plain({"evidence": evidence, "policy": policy}),
            expect=state.seq,
        )


def _owed_proof(model: ModelSettings, challenger: VersionState, evidence: RolloutEvidence) -> RolloutPolicy:
    """The rollout's policy; a version whose gate held owes the proof here, by the gate's margin."""
    if challenger.verdict == "pass":
        return model.delivery
    margin = model.gate.margin
    owed = margin.value
    if margin.kind == "absolute":  # in the loss's unit; as a part of what the champion loses
        if evidence.loss is None or not evidence.loss.champion_mean > 0:
            return model.delivery  # without pairs nothing is decided by it
        owed = margin.value / evidence.loss.champion_mean
    return replace(model.delivery, harm_margin=min(model.delivery.harm_margin, owed))
