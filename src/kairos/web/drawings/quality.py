"""The live version's loss, day by day, with the band that is tolerated and what was found."""

from __future__ import annotations

from kairos.app.quality import Quality
from kairos.web.drawings.canvas import Canvas, Scale
from kairos.web.palette import BLUE, GREEN, INK, ORANGE, SOFT
from kairos.web.words import count_text, day_text, loss_text

__all__ = ["quality_drawing"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 700.0, 24.0, 190.0


def quality_drawing(quality: Quality, *, name: str) -> Canvas | None:
    """A line through the days, a band up to what is tolerated, a mark for each finding; ``None`` without days.

    Args:
        quality: Of the live version.
        name: Of the picture, unique on its page.
    """
    days = quality.days
    if not days:
        return None
    highest = max([*(mean for _, mean, _ in days), quality.tolerated or 0.0]) * 1.15 or 1.0
    upward = Scale(low=0.0, high=highest, start=_BOTTOM, end=_TOP)
    first, last = days[0][0].timestamp(), max([days[-1][0], *(at for at, _ in quality.findings)]).timestamp()
    across = Scale(low=first, high=max(last, first + 60), start=_LEFT + 8, end=_RIGHT)
    alarms = sum(finding.level == "alarm" for _, finding in quality.findings)
    canvas = Canvas(
        name=name,
        title=f"How wrong {quality.version} was, day by day",
        description=_description(quality, alarms),
        height=_BOTTOM + 40,
    )
    canvas.upwards(upward, left=_LEFT, right=_RIGHT, written=loss_text)
    if quality.tolerated is not None:
        y = upward(quality.tolerated)
        canvas.box(_LEFT, y, _RIGHT - _LEFT, _BOTTOM - y, GREEN, opacity=0.1)
        canvas.line((_LEFT, y), (_RIGHT, y), ORANGE, thick=1.5, dash="6 3")
        canvas.text(_RIGHT + 6, y, "tolerated", ORANGE)
    if quality.usual is not None:
        canvas.line((_LEFT, upward(quality.usual)), (_RIGHT, upward(quality.usual)), GREEN, dash="2 3")
        canvas.text(_RIGHT + 6, max(upward(quality.usual), upward(quality.tolerated or 0.0) + 15), "holdout", GREEN)
    points = [(across(at.timestamp()), upward(mean)) for at, mean, _ in days]
    canvas.path(points, BLUE, thick=2)
    for x, y in points if len(points) <= 40 else []:
        canvas.mark(x, y, "circle", BLUE, size=3)
    for at, finding in quality.findings:
        colour = ORANGE if finding.level == "alarm" else SOFT
        canvas.line((across(at.timestamp()), _TOP), (across(at.timestamp()), _BOTTOM), colour, dash="2 3")
        canvas.mark(across(at.timestamp()), _TOP - 8, "triangle", colour)
    canvas.text(_LEFT, _BOTTOM + 18, day_text(days[0][0]), SOFT)
    canvas.text(_RIGHT, _BOTTOM + 18, day_text(days[-1][0]), SOFT, anchor="end")
    canvas.text((_LEFT + _RIGHT) / 2, _BOTTOM + 32, f"{quality.loss}; triangles: findings", INK, anchor="middle")
    return canvas


def _description(quality: Quality, alarms: int) -> str:
    end, mean, rows = quality.days[-1]
    said = f"{quality.loss.capitalize()} of {loss_text(mean)} on the last day whose labels are in ({rows:,} rows up to "
    said += f"{day_text(end)})"
    if quality.tolerated is not None:
        said += f", {loss_text(quality.tolerated)} is tolerated"
        above = sum(value > quality.tolerated for _, value, _ in quality.days)
        said += f"; {above} of {len(quality.days)} days were above it"
    return f"{said}. {count_text(alarms, 'alarm')} among {count_text(len(quality.findings), 'finding')}."
