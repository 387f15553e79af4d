"""Making a decision of the past again, from what the ledger holds of it and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.errors import UsageError
from kairos.gates.decide import GateDecision, decide
from kairos.gates.evidence import FORMAT, GateEvidence
from kairos.gates.format1 import Evidence1, decide1
from kairos.gates.policy import GatePolicy
from kairos.gates.refit import REFIT, RefitEvidence, decide_refit
from kairos.values import Json

__all__ = ["Again", "decide_again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A decision, made once more."""

    policy: GatePolicy
    evidence: GateEvidence | None
    """``None`` if the entry is of an older format."""
    decision: GateDecision
    """Of a refit, what it would be if a gate had said it."""
    is_same: bool
    """Whether verdict, sentence, reasons and missing rows are those of the entry."""


def decide_again(body: Json) -> Again:
    """Makes the decision of a ``gate.decided`` entry again.

    Args:
        body: Of the entry.

    Raises:
        UsageError: the entry holds no evidence, or evidence of a format that this version does not know.
    """
    if not isinstance(body, dict) or not {"policy", "evidence"} <= body.keys():
        raise UsageError("An entry holds no gate's policy and evidence.", accepted="an entry of kind gate.decided")
    policy = GatePolicy.from_plain(body["policy"])
    if body["evidence"].get("format") == REFIT:
        return _refit_again(policy, body)
    written = body["evidence"].get("format")
    evidence = None
    if written is None:
        decision = decide1(policy, Evidence1.from_plain(body["evidence"]))
    elif written == FORMAT:
        evidence = GateEvidence.from_plain(body["evidence"])
        decision = decide(policy, evidence)
    else:
        raise UsageError("A gate's entry has a format that is not known.", given=written, accepted=f"1 to {FORMAT}")
    was = (body["verdict"], body["sentence"], list(body["reasons"]), body["needed_rows"], body.get("ready_on"))
    now = (decision.verdict, decision.sentence, list(decision.reasons), decision.needed_rows, decision.ready_on)
    return Again(policy=policy, evidence=evidence, decision=decision, is_same=was == now)


def _refit_again(policy: GatePolicy, body: Json) -> Again:
    made = decide_refit(policy, RefitEvidence.from_plain(body["evidence"]))
    decision = GateDecision(verdict=made.verdict, sentence=made.sentence, reasons=made.reasons, needed_rows=None)
    is_same = (made.verdict, made.sentence, list(made.reasons)) == (body["verdict"], body["sentence"], body["reasons"])
    return Again(policy=policy, evidence=None, decision=decision, is_same=is_same)
