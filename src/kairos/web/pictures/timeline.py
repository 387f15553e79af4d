"""The decisions as a timeline: a row for each version, with the stages it went through and the verdicts on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import altair as alt

from kairos.app.story import DecisionLine, Story
from kairos.web.palette import BLUE, GREEN, INK, ORANGE, PAPER, SOFT
from kairos.web.pictures.picture import WIDTH, Picture, data, millis, time_axis
from kairos.web.words import count_text

__all__ = ["Stay", "stays", "timeline_picture"]

_STEP = 20  # pixels a row
_STAGES = {"shadow": 0.3, "canary": 0.6, "live": 1.0}
_ENDS = {"rejected", "rolled_back"}
_VERDICTS = {
    "pass": ("circle", GREEN),
    "hold": ("diamond", SOFT),
    "fail": ("cross", ORANGE),
    "none": ("triangle-down", INK),
}


class Stay(NamedTuple):
    """The time that a version spent in a stage in which it meets traffic."""

    subject: str
    stage: str
    start: datetime
    end: datetime


def stays(decisions: Sequence[DecisionLine], until: datetime) -> list[Stay]:
    """When which version was in shadow, in canary, and live. A version that goes live ends the stay of the one before.

    Args:
        decisions: In the order of the ledger.
        until: When a stay ends that has not ended.
    """
    found: list[Stay] = []
    present: dict[str, tuple[str, datetime]] = {}
    for decision in decisions:
        if decision.stage is None:
            continue
        model = decision.subject.partition("@")[0]
        ended = [decision.subject]
        if decision.stage == "live":
            ended += [s for s, (stage, _) in present.items() if stage == "live" and s.partition("@")[0] == model]
        for subject in dict.fromkeys(ended):
            if subject in present:
                stage, start = present.pop(subject)
                found.append(Stay(subject, stage, start, decision.at))
        if decision.stage in _STAGES:
            present[decision.subject] = (decision.stage, decision.at)
    return found + [Stay(subject, stage, start, until) for subject, (stage, start) in present.items()]


def timeline_picture(story: Story) -> Picture | None:
    """Bars for stages, marks for verdicts; ``None`` if nothing was decided."""
    span = story.span
    decided = [d for d in story.decisions if span.start <= d.at <= span.end]
    if not decided:
        return None
    rows = _rows(decided)
    bars = [s for s in stays(story.decisions, span.end) if s.subject in rows and s.end >= span.start]
    y = alt.Y("row:N", sort=rows, scale=alt.Scale(domain=rows), axis=alt.Axis(title=None, grid=True))
    layers = [_bars(bars, story, y), _marks(decided, story, y)]
    chart = (
        alt.layer(*layers)
        .resolve_scale(color="independent", shape="independent")
        .properties(width=WIDTH, height=_STEP * len(rows))
    )
    went_live = len({s.subject for s in bars if s.stage == "live"})
    failed = sum(d.stage in _ENDS for d in decided)
    return Picture(
        name="timeline",
        title="What was decided, and how each version fared",
        description=f"{count_text(len(decided), 'fact')}; {count_text(went_live, 'version')} went live, "
        f"{failed:,} rejected or rolled back. The table below lists them all.",
        chart=chart,
    )


def _rows(decided: Sequence[DecisionLine]) -> list[str]:
    """What is not about one version first, by its kind; then the versions."""
    kinds = dict.fromkeys(d.kind for d in decided if "@" not in d.subject)
    versions = {d.subject for d in decided if "@" in d.subject}
    return [*kinds, *sorted(versions, key=_number_last)]


def _number_last(subject: str) -> tuple[str, int]:
    model, _, number = subject.rpartition("@")
    return model, int(number) if number.isdecimal() else 0


def _bars(bars: Sequence[Stay], story: Story, y: Any) -> Any:
    start = story.span.start
    rows = data(
        {"row": s.subject, "stage": s.stage, "at": millis(max(s.start, start)), "end": millis(s.end)} for s in bars
    )
    scale = alt.Scale(type="ordinal", domain=list(_STAGES), range=list(_STAGES.values()))
    legend = alt.Legend(title="stage", symbolType="square", symbolFillColor=BLUE.light)
    opacity = alt.Opacity("stage:N", scale=scale, legend=legend)
    bar = alt.Chart(rows).mark_bar(size=_STEP * 0.55, color=BLUE.light)
    return bar.encode(x=time_axis(story.span), x2="end:T", y=y, opacity=opacity)


def _marks(decided: Sequence[DecisionLine], story: Story, y: Any) -> Any:
    marked = [d for d in decided if d.kind != "stage" or d.stage in _ENDS]
    rows = data(
        {
            "row": d.subject if "@" in d.subject else d.kind,
            "verdict": d.verdict or "none",
            "at": millis(d.at),
        }
        for d in marked
    )
    names = [name for name in _VERDICTS if any((d.verdict or "none") == name for d in marked)]
    shapes = alt.Scale(domain=names, range=[_VERDICTS[name][0] for name in names])
    colours = alt.Scale(domain=names, range=[_VERDICTS[name][1].light for name in names])
    legend = alt.Legend(title="verdict")
    return (
        alt.Chart(rows)
        .mark_point(size=64, filled=True, opacity=1, stroke=PAPER.light, strokeWidth=1)
        .encode(
            x=time_axis(story.span),
            y=y,
            shape=alt.Shape("verdict:N", scale=shapes, legend=legend),
            color=alt.Color("verdict:N", scale=colours, legend=legend),
        )
    )
