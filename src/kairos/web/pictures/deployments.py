"""Posts that mark when the live version changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import altair as alt

from kairos.app.story import DecisionLine, Story
from kairos.web.palette import INK, ORANGE, Colour
from kairos.web.pictures.layout import stagger
from kairos.web.pictures.picture import data, millis, text_width, time_axis, x_pixel
from kairos.web.words import version_text

__all__ = ["Change", "changes", "posts"]

_ROW = 15  # pixels


class Change(NamedTuple):
    """Which version answers users became different."""

    at: datetime
    label: str
    is_setback: bool
    """Whether a version was taken back."""


def changes(decisions: Sequence[DecisionLine]) -> list[Change]:
    """Versions that went live, and versions that were rolled back after they had answered users, in the order of time.

    A version that returns because another was rolled back is no change of its own.
    """
    found: list[Change] = []
    answered: set[str] = set()
    lived: set[str] = set()
    for decision in decisions:
        if decision.stage == "live" and decision.subject not in lived:
            lived.add(decision.subject)
            found.append(Change(decision.at, version_text(decision.subject), False))
        elif decision.stage == "rolled_back" and decision.subject in answered:
            found.append(Change(decision.at, f"{version_text(decision.subject)} rolled back", True))
        if decision.stage in ("canary", "live"):
            answered.add(decision.subject)
    return sorted(found, key=lambda change: change.at)


def posts(story: Story, height: float) -> list[Any]:
    """Layers for a chart over the story's span: a post for each change, and its label above the plot."""
    shown = [c for c in changes(story.decisions) if story.span.start <= c.at <= story.span.end]
    rows = stagger([(x_pixel(c.at, story.span), text_width(c.label) + 8) for c in shown])
    layers = []
    for row in sorted(set(rows)):
        for is_setback, colour in ((False, INK), (True, ORANGE)):
            here = [c for c, r in zip(shown, rows, strict=True) if r == row and c.is_setback == is_setback]
            if here:
                layers += _layers(here, story, height, top=-_ROW * (row + 1), colour=colour)
    return layers


def _layers(shown: Sequence[Change], story: Story, height: float, *, top: float, colour: Colour) -> list[Any]:
    base = alt.Chart(data({"at": millis(c.at), "label": c.label} for c in shown)).encode(x=time_axis(story.span))
    post = base.mark_rule(color=colour.light, strokeWidth=1, opacity=0.55)
    label = base.mark_text(align="left", baseline="top", dx=3, color=colour.light, fontSize=11)
    return [
        post.encode(y=alt.value(top), y2=alt.value(height)),
        label.encode(y=alt.value(top), text="label:N"),
    ]
