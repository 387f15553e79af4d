"""The gate of a refit: a version that learnt as one that passed did, and from the rows that one was judged on as well.

There are no rows left that it has not seen. What its twin has proven on them stands for how its step learns. Asked is
only whether learning worked: on the rows that it has now seen, a refit is not worse than its twin, which had not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kairos.gates.policy import GatePolicy
from kairos.values import Json, Verdict, plain, unplain

__all__ = ["REFIT", "RefitDecision", "RefitEvidence", "decide_refit"]

REFIT = "refit"
"""Format of the evidence in a ``gate.decided``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitEvidence:
    """What a refit and its twin make of the rows that were held out from the twin."""

    twin: str
    """The version that learnt from fewer rows, such as ``demand@3``."""
    twin_verdict: Verdict | None
    """Its gate's."""
    twin_sentence: str
    """What its gate said."""
    is_same_champion: bool
    """Whether what its twin was compared with is what is live."""
    rows: int
    """Rows with a known truth."""
    newest_days: float
    """How much more recent the refit's latest row is than its twin's, in days."""
    own: float
    """The refit's mean loss."""
    twins: float
    """Its twin's mean loss."""
    format: str = REFIT

    def plain(self) -> Json:
        """The evidence as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> RefitEvidence:
        """Undoes ``plain``."""
        found: dict[str, Any] = unplain(value)
        return cls(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitDecision:
    """What becomes of a refit."""

    verdict: Verdict
    sentence: str
    reasons: tuple[str, ...]


def decide_refit(policy: GatePolicy, evidence: RefitEvidence) -> RefitDecision:
    """Lets a refit stand on its twin's proof, if it learnt.

    Args:
        policy: Its margin says how much worse than the twin still counts as not worse.
        evidence: What both make of the twin's holdout.
    """
    known = f"its twin {evidence.twin} passed: {evidence.twin_sentence}"
    if evidence.twin_verdict != "pass" or not evidence.is_same_champion:
        why = "did not pass its gate" if evidence.twin_verdict != "pass" else "was judged against what is live no more"
        sentence = f"Learnt as {evidence.twin} did, which {why}."
        return RefitDecision(verdict="fail", sentence=sentence, reasons=(sentence,))
    margin = policy.loss_margin.resolve(evidence.twins)
    measured = (
        f"on the {evidence.rows} rows that it has seen and its twin had not, its mean {policy.loss.replace('_', ' ')} "
        f"is {evidence.own:.4g}, its twin's {evidence.twins:.4g}"
    )
    if not (evidence.rows > 0 and math.isfinite(evidence.own) and evidence.own <= evidence.twins + margin):
        sentence = (
            f"It learnt {evidence.newest_days:.3g} more days than {evidence.twin} and got worse by it: {measured}."
        )
        return RefitDecision(verdict="fail", sentence=sentence, reasons=(measured,))
    sentence = f"It is {evidence.twin}, learnt again with {evidence.newest_days:.3g} more days; {known}"
    return RefitDecision(verdict="pass", sentence=sentence, reasons=(known, measured))
