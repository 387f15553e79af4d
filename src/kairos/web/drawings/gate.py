"""A gate's verdict drawn: one bar for everybody, and every comparison with its bounds for the statistician."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kairos.app.story import GateLine
from kairos.gates.case import GateCase
from kairos.gates.lines import Line, State
from kairos.gates.margin import Margin
from kairos.gates.saying import level, number, percent
from kairos.gates.words import two_sentences
from kairos.stats.comparison import Comparison
from kairos.web.drawings.canvas import Canvas, Scale, shortened
from kairos.web.palette import BLUE, GREEN, INK, ORANGE, SOFT, Colour
from kairos.web.words import day_text

__all__ = ["ForestRow", "bar_drawing", "forest_drawing", "forest_rows", "gates_drawing", "groups_drawing"]

_ROW = 24
_LABELS = 250
_FIGURES = 250
_STATES: dict[str, Colour] = {"ok": GREEN, "harm": ORANGE, "open": SOFT, "told": BLUE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One comparison, in percent of the other's value, so that metrics of any unit share an axis; above 0 is better."""

    label: str
    n: int
    difference: float
    lower: float
    upper: float
    margin: float | None
    """How much worse still counts as not worse, 0 or more; ``None``: nothing is asked."""
    state: State
    """Of the line that it decided: ``ok``, ``harm``, ``open`` or ``told``."""
    result: str
    is_main: bool = False


def bar_drawing(case: GateCase) -> Canvas | None:
    """How much better or worse the version is, as one bar with what is asked; ``None`` if nothing can be compared."""
    row = next(iter(forest_rows(case)), None)
    if row is None:
        return None
    found, _ = two_sentences(case)
    margin = row.margin or 0.0
    scale = _scale([row.lower, row.upper, row.difference, -margin, 0.0], 60, 800)
    canvas = Canvas(name="bar", title=f"{case.short} against {case.other}", description=found, height=132)
    top, middle, bottom = 30.0, 58.0, 92.0
    canvas.box(scale.start, top, scale(-margin) - scale.start, bottom - top, ORANGE, opacity=0.1)
    canvas.box(scale(0.0), top, scale.end - scale(0.0), bottom - top, GREEN, opacity=0.1)
    canvas.across(scale, top=top, bottom=bottom, written=_percent)
    canvas.line((scale(0.0), top - 6), (scale(0.0), bottom), INK, thick=1.5)
    canvas.text(scale(0.0) - 8, 16, "◀ worse", ORANGE, anchor="end")
    canvas.text(scale(0.0) + 8, 16, "better ▶", GREEN)
    if margin > 0:
        canvas.line((scale(-margin), top), (scale(-margin), bottom), SOFT, dash="4 3")
    colour = _STATES[row.state]
    canvas.box(scale(row.lower), middle - 8, scale(row.upper) - scale(row.lower), 16, colour, opacity=0.55)
    canvas.mark(scale(row.difference), middle, "diamond", INK)
    tail = f"; the dashed line, {_percent(-margin)}, is the most that counts as not worse" if margin > 0 else ""
    canvas.text(430, bottom + 30, f"In percent of {case.other}'s {_metric(case)}{tail}", SOFT, anchor="middle")
    return canvas


def forest_drawing(case: GateCase) -> Canvas | None:
    """Every metric and slice with its bounds, margin, rows and result; ``None`` if nothing can be compared."""
    rows = forest_rows(case)
    if not rows:
        return None
    scale = _reach(rows)
    worst = min(rows, key=lambda row: row.lower)
    canvas = _forest(
        "forest",
        f"Every comparison of {case.version} with its {level(case.policy.alpha)} interval",
        f"{len(rows)} comparisons, in percent of the other's value; the least favourable is {worst.label}, "
        f"{_percent(worst.lower)} to {_percent(worst.upper)} on {worst.n:,} rows.",
        rows,
        scale,
        written=_percent,
    )
    canvas.text(scale(0.0) - 8, 12, "◀ worse", ORANGE, anchor="end")
    canvas.text(scale(0.0) + 8, 12, "better ▶", GREEN)
    return canvas


def groups_drawing(case: GateCase) -> Canvas | None:
    """Differences of treatment between groups, with their limits; ``None`` if none is told."""
    limits, rows = case.policy.group_limits, []
    for one in case.evidence.groups:
        found, limit = one.challenger, limits.get(one.measure)
        if not (math.isfinite(found.lower) and math.isfinite(found.upper)):
            continue
        is_harm = limit is not None and found.size > limit
        rows.append(
            ForestRow(
                label=f"{one.measure.replace('_', ' ')}, {one.column}={one.level} less {one.reference}",
                n=found.rows,
                difference=found.difference,
                lower=found.lower,
                upper=found.upper,
                margin=limit,
                state="harm" if is_harm else "told" if limit is None else "ok",
                result="unequal" if is_harm else "",
            )
        )
    if not rows:
        return None
    proven = sum(row.lower > 0 or row.upper < 0 for row in rows)
    scale = _reach(rows)
    text = f"{len(rows)} differences between groups, {proven} of them proven; dashed lines are the limits."
    canvas = _forest("groups", "Differences between groups", text, rows, scale, written=number, both_sides=True)
    canvas.text(scale(0.0), 12, "no difference", SOFT, anchor="middle")
    return canvas


