"""Drift over time: how far the inputs were from what the live version had learnt from."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import altair as alt

from kairos.app.story import DayPoint, Story
from kairos.web.palette import BLUE, GREEN, ORANGE, PURPLE, SOFT
from kairos.web.pictures.deployments import posts
from kairos.web.pictures.picture import WIDTH, Picture, data, millis, time_axis
from kairos.web.words import count_text, day_text, loss_text

__all__ = ["drift_picture"]

_HEIGHT = 180
_OTHERS = "other inputs"
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)


def drift_picture(story: Story) -> Picture | None:
    """A bar for each measurement, coloured by the input that drifted most; ``None`` if nothing was measured.

    A bar reaches back to the measurement before, a week at most: what is measured once a week is about a week.
    """
    known = [day for day in story.days if day.drift is not None]
    if not known:
        return None
    frequent = [name for name, _ in Counter(day.drift_column or _OTHERS for day in known).most_common(len(_COLOURS))]
    names = [*frequent, *([_OTHERS] if any((day.drift_column or _OTHERS) not in frequent for day in known) else [])]
    colours = [colour.light for colour in _COLOURS[: len(frequent)]] + [SOFT.light]
    first = story.span.start.date()
    rows = data(
        {
            "at": millis(max(first, day.day - timedelta(days=6), before + timedelta(days=1))),
            "end": millis(day.day + timedelta(days=1)),
            "psi": day.drift,
            "input": day.drift_column if day.drift_column in frequent else _OTHERS,
        }
        for before, day in zip([date.min, *(day.day for day in known)], known, strict=False)
    )
    scale = alt.Scale(domain=names, range=colours[: len(names)])
    bars = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=time_axis(story.span),
            x2="end:T",
            y=alt.Y("psi:Q", axis=alt.Axis(title="population stability index (PSI)", tickCount=4)),
            y2=alt.datum(0),
            color=alt.Color("input:N", scale=scale, legend=alt.Legend(orient="bottom", title="input")),
        )
    )
    chart = alt.layer(*posts(story, _HEIGHT), bars).properties(width=WIDTH, height=_HEIGHT)
    return Picture(
        name="drift",
        title="How far the inputs had moved: the largest drift of any input",
        description=_description(known),
        chart=chart,
    )


def _description(known: list[DayPoint]) -> str:
    worst = max(known, key=lambda day: day.drift or 0.0)
    by = f", for {worst.drift_column}" if worst.drift_column else ""
    return (
        f"{count_text(len(known), 'measurement')}; the largest index is {loss_text(worst.drift)}, "
        f"on {day_text(worst.day)}{by}."
    )
