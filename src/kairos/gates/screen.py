"""A verdict on one screen: two sentences, a table of what was compared, and what else was looked at."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from kairos.gates.case import GateCase
from kairos.gates.evidence import PackageCost
from kairos.gates.lines import Line
from kairos.gates.picture import LEGEND, picture
from kairos.gates.saying import level, moment, number
from kairos.gates.words import two_sentences
from kairos.stats.comparison import Comparison

__all__ = ["HEAD", "cost_text", "row_of", "screen", "table_rows"]

_WIDTH = 110
_MARKS = {"ok": "ok", "harm": "FAIL", "open": "hold", "told": ""}
HEAD = ("", "version", "against", "better by", "", LEGEND, "")
"""Of the table: what, the version's value, the other's, the difference, its bounds, a picture, what that means."""


def screen(case: GateCase) -> str:
    """The verdict for a person at a terminal."""
    head = f"{case.version} against {case.against or 'the simple baseline'}: {case.decision.verdict}"
    parts = [head, "", *_paragraphs(two_sentences(case)), ""]
    parts += _table(table_rows(case), case)
    other = list(_others(case))
    parts += ["", *other] if other else []
    return "\n".join([*parts, "", *_facts(case)]).rstrip()


def table_rows(case: GateCase, *, every_slice: bool = False) -> list[tuple[str, ...]]:
    """What was compared, a row each; of slices only the three worst and those that decide something."""
    policy, evidence = case.policy, case.evidence
    by_metric = {line.about: line for line in case.decision.lines if line.concern == "metric"}
    rows = []
    for rule in policy.rules:
        one, line = evidence.metrics[rule.metric], by_metric.get(rule.metric)
        rows.append(row_of(policy.known(rule.metric).title, one, _meaning(line), _reach([one])))
    scale = _reach([evidence.overall, *evidence.slices.values()])
    if evidence.simple is not None:
        rows.append(row_of("… against the simple baseline", evidence.simple, "", scale))
    lines = {line.about: line for line in case.decision.lines if line.concern == "slice"}
    protected = {line.about: line for line in case.decision.lines if line.concern == "protected"}
    names = sorted(evidence.slices, key=lambda name: (_ratio(evidence.slices[name]), name))
    shown = [
        name
        for place, name in enumerate(names)
        if every_slice or place < 3 or name in protected or (name in lines and lines[name].state == "harm")
    ]
    for name in shown:
        meaning = _meaning(protected.get(name)) or _meaning(lines.get(name))
        rows.append(row_of(f"… where {name}", evidence.slices[name], meaning, scale))
    return rows


def row_of(what: str, one: Comparison, meaning: str, scale: float) -> tuple[str, ...]:
    """One row of the table; ``scale`` is what the ends of its picture stand for."""
    bounds = f"{number(one.lower)} to {number(one.upper)}"
    drawn = picture(one.lower, one.difference, one.upper, scale)
    return (what, number(one.challenger), number(one.champion), number(one.difference), bounds, drawn, meaning)


def cost_text(cost: PackageCost) -> str:
    """What a package costs, in a line."""
    parts = []
    if cost.size_bytes is not None:
        parts.append(f"{number(cost.size_bytes / 1e6)} MB")
    if cost.one_row_ms is not None:
        parts.append(f"{number(cost.one_row_ms)} ms for one row")
    if cost.batch_ms is not None:
        parts.append(f"{number(cost.batch_ms)} ms for 64 rows")
    return ", ".join(parts)


def _reach(some: list[Comparison]) -> float:
    """The largest bound there is, but at most twice that of the first: slices of few rows reach far."""
    ends = [max(abs(bound) for bound in (one.lower, one.upper)) for one in some]
    known = [end for end in ends if math.isfinite(end)]
    return min(max(known), 2 * known[0]) if known else 0.0


def _ratio(one: Comparison) -> float:
    """How bad a slice looks, in standard errors."""
    return one.difference / one.se if one.se > 0 else 0.0


def _meaning(line: Line | None) -> str:
    if line is None:
        return ""
    mark = _MARKS[line.state]
    return " ".join(part for part in (mark if mark != "ok" else "", line.result) if part)


def _others(case: GateCase) -> Iterator[str]:
    """What the table does not say already; of what is only told, the little that a person should see at once."""
    yield from (_wrapped(line) for line in case.decision.lines if _is_shown(line))
    groups = [line for line in case.decision.lines if line.concern == "groups"]
    quiet = [line for line in groups if line.state != "harm"]
    if quiet:
        unequal = sum(one.challenger.size > 0 for one in case.evidence.groups)
        yield f"       {len(groups)} differences between groups, {unequal} of them proven (see --explain)"
    found = len(case.evidence.search.found)
    if found > 1:
        yield f"       {found} parts of the inputs seem to have got worse (see --explain)"


def _is_shown(line: Line) -> bool:
    if line.concern == "groups":
        return line.state == "harm"
    if line.concern == "note":
        return line.about in ("worst slice", "undeclared", "alpha")
    if line.concern in ("slice", "metric"):
        return False
    return line.concern != "protected" or line.result == "no rows"


def _table(rows: Sequence[Sequence[str]], case: GateCase) -> Iterator[str]:
    head = list(HEAD)
    head[1], head[2] = case.version, case.against or "simple baseline"
    head[4] = f"({level(case.policy.alpha)})"
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        shown = [
            cell.ljust(width) if i in (0, 4, 5, 6) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield ("  " + "  ".join(shown)).rstrip()


def _wrapped(line: Line) -> str:
    mark = _MARKS[line.state]
    return textwrap.fill(line.sentence, _WIDTH, initial_indent=f"  {mark:5}", subsequent_indent=" " * 7)


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [textwrap.fill(one, _WIDTH, initial_indent="  ", subsequent_indent="  ") for one in sentences]


def _facts(case: GateCase) -> Iterator[str]:
    evidence, whole = case.evidence, case.evidence.overall
    span = ""
    if evidence.oldest is not None and evidence.freshest is not None:
        span = f" from {moment(evidence.oldest)} to {moment(evidence.freshest)}"
    tied = f"; {whole.design_effect:.1f} of them count as one" if whole.design_effect > 1.05 else ""
    yield f"  {whole.n} fresh rows{span}{tied}"
    cost = case.cost or evidence.cost
    if cost is not None and cost_text(cost):
        yield f"  package: {cost_text(cost)}"
