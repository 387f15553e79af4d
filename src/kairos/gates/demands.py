"""What is asked of metrics and slices: proven good, proven harmful, or neither."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kairos.gates.evidence import GateEvidence
from kairos.gates.lacks import MIN_SLICE_ROWS, few, rows_missing
from kairos.gates.lines import Line
from kairos.gates.metrics import Metric
from kairos.gates.policy import GatePolicy, MetricRule
from kairos.gates.saying import difference, number, ordinal
from kairos.stats.comparison import Comparison, t_quantile
from kairos.stats.holm import holm
from kairos.stats.samplesize import rows_for_margin

__all__ = ["demand_lines"]


def demand_lines(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """Judges every metric, its floor, and every slice.

    Non-inferiority and superiority each use all of alpha, as they are asked one after the other. The claims "worse"
    share alpha over the metrics, and over the slices, by Holm's rule. Protected slices are each proven at alpha: all
    have to be.

    References:
        Morikawa & Yoshida (1995) for the two questions in a fixed order; Holm (1979); Berger (1982).
    """
    worse = _worse(policy, evidence)
    lines = [_metric(policy, evidence, rule, p_worse=worse.get(rule.metric, 1.0)) for rule in policy.rules]
    floors = [_floor(policy, evidence, rule) for rule in policy.rules if rule.floor is not None]
    return [*lines, *floors, *_slices(policy, evidence), *_protected(policy, evidence)]


def _worse(policy: GatePolicy, evidence: GateEvidence) -> dict[str, float]:
    """P-values of "worse", adjusted over the metrics that can be judged and are not proven good enough."""
    judged = [
        rule.metric
        for rule in policy.rules
        if few(policy.known(rule.metric), evidence.metrics[rule.metric]) is None and not _is_met(policy, evidence, rule)
    ]
    adjusted = holm([evidence.metrics[name].p_below(0.0) for name in judged])
    return dict(zip(judged, adjusted.tolist(), strict=True))


def _goal(rule: MetricRule, one: Comparison) -> float:
    """What the true difference has to exceed."""
    return 0.0 if rule.require == "superior" else -rule.margin.resolve(one.champion)


def _is_met(policy: GatePolicy, evidence: GateEvidence, rule: MetricRule) -> bool:
    one = evidence.metrics[rule.metric]
    return one.p_above(_goal(rule, one)) <= policy.alpha_of(evidence.rank)


def _metric(policy: GatePolicy, evidence: GateEvidence, rule: MetricRule, *, p_worse: float) -> Line:
    metric, one = policy.known(rule.metric), evidence.metrics[rule.metric]
    found = difference(metric, one, baseline=evidence.baseline, alpha=policy.alpha)
    words = "better" if rule.require == "superior" else "not worse"
    scarce = few(metric, one)
    if scarce is not None:
        return _line("metric", rule.metric, "open", scarce[0], needed=scarce[1], result="too little")
    if _is_met(policy, evidence, rule):
        is_better = one.p_above(0.0) <= policy.alpha_of(evidence.rank)
        return _line("metric", rule.metric, "ok", f"{words}: {found}", result="better" if is_better else "not worse")
    if p_worse <= policy.alpha:
        return _line("metric", rule.metric, "harm", f"worse: {found}", result="worse")
    alpha = policy.alpha_of(evidence.rank)
    needed = rows_missing(one, _goal(rule, one), alpha)
    more = f"; about {needed} more rows would decide it" if needed else ""
    spent = "" if alpha == policy.alpha else f" ({_share(policy, evidence)})"
    sentence = f"not proven {words}: {found}{spent}{more}"
    return _line("metric", rule.metric, "open", sentence, needed=needed, result="not proven")


def _share(policy: GatePolicy, evidence: GateEvidence) -> str:
    alpha = policy.alpha_of(evidence.rank)
    return f"as the {ordinal(evidence.rank)} that is judged on these rows it may err with a chance of {number(alpha)}"


def _floor(policy: GatePolicy, evidence: GateEvidence, rule: MetricRule) -> Line:
    """The challenger's own value against the worst that is acceptable."""
    assert rule.floor is not None  # the caller has looked
    metric, one = policy.known(rule.metric), evidence.metrics[rule.metric]
    is_lower = metric.better == "lower"
    near, far = (one.own_upper, one.own_lower) if is_lower else (-one.own_lower, -one.own_upper)
    value, floor = (one.challenger, rule.floor) if is_lower else (-one.challenger, -rule.floor)
    where = "above" if is_lower else "below"
    shown, least = f"its {metric.title} is {number(one.challenger)}", f"the {number(rule.floor)} that is acceptable"
    if near <= floor:
        return _line("floor", rule.metric, "ok", f"{shown}, proven not {where} {least}")
    if far > floor:
        return _line("floor", rule.metric, "harm", f"{shown}, {where} {least}")
    se = (one.own_upper - one.own_lower) / (2 * t_quantile(1 - policy.alpha, math.inf))
    needed = None
    if value < floor and math.isfinite(se):
        needed = max(1, rows_for_margin(se * math.sqrt(one.n), floor - value, policy.alpha) - one.n)
    sentence = f"{shown} ({number(one.own_lower)} to {number(one.own_upper)}), not proven not {where} {least}"
    return _line("floor", rule.metric, "open", sentence, needed=needed)


