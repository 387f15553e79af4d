"""The verdict: a pure function of policy and evidence, so that any decision of the past can be made again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from kairos.gates.evidence import GateEvidence
from kairos.gates.policy import GatePolicy
from kairos.stats.holm import holm
from kairos.stats.paired import PairedMean
from kairos.stats.samplesize import provable_margin, rows_for_margin
from kairos.values import Verdict

__all__ = ["GateDecision", "decide"]

_MIN_SLICE_ROWS = 30
"""A slice of fewer rows is told, and stops nothing."""
_MIN_DISCORDANT = 30
"""With fewer rows on which right-or-wrong losses differ, bounds of dependent rows cannot be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """A verdict and why."""

    verdict: Verdict
    sentence: str
    """The verdict with its evidence, in one line for a person."""
    reasons: tuple[str, ...]
    """Everything else that was looked at, a line each."""
    needed_rows: int | None
    """On ``hold``: rows still missing, if the difference stays what it seems; ``None`` if rows do not help."""


def decide(policy: GatePolicy, evidence: GateEvidence) -> GateDecision:
    """Judges a version.

    In this order: ``fail`` if it cannot be used; ``hold`` if there is too little to judge by; ``fail`` if it is above
    the floor, proven worse than the baseline, or proven worse by more than the margin on a slice (Holm over the
    slices); ``pass`` if it is proven better (``superior``) or not worse by more than the margin (``non_inferior``);
    else ``hold``. Non-inferiority and superiority each use all of alpha, as they are asked one after the other.

    References:
        Morikawa & Yoshida (1995) for the two questions in a fixed order; Holm (1979) for the slices.
    """
    if evidence.unusable is not None:
        return _decision("fail", evidence.unusable, ())
    whole, notes = evidence.overall, _notes(policy, evidence)
    goal, words = _goal(policy, whole)
    needed = _needed(policy, whole, goal)
    lack = _lack(policy, evidence, needed)
    if lack is not None:
        return _decision("hold", lack.sentence, notes, needed_rows=lack.rows)
    harm = _harm(policy, evidence)
    if harm is not None:
        return _decision("fail", harm, notes)
    if whole.lower > goal:
        return _decision("pass", f"{words}: {_difference(policy, evidence)}", notes)
    more = f"; about {needed} more rows would decide it" if needed else ""
    return _decision("hold", f"not proven {words}: {_difference(policy, evidence)}{more}", notes, needed_rows=needed)


def _goal(policy: GatePolicy, whole: PairedMean) -> tuple[float, str]:
    """What the lower bound of the difference has to exceed, and what is proven then."""
    if policy.require == "superior":
        return 0.0, "better"
    return -policy.margin.resolve(whole.champion), "not worse"


def _needed(policy: GatePolicy, whole: PairedMean, goal: float) -> int | None:
    """Rows still missing if the difference stays as it seems; ``None`` if it would never be proven."""
    distance = whole.difference - goal
    if not (math.isfinite(whole.se) and distance > 0):
        return None
    return max(1, rows_for_margin(whole.sd, distance, policy.alpha) - whole.n)


class _Lack(NamedTuple):
    sentence: str
    rows: int | None


def _lack(policy: GatePolicy, evidence: GateEvidence, needed: int | None) -> _Lack | None:
    """Why nothing can be judged, if so; asked before harm is, for what is too little to pass is too little to fail."""
    whole = evidence.overall
    if evidence.incomparable is not None:
        return _Lack(evidence.incomparable, None)
    if whole.n < policy.min_rows:
        sentence = f"too little data: {whole.n} fresh rows, at least {policy.min_rows} are asked for"
        return _Lack(sentence, max(policy.min_rows - whole.n, needed or 0))
    if any(_holds_nan(one) for one in (whole, *evidence.slices.values())):
        return _Lack("the evidence holds numbers that are not numbers", None)
    if _few_differ(policy, whole):
        differ = whole.discordant
        sentence = f"too little data: the two differ on {differ} rows, at least {_MIN_DISCORDANT} are asked for"
        return _Lack(sentence, math.ceil(whole.n * (_MIN_DISCORDANT - differ) / differ) if differ else None)
    return None


def _holds_nan(one: PairedMean) -> bool:
    return any(math.isnan(x) for x in (one.champion, one.challenger, one.difference, one.lower, one.upper, one.se))


def _few_differ(policy: GatePolicy, one: PairedMean) -> bool:
    return policy.loss == "zero_one" and one.method != "tango" and one.discordant < _MIN_DISCORDANT


def _harm(policy: GatePolicy, evidence: GateEvidence) -> str | None:
    """The harm that is proven, if any: above the floor, worse on the whole, worse on a slice."""
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


def _is_judged(policy: GatePolicy, one: PairedMean) -> bool:
    return one.n >= _MIN_SLICE_ROWS and not _few_differ(policy, one)


def _difference(policy: GatePolicy, evidence: GateEvidence) -> str:
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


def _notes(policy: GatePolicy, evidence: GateEvidence) -> tuple[str, ...]:
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
