"""What is asked beside losses: the project's own checks, what a package costs, bias, and differences between groups."""

from __future__ import annotations

from collections.abc import Iterator

from kairos.gates.evidence import CheckResult, GateEvidence, GroupFound
from kairos.gates.lines import Line
from kairos.gates.policy import GatePolicy
from kairos.gates.saying import number

__all__ = ["hard_lines", "limit_lines"]

_BYTES_PER_MB = 1e6


def hard_lines(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """What needs no evidence from many rows: usable, the project's own checks, size and latency."""
    lines = []
    if evidence.unusable is not None:
        lines.append(Line(concern="usable", about="", state="harm", sentence=evidence.unusable))
    return [*lines, *(_check(one) for one in evidence.checks), *_cost(policy, evidence)]


def limit_lines(policy: GatePolicy, evidence: GateEvidence) -> list[Line]:
    """Bias and differences between groups; harmful where they are proven to be above their limit."""
    return [*_bias(policy, evidence), *(_group(policy, one) for one in evidence.groups)]


def _check(one: CheckResult) -> Line:
    if one.state == "passed":
        return Line(concern="checks", about=one.name, state="ok", sentence=f"the check {one.name} passed")
    if one.state == "broken":
        return Line(
            concern="checks",
            about=one.name,
            state="open",
            sentence=f"the check {one.name} could not be carried out: {one.message}",
            result="broken",
        )
    return Line(
        concern="checks",
        about=one.name,
        state="harm",
        sentence=f"the check {one.name} failed: {one.message}",
        result="failed",
    )


def _cost(policy: GatePolicy, evidence: GateEvidence) -> Iterator[Line]:
    cost = evidence.cost
    size = None if cost is None or cost.size_bytes is None else cost.size_bytes / _BYTES_PER_MB
    for about, value, limit, unit in (
        ("size", size, policy.max_size_mb, "MB"),
        ("latency", None if cost is None else cost.one_row_ms, policy.max_latency_ms, "ms for one row"),
    ):
        if limit is None:
            continue
        if value is None:
            yield Line(concern="cost", about=about, state="open", sentence=f"the package's {about} was not measured")
        elif value > limit:
            sentence = f"the package's {about} is {number(value)} {unit}, more than the {number(limit)} allowed"
            yield Line(concern="cost", about=about, state="harm", sentence=sentence)
        else:
            sentence = f"the package's {about} is {number(value)} {unit}, within the {number(limit)} allowed"
            yield Line(concern="cost", about=about, state="ok", sentence=sentence)


def _bias(policy: GatePolicy, evidence: GateEvidence) -> Iterator[Line]:
    found = evidence.calibration
    if found is None or not found.rows:
        return
    way = "too high" if found.bias >= 0 else "too low"
    low, high = sorted((abs(found.bias_lower), abs(found.bias_upper)))
    if found.bias_lower <= 0 <= found.bias_upper:
        span = f"{number(found.bias_lower)} to {number(found.bias_upper)}"
        sentence = f"its answers are {number(found.bias)} off the truth on average ({span}), which may be nothing"
    else:
        sentence = f"its answers are {number(abs(found.bias))} {way} on average ({number(low)} to {number(high)})"
    if policy.bias_limit is None:
        yield Line(concern="bias", about="", state="told", sentence=sentence)
        return
    limit = policy.bias_limit.resolve(found.mean_truth)
    if max(found.bias_lower, -found.bias_upper) > limit:
        text = f"{sentence}, more than the {number(limit)} allowed"
        yield Line(concern="bias", about="", state="harm", sentence=text, result="biased")
    else:
        text = f"{sentence}; not proven to be more than the {number(limit)} allowed"
        yield Line(concern="bias", about="", state="ok", sentence=text)


def _group(policy: GatePolicy, one: GroupFound) -> Line:
    found = one.challenger
    about = f"{one.column}={one.level}"
    before = "" if one.champion is None else f"; the champion's was {number(one.champion)}"
    sentence = (
        f"{one.measure.replace('_', ' ')} of {about} less that of {one.column}={one.reference}: "
        f"{number(found.difference)} ({number(found.lower)} to {number(found.upper)}) on {found.rows} and "
        f"{found.reference_rows} rows{before}"
    )
    limit = policy.group_limits.get(one.measure)
    if limit is None:
        return Line(concern="groups", about=about, state="told", sentence=sentence)
    if found.size > limit:
        text = f"{sentence}, proven more than the {number(limit)} allowed"
        return Line(concern="groups", about=about, state="harm", sentence=text, result="unequal")
    text = f"{sentence}; not proven to be more than the {number(limit)} allowed"
    return Line(concern="groups", about=about, state="ok", sentence=text)
