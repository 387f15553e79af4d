"""Prediction against truth: hour by hour over chosen stretches, and all of their hours together, version by version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import altair as alt

from kairos.app.story import HourPoint, Story
from kairos.values import Window
from kairos.web.palette import BLUE, GREEN, ORANGE, PURPLE, SOFT
from kairos.web.pictures.picture import LABEL_SIZE, WIDTH, Picture, data, millis, time_axis
from kairos.web.words import count_text, day_text, loss_text

__all__ = ["scatter_picture", "stretch_pictures", "stretches"]

_HEIGHT = 190
_COLOURS = (ORANGE, BLUE, GREEN, PURPLE)
_SIDE = 236
_CELLS = 32
_MOST_VERSIONS = 4


def stretches(hours: Sequence[HourPoint]) -> list[list[HourPoint]]:
    """Cuts hours where more than a day is missing."""
    parts: list[list[HourPoint]] = []
    for hour in hours:
        if not parts or hour.at - parts[-1][-1].at > timedelta(days=1):
            parts.append([])
        parts[-1].append(hour)
    return parts


def stretch_pictures(story: Story) -> list[Picture]:
    """One picture for each stretch: the truth as a line, and the predictions, coloured by version."""
    return [_stretch(number, part, story.unit) for number, part in enumerate(stretches(story.hours), 1)]


def _stretch(number: int, hours: Sequence[HourPoint], unit: str) -> Picture:
    versions = list(dict.fromkeys(hour.version for hour in hours))
    names = {version: f"v{version}: {_summary(hours, version)}" for version in versions}
    colours = [SOFT.light, *(_COLOURS[i % len(_COLOURS)].light for i in range(len(versions)))]
    line = alt.Color("line:N", scale=alt.Scale(domain=["truth", *names.values()], range=colours))
    axis = alt.Axis(title=unit, tickCount=4)
    days = alt.Axis(title=None, format="%-d %b", tickCount={"interval": "day", "step": 2}, labelFlush=False)
    span = Window(hours[0].at, hours[-1].at + timedelta(hours=1))
    both = {"x": time_axis(span, axis=days), "y": alt.Y("value:Q", axis=axis), "color": line}
    truth = data({"at": millis(hour.at), "value": hour.truth, "line": "truth"} for hour in hours)
    answers = data(
        {"at": millis(hour.at), "value": round(hour.prediction, 3), "line": names[hour.version], "run": run}
        for hour, run in zip(hours, _runs(hours), strict=True)
    )
    layers = [
        alt.Chart(truth).mark_line(strokeWidth=3.5, opacity=0.45).encode(**both),
        alt.Chart(answers).mark_line(strokeWidth=1.4).encode(detail="run:N", **both),
        alt.Chart(answers).mark_circle(size=7, opacity=1).encode(**both),
    ]
    title = f"Prediction and truth, {day_text(hours[0].at)} to {day_text(hours[-1].at)}"
    return Picture(
        name=f"stretch-{number}",
        title=title,
        description=f"In {unit}: " + "; ".join(names.values()) + ".",
        chart=alt.layer(*layers).properties(width=WIDTH, height=_HEIGHT),
    )


def _runs(hours: Sequence[HourPoint]) -> list[int]:
    """A number for each hour that changes when the version changes or hours are missing: where a line has to break."""
    runs = [0]
    for before, after in pairwise(hours):
        is_new = after.version != before.version or after.at - before.at > timedelta(hours=6)
        runs.append(runs[-1] + is_new)
    return runs


def _summary(hours: Sequence[HourPoint], version: int) -> str:
    misses = [abs(hour.prediction - hour.truth) for hour in hours if hour.version == version]
    return f"off by {loss_text(sum(misses) / len(misses))} on average, {count_text(len(misses), 'hour')}"


def scatter_picture(story: Story) -> Picture | None:
    """Truth across, prediction up, one square for each of the versions with most hours; ``None`` without hours."""
    hours = story.hours
    if not hours:
        return None
    top = max(0.0, *(max(hour.truth, hour.prediction) for hour in hours)) or 1.0
    versions = sorted(v for v, _ in Counter(hour.version for hour in hours).most_common(_MOST_VERSIONS))
    side = min(_SIDE, (WIDTH + 60) / len(versions) - 66)
    squares = [_square([h for h in hours if h.version == v], version=v, top=top, side=side) for v in versions]
    chart = alt.hconcat(*squares, spacing=24).resolve_scale(color="independent", opacity="independent")
    said = "; ".join(f"v{version}: {_summary(hours, version)}" for version in versions)
    return Picture(
        name="scatter",
        title="Prediction against truth, in the hours shown above",
        description=f"Points on the diagonal are right. In {story.unit}: {said}.",
        chart=chart,
    )


def _square(hours: Sequence[HourPoint], *, version: int, top: float, side: float) -> Any:
    low = min(0.0, *(hour.prediction for hour in hours), *(hour.truth for hour in hours))
    size = (top - low) / _CELLS
    cells = Counter((int((h.truth - low) / size), int((h.prediction - low) / size)) for h in hours)
    rows = data(
        {"x": low + i * size, "x2": low + (i + 1) * size, "y": low + j * size, "y2": low + (j + 1) * size, "hours": n}
        for (i, j), n in sorted(cells.items())
    )
    scale = alt.Scale(domain=[low, top], nice=False)
    axis: dict[str, Any] = {"tickCount": 4, "grid": False, "format": "~s", "titlePadding": 4}
    x = alt.X("x:Q", scale=scale, axis=alt.Axis(title="truth", **axis))
    y = alt.Y("y:Q", scale=scale, axis=alt.Axis(title="prediction", **axis))
    opacity = alt.Opacity("hours:Q", scale=alt.Scale(type="sqrt", range=[0.25, 1]), legend=None)
    squares = alt.Chart(rows).mark_rect(color=BLUE.light).encode(x=x, x2="x2:Q", y=y, y2="y2:Q", opacity=opacity)
    ends = data([{"x": low, "y": low}, {"x": top, "y": top}])
    diagonal = alt.Chart(ends).mark_line(color=SOFT.light, strokeWidth=1, strokeDash=[3, 3]).encode(x=x, y=y)
    title = alt.TitleParams(f"v{version}", subtitle=_summary(hours, version).split(", "), fontSize=LABEL_SIZE)
    return alt.layer(diagonal, squares).properties(width=side, height=side, title=title)
