"""A verdict in full, for the statistician: data, estimators, intervals, assumptions, and what would change it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kairos.gates.case import GateCase
from kairos.gates.policy import MetricRule
from kairos.gates.saying import level, number
from kairos.gates.screen import cost_text
from kairos.stats.comparison import Comparison
from kairos.stats.samplesize import provable_margin, rows_for_margin

__all__ = ["explanation"]

_METHODS = {
    "t": "mean of the paired differences, t bounds",
    "tango": "difference of two paired shares, Tango's score bounds (1998); the own share by Clopper and Pearson",
    "delta": "difference of two root mean squared errors, by the delta method on their squares, t bounds",
    "delong": "difference of two areas under the ROC curve, DeLong's variance (1988)",
    "cells": "difference of a metric of two confusion tables, percentiles of 2,000 multinomial draws of their cells",
    "bootstrap": "difference of a function of truth and answers, percentiles of 2,000 paired resamples",
    "studentised": "difference of a function of truth and answers, studentised bounds of 2,000 paired resamples",
    "betting": "mean of bounded paired differences, bounds by betting (Waudby-Smith and Ramdas 2024), for any n",
}
_TIES = {
    "independent": "rows are independent of each other",
    "times": (
        "rows of one moment are one block; neighbouring moments depend: variance of the lowest frequencies, "
        "equally weighted cosines"
    ),
    "entities": "rows of one entity are one block, and entities are independent: cluster-robust variance",
    "times and entities": (
        "rows of one entity, and rows near in time, depend: both variances added, less what they share"
    ),
}


def explanation(case: GateCase) -> list[tuple[str, list[str]]]:
    """Sections with their lines: Markdown and the terminal lay them out."""
    sections = [
        ("Data", list(_data(case))),
        ("Comparisons", [line for rule in case.policy.rules for line in _comparison(case, rule)]),
        ("Slices", list(_slices(case))),
        ("Answers", list(_answers(case))),
        ("Groups", [line.sentence for line in case.decision.lines if line.concern == "groups"]),
        ("Checks and cost", list(_checks(case))),
        ("Assumptions", list(_assumptions(case))),
        ("What would change the verdict", list(_changes(case))),
    ]
    return [(title, lines) for title, lines in sections if lines]


def _data(case: GateCase) -> Iterator[str]:
    evidence, whole = case.evidence, case.evidence.overall
    yield f"{whole.n} rows of the table {evidence.rows_digest}, held out and fresh to both"
    if evidence.oldest is not None:
        yield f"from {evidence.oldest} to {evidence.freshest}"
    if evidence.rows_per_day is not None:
        late = f", known {number(evidence.label_delay_days)} days later" if evidence.label_delay_days else ""
        yield f"{number(evidence.rows_per_day)} rows with a known truth a day at present{late}"
    if evidence.undeclared is not None:
        yield evidence.undeclared
    alpha, planned = case.policy.alpha_of(evidence.rank), case.policy.planned_versions
    yield (
        f"version number {evidence.rank} that is judged on these rows, {planned} planned; it may pass wrongly with a "
        f"chance of {number(alpha)}"
    )


def _comparison(case: GateCase, rule: MetricRule) -> Iterator[str]:
    metric, one, policy = case.policy.known(rule.metric), case.evidence.metrics[rule.metric], case.policy
    goal = 0.0 if rule.require == "superior" else -rule.margin.resolve(one.champion)
    asked = "above 0 (superior)" if rule.require == "superior" else f"above {number(goal)} (not worse by {rule.margin})"
    yield f"{metric.title} ({metric.better} is better): {number(one.challenger)} against {number(one.champion)}"
    yield (
        f"  difference in favour of the version {number(one.difference)}, {level(policy.alpha)} interval "
        f"{number(one.lower)} to {number(one.upper)}, standard error {number(one.se)}, asked to be {asked}"
    )
    yield (
        f"  p = {one.p_above(goal):.3g} against not being what is asked; p = {one.p_above(0.0):.3g} against not being "
        f"better; p = {one.p_below(0.0):.3g} against not being worse"
    )
    yield f"  {_METHODS.get(one.method, one.method)}; {_freedom(one)}; the two differ on {one.discordant} rows"
    if math.isfinite(one.own_lower) and math.isfinite(one.own_upper):
        yield f"  the version's own value is between {number(one.own_lower)} and {number(one.own_upper)}"
    if one.rarest is not None:
        yield f"  {one.rarest} rows of the rarest class that it rests on"
    if math.isfinite(one.se):
        margin = provable_margin(one.n, one.sd, policy.alpha_of(case.evidence.rank))
        yield f"  with 80 % power these rows prove a margin of {number(margin)}"


def _freedom(one: Comparison) -> str:
    df = "normal quantile" if math.isinf(one.df) else f"{one.df:.0f} degrees of freedom"
    return f"{df}, design effect {one.design_effect:.2f}, {one.block_length:.1f} rows a block"


def _slices(case: GateCase) -> Iterator[str]:
    evidence, policy = case.evidence, case.policy
    for name, one in sorted(evidence.slices.items()):
        margin = policy.margin.resolve(one.champion)
        yield (
            f"{name}: {number(one.challenger)} against {number(one.champion)}, difference {number(one.difference)} "
            f"({number(one.lower)} to {number(one.upper)}) on {one.n} rows; p = {one.p_below(-margin):.2g} against not "
            f"being worse by {number(margin)}, before Holm's correction over {len(evidence.slices)}"
        )
    search = evidence.search
    if search.searched:
        told = "; ".join(f"{found.name} (p = {found.p:.2g})" for found in search.found) or "none"
        yield f"of {search.searched} parts of the inputs, worse by the loss at a false discovery rate of 10 %: {told}"


def _answers(case: GateCase) -> Iterator[str]:
    found = case.evidence.calibration
    if found is None or not found.rows:
        return
    span = f"{number(found.bias_lower)} to {number(found.bias_upper)}"
    yield f"mean answer less mean truth: {number(found.bias)} ({span})"
    if math.isfinite(found.slope):
        span = f"{number(found.slope_lower)} to {number(found.slope_upper)}"
        yield f"truth on answer: slope {number(found.slope)} ({span}; 1 is right), intercept {number(found.intercept)}"
    yield f"mean distance of the bins (for display; above 0 by chance alone): {number(found.ece)}"
    for one in found.bins:
        yield (
            f"  answers around {number(one.predicted)}: truth {number(one.observed)} ({number(one.lower)} to "
            f"{number(one.upper)}) on {one.rows} rows"
        )


def _checks(case: GateCase) -> Iterator[str]:
    yield from (line.sentence for line in case.decision.lines if line.concern in ("checks", "cost"))
    cost = case.cost or case.evidence.cost
    if cost is not None and cost_text(cost):
        yield f"package: {cost_text(cost)}"


def _assumptions(case: GateCase) -> Iterator[str]:
    yield "neither model has learnt from these rows, and their truth will not change any more"
    yield _TIES.get(case.evidence.overall.dependence, case.evidence.overall.dependence)
    yield "one look: a verdict asked for again and again as rows come in would err more often"
    if any(rule.margin.kind == "relative" for rule in case.policy.rules):
        yield "a margin in percent is one of the other's value on these rows, taken as known"


def _changes(case: GateCase) -> Iterator[str]:
    evidence, policy, decision = case.evidence, case.policy, case.decision
    rule, one = policy.primary, evidence.overall
    yield from (f"{line.sentence}" for line in decision.lines if line.state in ("harm", "open"))
    if not math.isfinite(one.se):
        return
    alpha = policy.alpha_of(evidence.rank)
    margin = max(0.0, -one.lower)
    if rule.require == "superior" and one.p_above(0.0) > alpha:
        yield f"as a refresh (non_inferior) it would pass with a margin of more than {number(margin)}"
        yield f"to be proven better with these rows the difference would have to be about {number(_reach(one, alpha))}"
    if rule.require == "non_inferior" and one.p_above(-rule.margin.resolve(one.champion)) > alpha:
        yield f"a margin of more than {number(margin)} would be proven"
    if decision.verdict == "pass":
        goal = 0.0 if rule.require == "superior" else -rule.margin.resolve(one.champion)
        least = rows_for_margin(one.sd, one.difference - goal, alpha) if one.difference > goal else None
        if least is not None:
            yield f"with fewer than about {least} rows such a difference would usually not have been proven"


def _reach(one: Comparison, alpha: float) -> float:
    """The difference whose bound would be 0, had it the same spread."""
    return one.difference - one.lower if alpha > 0 else math.inf
