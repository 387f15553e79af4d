"""The report: a story as one HTML page with its pictures inside. It asks for nothing else: no script, no network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kairos.app.story import Story
from kairos.web.drawings.gate import gates_drawing
from kairos.web.pages import render_page
from kairos.web.pictures.answers import scatter_picture, stretch_pictures
from kairos.web.pictures.drift import drift_picture
from kairos.web.pictures.error import LINES, error_picture
from kairos.web.pictures.picture import Picture
from kairos.web.pictures.svg import draw, draw_alone
from kairos.web.pictures.timeline import timeline_picture
from kairos.web.words import count_text, day_text, loss_text, month_text

__all__ = ["render_loop_picture", "render_report"]


def render_report(story: Story) -> str:
    """The report as HTML, to be written as UTF-8. The same story always gives the same bytes."""
    kinds = Counter(decision.kind for decision in story.decisions)
    return render_page(
        "report.html",
        story=story,
        span=f"{day_text(story.span.start)} to {day_text(story.span.end)}",
        lead=_lead(story),
        widths=_widths([policy.loss for policy in story.policies]),
        sections=_sections(story),
        kinds=kinds,
        kind_classes={kind: f"kind-{number}" for number, kind in enumerate(kinds, 1)},
    )


def render_loop_picture(story: Story) -> str:
    """The error over time as an SVG file that stands alone, for a README."""
    return draw_alone(error_picture(story))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    title: str
    description: str
    svg: str
    """The template trusts it: it was parsed and written again, so it is whole and escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    heading: str
    text: str
    pictures: list[_Drawn]
    names: tuple[str, ...] = ()
    months: Sequence[tuple[str, list[float | None]]] = ()


def _sections(story: Story) -> list[_Section]:
    decided, drifted, scattered = timeline_picture(story), drift_picture(story), scatter_picture(story)
    sections = []
    if any(getattr(day, line.field) is not None for day in story.days for line in LINES):
        sections.append(
            _Section(
                heading="Error over time",
                text="The posts mark when a version went live, and when one was rolled back that had answered users.",
                pictures=[_draw(error_picture(story))],
                names=tuple(line.name for line in reversed(LINES)),
                months=_months(story),
            )
        )
    if decided:
        sections.append(
            _Section(
                heading="Decisions over time",
                text="A version answers nobody in shadow, a share of the requests in canary, and all of them live. "
                "“Hold” means that there is not enough evidence yet.",
                pictures=[_draw(decided)],
            )
        )
    gated = gates_drawing(story.gates)
    if gated:
        sections.append(
            _Section(
                heading="Verdicts",
                text="What the gate saw of each version on fresh rows, beside what was live, in percent of its error. "
                "Dashed: the most that counts as not worse.",
                pictures=[_Drawn(title=gated.title, description=gated.description, svg=gated.svg())],
            )
        )
    if scattered:
        sections.append(
            _Section(
                heading="Prediction against truth",
                text="Some weeks around changes, hour by hour. During a canary two versions take turns.",
                pictures=[_draw(picture) for picture in [*stretch_pictures(story), scattered]],
            )
        )
    if drifted:
        sections.append(
            _Section(
                heading="Drift",
                text="How far the inputs were from those that the live version had learnt from. Drift alone says "
                "nothing about the error, and is by itself no reason to retrain.",
                pictures=[_draw(drifted)],
            )
        )
    return sections


def _draw(picture: Picture) -> _Drawn:
    svg = draw(picture)
    return _Drawn(title=picture.title, description=picture.description, svg=svg)


def _lead(story: Story) -> str:
    if not story.policies:
        return ""
    ours, *others = story.policies
    deployed = count_text(ours.deployments, "deployment")
    left = count_text(ours.impossible_predictions, "impossible answer")
    if math.isnan(ours.loss):
        return f"No answer has a known truth yet; {count_text(ours.deployments, 'deployment')}. {left} left the server."
    unit = f" {story.loss_unit}" if story.loss_unit else ""
    said = f"The {story.loss} of {ours.name} was {loss_text(ours.loss)}{unit}, with {deployed}"
    compared = [
        f"that of “{other.name}” {loss_text(other.loss)}, with {count_text(other.deployments, 'deployment')}"
        for other in others
    ]
    return f"{'; '.join([said, *compared])}. {left} left the server."


def _widths(losses: Sequence[float]) -> list[str]:
    """Lengths of bars in per cent."""
    longest = max((loss for loss in losses if math.isfinite(loss)), default=0.0)
    return [f"{100 * loss / longest:.1f}" if longest > 0 and math.isfinite(loss) else "0" for loss in losses]


def _months(story: Story) -> list[tuple[str, list[float | None]]]:
    """By month: the mean of each line's daily errors, in the order of the section's names."""
    months: dict[str, list[list[float]]] = {}
    for day in story.days:
        errors = months.setdefault(month_text(day.day), [[] for _ in LINES])
        for known, line in zip(errors, reversed(LINES), strict=True):
            value = getattr(day, line.field)
            if value is not None:
                known.append(value)
    return [
        (month, [sum(known) / len(known) if known else None for known in errors]) for month, errors in months.items()
    ]
