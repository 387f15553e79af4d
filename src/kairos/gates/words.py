"""A verdict in two sentences that need no statistics: what was found, and what follows."""

from __future__ import annotations

import math
from datetime import date, datetime

from kairos.gates.case import GateCase
from kairos.gates.lines import Line
from kairos.gates.metrics import Metric
from kairos.gates.saying import number, percent
from kairos.stats.comparison import Comparison

__all__ = ["two_sentences"]


_TOO_FAR_DAYS = 365
"""A proof that is further off is not waited for."""


def two_sentences(case: GateCase) -> tuple[str, str]:
    """What was found, and what follows from it."""
    return _found(case), _follows(case)


def _found(case: GateCase) -> str:
    harmful = [line for line in case.decision.lines if line.state == "harm"]
    first = harmful[0] if harmful else None
    if first is not None and first.concern in ("usable", "checks", "cost"):
        return f"{case.short} is not fit for use: {first.sentence}."
    if case.evidence.incomparable is not None:
        return f"{case.short} cannot be compared: {case.evidence.incomparable}."
    whole = case.evidence.overall
    if not math.isfinite(whole.lower):
        return f"There is too little to compare {case.short.lower()} with {case.other} by: {whole.n} fresh rows."
    metric = case.policy.known(case.evidence.primary)
    values = f"{metric.title} {number(whole.challenger)} against {number(whole.champion)}"
    text = f"{case.short} {_compared(case, metric, whole)} on {_period(case)} ({values})"
    if first is not None and first.concern != "metric":
        return f"{text}, but {_but(first)}."
    if first is not None and first.about != case.evidence.primary:
        return f"{text}, but is {first.sentence}."
    return f"{text}{_chance(case, whole)}."


def _compared(case: GateCase, metric: Metric, one: Comparison) -> str:
    """``predicts 4 to 9 % better than version 5``."""
    alpha = case.policy.alpha_of(case.evidence.rank)
    if one.p_above(0.0) <= alpha:
        return f"predicts {_span(metric, one, one.lower, one.upper)} better than {case.other}"
    if one.p_below(0.0) <= case.policy.alpha:
        return f"predicts {_span(metric, one, -one.upper, -one.lower)} worse than {case.other}"
    if one.lower >= 0 or one.upper <= 0:  # at the level of the bounds it would be proven, at that of the verdict not
        way, low, high = ("better", one.lower, one.upper) if one.lower >= 0 else ("worse", -one.upper, -one.lower)
        return f"seems to predict {_span(metric, one, low, high)} {way} than {case.other}"
    worst, best = _size(metric, one, one.lower), _size(metric, one, one.upper)
    return f"predicts between {worst} worse and {best} better than {case.other}"


def _span(metric: Metric, one: Comparison, low: float, high: float) -> str:
    first, second = _size(metric, one, max(low, 0.0)), _size(metric, one, high)
    head, _, unit = first.partition(" ")
    return f"{head} to {second}" if second.partition(" ")[2] == unit else f"{first} to {second}"


def _size(metric: Metric, one: Comparison, value: float) -> str:
    """Of a loss in percent of the champion's, of a share in points, else as it is."""
    if metric.better == "lower" and one.champion > 0:
        return percent(value / one.champion)
    if metric.better == "higher" and metric.kind != "function":
        return f"{number(100 * abs(value))} points"
    return number(abs(value))


def _chance(case: GateCase, one: Comparison) -> str:
    alpha = case.policy.alpha_of(case.evidence.rank)
    if one.p_above(0.0) <= alpha:
        return f"; if the two were equally good, we would see this less than once in {round(1 / alpha)} times"
    if case.decision.verdict == "pass":
        margin = case.policy.margin
        return f"; up to {margin} worse counts as not worse"
    if one.p_below(0.0) <= case.policy.alpha:
        return ""
    return "; that is no proof either way"


def _but(line: Line) -> str:
    if line.concern == "slice":
        return f"predicts {line.sentence}"
    return line.sentence


def _period(case: GateCase) -> str:
    span = case.span
    if span is None:
        return f"{case.evidence.overall.n} fresh rows"
    hours = (span[1] - span[0]).total_seconds() / 3600
    length = f"{math.ceil(hours)} hours" if hours < 47 else f"{math.ceil(hours / 24)} days"
    return f"{length} of data up to {_day(span[1])}"


def _follows(case: GateCase) -> str:
    decision, goes_on = case.decision, "" if case.against is None else f", and {case.other} goes on"
    if decision.verdict == "pass":
        return "All that is asked of it is proven, so it may begin its way into production."
    if decision.verdict == "fail":
        return f"It stays out of production{goes_on}."
    still_open = [line for line in decision.lines if line.state == "open"]
    broken = [line for line in still_open if line.result == "broken"]
    if broken:
        return f"The check {broken[0].about} has to be mended, and the version judged again."
    if decision.needed_rows is None:
        return f"More rows would not prove what is asked as things look{goes_on}: it takes a better version."
    of = _among(case, [line for line in still_open if line.concern == "protected"])
    rate = case.evidence.rows_per_day
    need = f"It needs about {decision.needed_rows:,} more rows with a known truth{of}"
    if decision.ready_on is None or rate is None:
        return f"{need} before that can be decided."
    if case.evidence.as_of is not None and decision.ready_on <= case.evidence.as_of[:10]:
        return f"{need}, which at the present rate of {number(rate)} a day should be there already: judge newer rows."
    day = _day(date.fromisoformat(decision.ready_on))
    if decision.needed_rows > _TOO_FAR_DAYS * rate:
        far = f"which at the present rate of {number(rate)} a day takes until {day}"
        return f"{need}, {far}: the two are too alike to tell."
    return f"{need}, which at the present rate of {number(rate)} a day will be there on {day}."


def _among(case: GateCase, protected: list[Line]) -> str:
    """How many of the missing rows have to be of which slice, if that is asked."""
    whole, parts = case.evidence.overall, []
    for line in sorted(protected, key=lambda line: line.about):
        one = case.evidence.slices.get(line.about)
        if one is None or line.needed_rows is None or not whole.n:
            parts.append(f"enough of {line.about}")
        else:
            parts.append(f"about {math.ceil(line.needed_rows * one.n / whole.n)} of {line.about}")
    return f", among them {' and '.join(parts)}" if parts else ""


def _day(moment: date | datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
