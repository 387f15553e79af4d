"""What a gate tells beside what it asks: the rows, their dependence, the simple baseline, and where it got worse."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kairos.gates.evidence import GateEvidence
from kairos.gates.lines import Line
from kairos.gates.policy import GatePolicy
from kairos.gates.saying import difference, number, ordinal
from kairos.stats.samplesize import provable_margin

__all__ = ["note_lines"]


def note_lines(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """Lines that ask for nothing."""
    return [Line(concern="note", about=about, state="told", sentence=text) for about, text in _notes(policy, evidence)]


def _notes(policy: GatePolicy, evidence: GateEvidence) -> Iterator[tuple[str, str]]:
    whole, metric = evidence.overall, policy.known(evidence.primary)
    if evidence.simple is not None:
        found = difference(metric, evidence.simple, baseline="simple baseline", alpha=policy.alpha)
        yield "simple baseline", f"against the simple baseline: {found}"
    if evidence.oldest is not None:
        yield "rows", f"the rows are from {evidence.oldest} to {evidence.freshest}"
    if whole.n >= 2 and math.isfinite(whole.se):
        margin = provable_margin(whole.n, whole.sd, policy.alpha_of(evidence.rank))
        yield "power", f"with these {whole.n} rows the smallest margin provable with 80 % power is {margin:.3g}"
    if whole.design_effect > 1.05:
        yield "dependence", f"rows depend on each other: {whole.design_effect:.1f} of them count as one"
    if evidence.undeclared is not None:
        yield "undeclared", evidence.undeclared
    if evidence.rank > policy.planned_versions:
        yield "alpha", _rank(policy, evidence)
    for place, slice_ in enumerate(evidence.search.found):
        one = slice_.comparison
        values = f"{number(one.challenger)} against {number(one.champion)} on {one.n} rows"
        text = f"{slice_.name} got worse, {values} (p = {slice_.p:.2g}, adjusted)"
        about = "found slice" if place else "worst slice"
        yield about, f"found by searching {evidence.search.searched} parts: {text}"


def _rank(policy: GatePolicy, evidence: GateEvidence) -> str:
    alpha, planned = policy.alpha_of(evidence.rank), policy.planned_versions
    return (
        f"this is the {ordinal(evidence.rank)} version judged on these rows, {planned} planned: it may err with a "
        f"chance of {number(alpha)}; newer rows bring a new alpha"
    )
