"""Moving what is on trial, or bakes, on or back: evidence in, a decision from ``delivery``, a fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kairos.app.changing import move
from kairos.app.control import end_if_refused, is_held
from kairos.app.evidence import EvidenceOf
from kairos.app.going_back import restore
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import RolloutDecision, decide, decide_bake
from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.delivery.state import VersionState
from kairos.values import Json, plain

__all__ = ["judge_bake", "judge_trial", "owed_proof"]

WrongSplit = Callable[[VersionState, RolloutEvidence, str], None]


def judge_bake(project: Project, model: ModelSettings, evidence_of: EvidenceOf) -> None:
    """Goes back to the former champion, or lets it go, as the evidence says."""
    state = project.state()
    found = state.model(model.name)
    if found.champion is None or found.previous is None:
        return
    known = evidence_of(found.previous, found.champion)
    decision = decide_bake(model.delivery, known.evidence)
    basis = _basis(decision, {"about": "bake"}, model.delivery, known.evidence)
    verdict, reasons = decision.verdict, [decision.sentence]
    if decision.action == "rollback":
        before = found.last_live(found.previous.ref.number)
        restore(project, found, before, verdict=verdict, reasons=reasons, basis=basis, expect=state.seq)
        return
    if decision.action != "advance" or not known.is_whole:
        return
    if not is_held(project, found, found.previous, to="retired", basis=basis, expect=state.seq):
        move(project, found.previous, "retired", verdict=verdict, reasons=reasons, basis=basis, expect=state.seq)


def judge_trial(
    project: Project,
    model: ModelSettings,
    evidence_of: EvidenceOf,
    *,
    on_wrong_split: WrongSplit = lambda challenger, evidence, sentence: None,
) -> None:
    """Moves a challenger on or back, as the evidence says.

    Args:
        project: Whose.
        model: Which of its models.
        evidence_of: What is known; if it is not whole, only harm is acted upon.
        on_wrong_split: Told when requests do not reach the challenger as drawn.
    """
    state = project.state()
    found = state.model(model.name)
    challenger = found.challenger
    if found.champion is None or challenger is None:
        return
    known = evidence_of(found.champion, challenger)
    policy = owed_proof(model, challenger, known.evidence)
    decision = decide(policy, challenger.stage, challenger.share, known.evidence)
    if decision.action == "freeze":
        on_wrong_split(challenger, known.evidence, decision.sentence)
    is_harm = decision.action == "rollback"
    if not is_harm and end_if_refused(project, challenger, to="retired", expect=state.seq):
        return
    if decision.action not in ("rollback", "advance", "hold") or not (known.is_whole or is_harm):
        return
    question: Json = {"about": "trial", "stage": challenger.stage, "share": challenger.share}
    basis = _basis(decision, question, policy, known.evidence)
    to, stage = decision.to, "rolled_back" if decision.to is None else decision.to.stage
    share = to.share if to is not None and to.stage == "canary" else 0.0
    if decision.action == "advance" and to is not None:
        if is_held(project, found, challenger, to=to.stage, share=share, basis=basis, expect=state.seq):
            return
        basis["control"] = model.control.plain()
    move(
        project,
        challenger,
        stage,
        share=share,
        verdict=decision.verdict,
        reasons=[decision.sentence],
        basis=basis,
        expect=state.seq,
    )


def _basis(
    decision: RolloutDecision, question: Json, policy: RolloutPolicy, evidence: RolloutEvidence
) -> dict[str, Json]:
    """What the decision can be made again from, and how it is told."""
    basis: dict[str, Json] = {
        "question": question,
        "policy": plain(policy),
        "evidence": plain(evidence),
        "words": list(decision.words),
    }
    return basis | ({"is_overdue": True} if decision.action == "hold" else {})


def owed_proof(model: ModelSettings, challenger: VersionState, evidence: RolloutEvidence) -> RolloutPolicy:
    """The rollout's policy; a version whose gate held owes the proof here, by the gate's margin; a refit owes none."""
    if challenger.verdict == "pass":
        return replace(model.delivery, loss_is_proven=challenger.twin is not None)
    margin = model.gate.loss_margin
    owed = margin.value
    if margin.kind == "absolute":  # in the loss's unit; as a part of what the champion loses
        if evidence.loss is None or not evidence.loss.champion_mean > 0:
            return model.delivery  # without pairs nothing is decided by it
        owed = margin.value / evidence.loss.champion_mean
    return replace(model.delivery, harm_margin=min(model.delivery.harm_margin, owed))