def gates_drawing(lines: Sequence[GateLine]) -> Canvas | None:
    """Every version that a gate judged, a row each, in the order of time; ``None`` without any."""
    states: dict[str, State] = {"pass": "ok", "fail": "harm", "hold": "open"}
    rows = [
        ForestRow(
            label=f"{line.version}, {day_text(line.at)}",
            n=line.n,
            difference=line.difference,
            lower=line.lower,
            upper=line.upper,
            margin=line.margin,
            state=states[line.verdict],
            result=line.verdict,
        )
        for line in lines
    ]
    if not rows:
        return None
    told = "; ".join(f"{sum(line.verdict == v for line in lines)} {v}" for v in ("pass", "hold", "fail"))
    first = next((row for row in rows[1:]), rows[0])  # the first one is beside the simple baseline, and far off
    scale = _reach([first, *rows])
    canvas = _forest("gates", "Every version that met the gate", f"{told}.", rows, scale, written=_percent)
    canvas.text(scale(0.0) - 8, 12, "◀ worse", ORANGE, anchor="end")
    canvas.text(scale(0.0) + 8, 12, "better ▶", GREEN)
    return canvas


def forest_rows(case: GateCase) -> list[ForestRow]:
    """The metrics that are asked for, the first one first; then the slices, the worst first."""
    policy, evidence, rows = case.policy, case.evidence, []
    lines = {(line.concern, line.about): line for line in case.decision.lines}
    for rule in policy.rules:
        title = policy.known(rule.metric).title
        line = lines.get(("metric", rule.metric))
        rows.append(_row(title, evidence.metrics.get(rule.metric), rule.margin, line, is_main=True))
    if evidence.simple is not None:
        rows.append(_row("against the simple baseline", evidence.simple, None, None))
    slices = []
    for name, one in evidence.slices.items():
        line = lines.get(("protected", name)) or lines.get(("slice", name))
        slices.append(_row(name, one, policy.margin, line))
    found = sorted((row for row in slices if row is not None), key=lambda row: (row.lower, row.label))
    return [*(row for row in rows if row is not None), *found]


def _row(
    label: str, one: Comparison | None, margin: Margin | None, line: Line | None, *, is_main: bool = False
) -> ForestRow | None:
    """``None`` if there is no interval, or nothing to be in percent of."""
    if one is None or not (math.isfinite(one.lower) and math.isfinite(one.upper) and one.champion):
        return None
    unit = 100 / abs(one.champion)
    return ForestRow(
        label=label,
        n=one.n,
        difference=one.difference * unit,
        lower=one.lower * unit,
        upper=one.upper * unit,
        margin=None if margin is None else margin.resolve(one.champion) * unit,
        state="told" if line is None else line.state,
        result="" if line is None else line.result,
        is_main=is_main,
    )


def _forest(
    name: str,
    title: str,
    description: str,
    rows: Sequence[ForestRow],
    scale: Scale,
    *,
    written: Callable[[float], str],
    both_sides: bool = False,
) -> Canvas:
    top = 28.0
    bottom = top + _ROW * len(rows)
    canvas = Canvas(name=name, title=title, description=description, height=bottom + 28)
    canvas.across(scale, top=top, bottom=bottom, written=written)
    canvas.line((scale(0.0), top - 4), (scale(0.0), bottom), INK)
    canvas.text(canvas.width - 150, 12, "rows", SOFT, anchor="end")
    for place, row in enumerate(rows):
        y = top + _ROW * (place + 0.5)
        colour = _STATES[row.state]
        canvas.text(4, y, shortened(row.label, 40), INK if row.is_main else SOFT, bold=row.is_main)
        for side in (-1, 1) if both_sides else (-1,):
            if row.margin is not None and scale.holds(side * row.margin):
                at = scale(side * row.margin)
                canvas.line((at, y - _ROW / 2), (at, y + _ROW / 2), SOFT, thick=1.5, dash="3 2")
        canvas.line((scale(row.lower), y), (scale(row.upper), y), colour, thick=4 if row.is_main else 2)
        for end, sign in ((row.lower, "◂"), (row.upper, "▸")):
            if not scale.holds(end):
                canvas.text(scale(end), y, sign, colour, anchor="middle")
        if scale.holds(row.difference):
            canvas.mark(scale(row.difference), y, "diamond" if row.is_main else "circle", colour, size=4)
        canvas.text(canvas.width - 150, y, f"{row.n:,}", SOFT, anchor="end")
        mark = {"harm": "✚ ", "open": "◆ "}.get(row.state, "")
        canvas.text(canvas.width - 136, y, shortened(f"{mark}{row.result}", 22), colour)
    return canvas


def _reach(rows: Sequence[ForestRow]) -> Scale:
    """All intervals, but no further than three times what the first one needs: slices of few rows reach far."""
    first = max(abs(rows[0].lower), abs(rows[0].upper), *(row.margin or 0.0 for row in rows))
    ends = [end for row in rows for end in (row.lower, row.upper)]
    limits = [-(row.margin or 0.0) for row in rows]
    return _scale([0.0, *limits, *(min(max(end, -3 * first), 3 * first) for end in ends)], _LABELS, 860 - _FIGURES + 40)


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 1.0
    return Scale(low=low - room, high=high + room, start=start, end=end)


def _metric(case: GateCase) -> str:
    return case.policy.known(case.evidence.primary).title


def _percent(value: float) -> str:
    return f"{'−' if value < 0 else ''}{percent(value / 100)}"
