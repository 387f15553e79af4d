"""Gathering a gate's evidence, and writing down what it decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kairos.app.facts import artifact_digest, run_entry
from kairos.app.losses import baseline_losses, fresh_rows, losses_on
from kairos.app.packages import holdout_table, open_stored
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.delivery.state import VersionState
from kairos.gates.decide import GateDecision, decide
from kairos.gates.evidence import GateEvidence, measure
from kairos.gates.policy import GatePolicy
from kairos.ledger import Entry
from kairos.values import VersionRef

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A gate's decision with everything it rests on."""

    ref: VersionRef
    against: VersionRef | None
    """The champion; ``None``: the simple baseline."""
    policy: GatePolicy
    evidence: GateEvidence
    decision: GateDecision
    entry: Entry


def judge(project: Project, ref: VersionRef, *, require: Literal["superior", "non_inferior"] | None = None) -> Judged:
    """Compares a version with the champion, or with a simple baseline if nothing is live, and writes the verdict down.

    The rows are those that the version's own run held out, without any that either model was trained on.

    Raises:
        NotFound: there is no such version.
    """
    model = project.settings.model(ref.model)
    state = project.state().model(ref.model)
    version = state.version(ref.number)
    champion = state.champion if state.champion_number != ref.number else None
    policy = model.gate if require is None else replace(model.gate, require=require)
    evidence = _evidence(project, model, version, champion, policy)
    decision = decide(policy, evidence)
    against = champion.ref if champion is not None else None
    entry = project.tell(
        "gate.decided",
        subject=str(ref),
        body={
            "verdict": decision.verdict,
            "sentence": decision.sentence,
            "reasons": list(decision.reasons),
            "needed_rows": decision.needed_rows,
            "against": None if against is None else str(against),
            "policy": policy.plain(),
            "evidence": evidence.plain(),
        },
    )
    return Judged(ref=ref, against=against, policy=policy, evidence=evidence, decision=decision, entry=entry)


def _evidence(
    project: Project, model: ModelSettings, version: VersionState, champion: VersionState | None, policy: GatePolicy
) -> GateEvidence:
    run = run_entry(project, version.run).body
    challenger = open_stored(project.store, version.package, allow_pickle=model.allow_pickle)
    packages = [challenger]
    if champion is not None:
        packages.append(open_stored(project.store, champion.package, allow_pickle=model.allow_pickle))
    rows = fresh_rows(holdout_table(project, model, run), model, packages)
    lacks = [] if champion is None else [n for n in packages[1].spec.signature.names if n not in rows.columns]
    if champion is not None and lacks:  # the two cannot be asked about the same rows
        found = _evidence(project, model, version, None, policy)
        why = f"cannot be compared: {champion.ref} takes the column {lacks[0]!r}, which the holdout lacks"
        return replace(found, incomparable=why)
    challenger_loss = losses_on(rows, challenger, model)
    baseline_loss = (
        losses_on(rows, packages[1], model) if champion is not None else baseline_losses(rows, challenger, model)
    )
    return measure(
        baseline_loss,
        challenger_loss,
        policy=policy,
        times=None if model.time is None else rows[model.time].to_numpy(),
        entities=None if model.entity is None else rows[model.entity].to_numpy(),
        slices={name: rows[name].to_list() for name in policy.slices},
        rows_digest=artifact_digest(run, model.holdout),
        baseline="champion" if champion is not None else "simple baseline",
    )
