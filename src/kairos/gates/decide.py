"""The verdict: a pure function of policy and evidence, so that any decision of the past can be made again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from kairos.gates.demands import demand_lines
from kairos.gates.evidence import GateEvidence
from kairos.gates.lacks import lack
from kairos.gates.limits import hard_lines, limit_lines
from kairos.gates.lines import Line
from kairos.gates.notes import note_lines
from kairos.gates.policy import GatePolicy
from kairos.values import Verdict, parse_moment

__all__ = ["GateDecision", "decide"]


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
    ready_on: str | None = None
    """The day on which they will be there at the present rate, as ``2012-03-03``; ``None`` if that is not known.
    If they should be there already, it is the day of the decision."""
    lines: tuple[Line, ...] = ()
    """All that was looked at; ``sentence`` and ``reasons`` are made of it."""


def decide(policy: GatePolicy, evidence: GateEvidence) -> GateDecision:
    """Judges a version.

    ``fail`` if anything is proven bad: it cannot be used, a check of the project fails, it costs too much, a metric is
    worse or beyond its floor, a slice is worse by more than the margin, bias or a difference between groups is above
    its limit. Else ``pass`` if everything that is asked is proven; else ``hold``. Where there is too little to judge
    by, nothing that rests on rows is judged at all.
    """
    hard = hard_lines(policy, evidence)
    notes = note_lines(policy, evidence)
    if evidence.unusable is not None:
        return _decision(policy, evidence, (*hard, *notes))
    missing = lack(policy, evidence)
    soft = [missing] if missing is not None else [*demand_lines(policy, evidence), *limit_lines(policy, evidence)]
    return _decision(policy, evidence, (*hard, *soft, *notes))


def _decision(policy: GatePolicy, evidence: GateEvidence, lines: tuple[Line, ...]) -> GateDecision:
    harmful = [line for line in lines if line.state == "harm"]
    still_open = [line for line in lines if line.state == "open"]
    verdict: Verdict = "fail" if harmful else "hold" if still_open else "pass"
    first = next(iter(harmful or still_open), None)
    if first is None:
        first = next(line for line in lines if line.concern == "metric")
    needed = _needed(still_open) if verdict == "hold" else None
    return GateDecision(
        verdict=verdict,
        sentence=f"{verdict}: {first.sentence}",
        reasons=tuple(line.sentence for line in lines if line is not first),
        needed_rows=needed,
        ready_on=_ready_on(evidence, needed),
        lines=lines,
    )


def _needed(still_open: list[Line]) -> int | None:
    """As many as the most demanding asks for; ``None`` if one of them is not a matter of rows."""
    counts = [line.needed_rows for line in still_open]
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


def _ready_on(evidence: GateEvidence, needed: int | None) -> str | None:
    if needed is None or not evidence.rows_per_day or evidence.freshest is None:
        return None
    days = math.ceil(needed / evidence.rows_per_day + evidence.label_delay_days)
    try:
        day = f"{parse_moment(evidence.freshest) + timedelta(days=days):%Y-%m-%d}"
        return day if evidence.as_of is None else max(day, evidence.as_of[:10])
    except (OverflowError, ValueError):  # further off than there are days, or moments that are plain numbers
        return None