def _slices(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """Every declared or protected slice, harmful if it is proven worse by more than the margin (Holm)."""
    metric = policy.known(policy.primary.metric)
    judged = [name for name, one in sorted(evidence.slices.items()) if _is_judged(metric, one)]
    margins = {name: policy.margin.resolve(evidence.slices[name].champion) for name in judged}
    adjusted = holm([evidence.slices[name].p_below(-margins[name]) for name in judged])
    p_values = dict(zip(judged, adjusted.tolist(), strict=True))
    lines = []
    for name, one in sorted(evidence.slices.items()):
        values = f"{number(one.challenger)} against {number(one.champion)} on {one.n} rows"
        if name not in p_values:
            lines.append(_line("slice", name, "told", f"slice {name}: {values}, too few to judge", result="too few"))
        elif p_values[name] <= policy.alpha:
            sentence = (
                f"worse on the slice {name}: {metric.title} {values}, more than the {number(margins[name])} allowed "
                f"(p = {p_values[name]:.2g})"
            )
            lines.append(_line("slice", name, "harm", sentence, result="worse"))
        else:
            lines.append(_line("slice", name, "told", f"slice {name}: {values}"))
    return sorted(lines, key=lambda line: p_values.get(line.about, 1.0))


def _is_judged(metric: Metric, one: Comparison) -> bool:
    return one.n >= MIN_SLICE_ROWS and few(metric, one) is None


def _protected(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """Each protected slice has to be proven not worse by more than the margin, itself."""
    metric, alpha = policy.known(policy.primary.metric), policy.alpha_of(evidence.rank)
    lines = []
    for name, one in _of(policy.protected, evidence.slices).items():
        scarce = few(metric, one)
        goal = -policy.margin.resolve(one.champion)
        if one.n >= MIN_SLICE_ROWS and scarce is None and one.p_above(goal) <= alpha:
            sentence = f"proven not worse on the protected slice {name}"
            lines.append(_line("protected", name, "ok", sentence, result="not worse"))
            continue
        missing = rows_missing(one, goal, alpha)
        if scarce is not None or one.n < MIN_SLICE_ROWS:
            missing = max(MIN_SLICE_ROWS - one.n, missing or 0, (scarce[1] or 0) if scarce else 0) or None
        total = None if missing is None or not one.n else math.ceil(missing * evidence.overall.n / one.n)
        sentence = (
            f"not proven not worse on the protected slice {name}: {metric.title} {number(one.challenger)} against "
            f"{number(one.champion)} on {one.n} rows"
        )
        lines.append(_line("protected", name, "open", sentence, needed=total, result="not proven"))
    there = {name.partition("=")[0] for name in evidence.slices} | set(evidence.slices)
    for name in policy.protected:
        if name not in there:
            lines.append(_line("protected", name, "open", f"no rows of the protected slice {name}", result="no rows"))
    return lines


def _of(protected: tuple[str, ...], slices: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """The slices that a name protects: one, or all levels of a column."""
    return {
        name: one for name, one in sorted(slices.items()) if name in protected or name.partition("=")[0] in protected
    }


def _line(concern: str, about: str, state: str, sentence: str, *, needed: int | None = None, result: str = "") -> Line:
    return Line(concern=concern, about=about, state=state, sentence=sentence, needed_rows=needed, result=result)  # type: ignore[arg-type]
