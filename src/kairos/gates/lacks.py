"""Where there is too little to judge by: what is too little to pass is too little to fail."""

from __future__ import annotations

import math

from kairos.gates.evidence import GateEvidence
from kairos.gates.lines import Line
from kairos.gates.metrics import Metric
from kairos.gates.policy import GatePolicy
from kairos.stats.comparison import Comparison
from kairos.stats.samplesize import rows_for_margin

__all__ = ["MIN_SLICE_ROWS", "few", "lack", "rows_missing"]

MIN_SLICE_ROWS = 30
"""A slice of fewer rows is told, and stops nothing."""
_MIN_DISCORDANT = 30
"""With fewer rows on which two classifiers differ, bounds that are no score bounds cannot be trusted."""
_MIN_CLASS = 100
"""… nor with fewer rows of a class that the metric conditions on."""


def lack(policy: GatePolicy, evidence: GateEvidence) -> Line | None:
    """Why nothing at all can be judged, if so."""
    whole = evidence.overall
    if evidence.incomparable is not None:
        return _open(evidence.incomparable, None)
    if whole.n < policy.min_rows:
        goal = 0.0 if policy.require == "superior" else -policy.margin.resolve(whole.champion)
        missing = max(policy.min_rows - whole.n, rows_missing(whole, goal, policy.alpha_of(evidence.rank)) or 0)
        sentence = f"too little data: {whole.n} fresh rows, at least {policy.min_rows} are asked for"
        return _open(sentence, missing)
    found = [*evidence.metrics.values(), *evidence.slices.values()]
    if any(_holds_nan(one) for one in found):
        return _open("the evidence holds numbers that are not numbers", None)
    return None


def few(metric: Metric, one: Comparison) -> tuple[str, int | None] | None:
    """Why the bounds of one metric cannot be trusted, if so, and how many rows are missing."""
    needs_difference = metric.kind == "classes" or metric.name == "zero_one"
    if needs_difference and one.method != "tango" and one.discordant < _MIN_DISCORDANT:
        missing = math.ceil(one.n * (_MIN_DISCORDANT - one.discordant) / one.discordant) if one.discordant else None
        what = f"the two differ on {one.discordant} rows, at least {_MIN_DISCORDANT} are asked for"
        return f"too little data: {what}", missing
    if one.rarest is not None and one.rarest < _MIN_CLASS:
        missing = math.ceil(one.n * (_MIN_CLASS - one.rarest) / one.rarest) if one.rarest else None
        what = "answers of the class" if metric.conditions_on == "answers" else "rows of the rarest class"
        return f"too little data: {one.rarest} {what} that {metric.title} rests on, at least {_MIN_CLASS}", missing
    return None


def rows_missing(one: Comparison, goal: float, alpha: float) -> int | None:
    """Rows still missing for a proof with 80 % power, if what is seen stays so; ``None`` if it would never come."""
    distance = one.difference - goal
    if not (math.isfinite(one.se) and distance > 0):
        return None
    return max(1, rows_for_margin(one.sd, distance, alpha) - one.n)


def _holds_nan(one: Comparison) -> bool:
    numbers = (one.champion, one.challenger, one.difference, one.lower, one.upper, one.se, *one.curve)
    return any(math.isnan(x) for x in numbers)


def _open(sentence: str, needed: int | None) -> Line:
    return Line(concern="enough", about="", state="open", sentence=sentence, needed_rows=needed, result="too little")
