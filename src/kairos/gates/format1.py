"""Gate decisions as they were made before evidence had a format number: read, and made again, for ever.

Nothing here changes any more. What is decided today is in ``decide``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from kairos.gates.decide import GateDecision
from kairos.gates.evidence import Baseline
from kairos.gates.policy import GatePolicy
from kairos.stats.comparison import Comparison
from kairos.stats.holm import holm
from kairos.stats.samplesize import provable_margin, rows_for_margin
from kairos.values import Json, Verdict, unplain

__all__ = ["Evidence1", "decide1"]

_MIN_SLICE_ROWS = 30
_MIN_DISCORDANT = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence1:
    """A version and what it is compared with, by mean losses on the same rows."""

    baseline: Baseline
    overall: Comparison
    slices: Mapping[str, Comparison] = field(default_factory=dict)
    rows_digest: str
    oldest: str | None = None
    freshest: str | None = None
    unusable: str | None = None
    incomparable: str | None = None

    @classmethod
    def from_plain(cls, value: Json) -> Evidence1:
        """Reads the evidence of an old entry."""
        fields = unplain(value)
        slices = {name: Comparison(**one) for name, one in fields["slices"].items()}
        return cls(**{**fields, "overall": Comparison(**fields["overall"]), "slices": slices})


def decide1(policy: GatePolicy, evidence: Evidence1) -> GateDecision:
    """Judges as it was done then."""
    if evidence.unusable is not None:
        return _decision("fail", evidence.unusable, ())
    whole, notes = evidence.overall, _notes(policy, evidence)
    goal, words = (
        (0.0, "better") if policy.require == "superior" else (-policy.margin.resolve(whole.champion), "not worse")
    )
    needed = _needed(policy, whole, goal)
    lack = _lack(policy, evidence, needed)
    if lack is not None:
        return _decision("hold", lack[0], notes, needed_rows=lack[1])
    harm = _harm(policy, evidence)
    if harm is not None:
        return _decision("fail", harm, notes)
    if whole.lower > goal:
        return _decision("pass", f"{words}: {_difference(policy, evidence)}", notes)
    more = f"; about {needed} more rows would decide it" if needed else ""
    return _decision("hold", f"not proven {words}: {_difference(policy, evidence)}{more}", notes, needed_rows=needed)


def _needed(policy: GatePolicy, whole: Comparison, goal: float) -> int | None:
    distance = whole.difference - goal
    if not (math.isfinite(whole.se) and distance > 0):
        return None
    return max(1, rows_for_margin(whole.sd, distance, policy.alpha) - whole.n)


def _lack(policy: GatePolicy, evidence: Evidence1, needed: int | None) -> tuple[str, int | None] | None:
    whole = evidence.overall
    if evidence.incomparable is not None:
        return evidence.incomparable, None
    if whole.n < policy.min_rows:
        sentence = f"too little data: {whole.n} fresh rows, at least {policy.min_rows} are asked for"
        return sentence, max(policy.min_rows - whole.n, needed or 0)
    if any(_holds_nan(one) for one in (whole, *evidence.slices.values())):
        return "the evidence holds numbers that are not numbers", None
    if _few_differ(policy, whole):
        differ = whole.discordant
        sentence = f"too little data: the two differ on {differ} rows, at least {_MIN_DISCORDANT} are asked for"
        return sentence, math.ceil(whole.n * (_MIN_DISCORDANT - differ) / differ) if differ else None
    return None


def _holds_nan(one: Comparison) -> bool:
    return any(math.isnan(x) for x in (one.champion, one.challenger, one.difference, one.lower, one.upper, one.se))


def _few_differ(policy: GatePolicy, one: Comparison) -> bool:
    return policy.loss == "zero_one" and one.method != "tango" and one.discordant < _MIN_DISCORDANT


def _harm(policy: GatePolicy, evidence: Evidence1) -> str | None:
    whole = evidence.overall
    if policy.floor is not None and whole.challenger > policy.floor:
        return f"its mean {_loss(policy)} is {whole.challenger:.4g}, above the {policy.floor:.4g} that is acceptable"
    if whole.upper < 0:
        return f"worse: {_difference(policy, evidence)}"
    judged = [name for name in sorted(evidence.slices) if _is_judged(policy, evidence.slices[name])]
    margins = {name: policy.margin.resolve(evidence.slices[name].champion) for name in judged}
    adjusted = holm([evidence.slices[name].p_below(-margins[name]) for name in judged])
    p, name = min(zip(adjusted.tolist(), judged, strict=True), default=(1.0, ""))
    if p > policy.alpha:
        return None
    one = evidence.slices[name]
    return (
        f"worse on the slice {name}: mean {_loss(policy)} {one.challenger:.4g} against {one.champion:.4g} on {one.n} "
        f"rows, more than the {margins[name]:.4g} allowed (p = {p:.2g})"
    )


def _is_judged(policy: GatePolicy, one: Comparison) -> bool:
    return one.n >= _MIN_SLICE_ROWS and not _few_differ(policy, one)


def _difference(policy: GatePolicy, evidence: Evidence1) -> str:
    whole = evidence.overall
    level = f"{100 * (1 - 2 * policy.alpha):.4g}%"
    if whole.difference >= 0:
        size, low, high, side = whole.difference, whole.lower, whole.upper, "lower"
    else:
        size, low, high, side = -whole.difference, -whole.upper, -whole.lower, "higher"
    return (
        f"its mean {_loss(policy)} of {whole.challenger:.4g} is {size:.4g} {side} ({level}: {low:.4g} to {high:.4g}) "
        f"than the {evidence.baseline}'s {whole.champion:.4g}, on {whole.n} fresh rows"
    )


def _notes(policy: GatePolicy, evidence: Evidence1) -> tuple[str, ...]:
    whole = evidence.overall
    notes = []
    if evidence.oldest is not None:
        notes.append(f"the rows are from {evidence.oldest} to {evidence.freshest}")
    if whole.n >= 2 and math.isfinite(whole.se):
        margin = provable_margin(whole.n, whole.sd, policy.alpha)
        notes.append(f"with these {whole.n} rows the smallest margin provable with 80 % power is {margin:.3g}")
    if whole.design_effect > 1.05:
        notes.append(f"rows depend on each other: {whole.design_effect:.1f} of them count as one")
    for name, one in sorted(evidence.slices.items()):
        few = "" if _is_judged(policy, one) else ", too few to judge"
        notes.append(f"slice {name}: {one.challenger:.4g} against {one.champion:.4g} on {one.n} rows{few}")
    return tuple(notes)


def _loss(policy: GatePolicy) -> str:
    return policy.loss.replace("_", " ")


def _decision(
    verdict: Verdict, sentence: str, reasons: tuple[str, ...], *, needed_rows: int | None = None
) -> GateDecision:
    return GateDecision(verdict=verdict, sentence=f"{verdict}: {sentence}", reasons=reasons, needed_rows=needed_rows)
