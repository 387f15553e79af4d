"""Error over time: what Kairos did, beside what never and what always changing the model would have given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import altair as alt

from kairos.app.story import DayPoint, Story
from kairos.web.palette import BLUE, GREEN, ORANGE, Colour
from kairos.web.pictures.deployments import changes, posts
from kairos.web.pictures.layout import spread
from kairos.web.pictures.picture import LABEL_SIZE, WIDTH, Picture, data, millis, time_axis
from kairos.web.words import count_text, loss_text

__all__ = ["LINES", "Line", "error_picture", "trailing_mean"]

_HEIGHT = 300
_DAYS = 7


class Line(NamedTuple):
    """One policy's way through the picture."""

    field: str
    """Of ``DayPoint``."""
    name: str
    colour: Colour
    dash: tuple[int, ...]
    thickness: float


LINES = (
    Line("never_loss", "never retrain", ORANGE, (7, 3), 1.5),
    Line("weekly_loss", "retrain weekly", GREEN, (2, 2), 1.5),
    Line("kairos_loss", "Kairos", BLUE, (), 2.5),
)
"""The last one is drawn on top."""


def trailing_mean(days: Sequence[DayPoint], field: str, length: int = _DAYS) -> list[tuple[date, float]]:
    """For each day on which something is known: the mean of what is known of it and of the days before it.

    Args:
        days: In the order of time; days may be missing.
        field: Which error.
        length: Days that a mean covers.
    """
    known = [(day.day, value) for day in days if (value := getattr(day, field)) is not None]
    means = []
    first = 0
    for last, (day, _) in enumerate(known):
        while known[first][0] <= day - timedelta(days=length):
            first += 1
        recent = [value for _, value in known[first : last + 1]]
        means.append((day, sum(recent) / len(recent)))
    return means


def error_picture(story: Story) -> Picture:
    """Three lines, with the live model's changes marked."""
    paths = [(line, means) for line in LINES if (means := trailing_mean(story.days, line.field))]
    top = max((mean for _, means in paths for _, mean in means), default=1.0) * 1.08 or 1.0
    lines = [_line(line, means, story, top) for line, means in paths]
    chart = alt.layer(*posts(story, _HEIGHT), *lines, *_names(paths, top)).properties(width=WIDTH, height=_HEIGHT)
    return Picture(
        name="error",
        title=f"How wrong the predictions were: {story.loss}, {_DAYS}-day mean",
        description=_description(story, paths),
        chart=chart,
    )


def _line(line: Line, means: Sequence[tuple[date, float]], story: Story, top: float) -> Any:
    rows = data({"at": millis(day), "error": round(mean, 4)} for day, mean in means)
    axis = alt.Axis(title=story.measured_in, tickCount=6)
    return (
        alt.Chart(rows)
        .mark_line(color=line.colour.light, strokeWidth=line.thickness, strokeDash=list(line.dash))
        .encode(
            x=time_axis(story.span),
            y=alt.Y("error:Q", scale=alt.Scale(domain=[0, top], nice=False), axis=axis),
        )
    )


def _names(paths: Sequence[tuple[Line, Sequence[tuple[date, float]]]], top: float) -> list[Any]:
    """The lines' names, to the right of where they end."""
    ends = spread([_HEIGHT * (1 - means[-1][1] / top) for _, means in paths], LABEL_SIZE + 4)
    return [
        alt.Chart(data([{"name": line.name}]))
        .mark_text(align="left", color=line.colour.light, fontWeight="bold" if line is LINES[-1] else "normal")
        .encode(x=alt.value(WIDTH + 6), y=alt.value(end), text="name:N")
        for (line, _), end in zip(paths, ends, strict=True)
    ]


def _description(story: Story, paths: Sequence[tuple[Line, Sequence[tuple[date, float]]]]) -> str:
    ends = [
        f"{line.name} goes from {loss_text(means[0][1])} to {loss_text(means[-1][1])}, "
        f"at worst {loss_text(max(mean for _, mean in means))}"
        for line, means in reversed(paths)
    ]
    changed = changes(story.decisions)
    setbacks = sum(change.is_setback for change in changed)
    lived = count_text(len(changed) - setbacks, "version was", "versions were")
    back = f"{setbacks:,} rolled back after they had answered users"
    return f"{story.measured_in}: {'; '.join(ends)}. {lived} live, {back}."
