"""What was found, drawn: each value with its bounds, beside what is tolerated, on one scale for all checks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kairos.monitor.findings import Finding
from kairos.web.drawings.canvas import Canvas, Scale, shortened
from kairos.web.palette import BLUE, INK, ORANGE, SOFT
from kairos.web.words import count_text, loss_text

__all__ = ["findings_drawing"]

_LEFT, _RIGHT, _TOP, _ROW = 270.0, 700.0, 30.0, 26.0
_FARTHEST = 100.0
"""So many times what is tolerated is as far as the scale goes."""
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def findings_drawing(findings: Sequence[tuple[str, Finding]], *, name: str) -> Canvas | None:
    """A row for each finding: its value and bounds as multiples of what is tolerated, on a log scale.

    So a share of missing values, a distance of drift and a bias can be read side by side. Where nothing is tolerated
    there is no multiple of it, and no row. Of one check on one column of one version the first is drawn.

    Args:
        findings: With the version that each is about, the latest first.
        name: Of the picture, unique on its page.

    Returns:
        ``None`` if there is nothing to draw.
    """
    rows = dict[tuple[str, str, str | None], Finding]()
    for about, finding in findings:
        if finding.threshold > 0 and math.isfinite(finding.value):
            rows.setdefault((about, finding.check, finding.column), finding)
    if not rows:
        return None
    ends = [end for one in rows.values() for end in _times(one) if 0 < end < math.inf]
    low, high = min([0.5, *ends]), max([2.0, *ends])
    scale = Scale(low=math.log(max(low, 0.1)), high=math.log(min(high, _FARTHEST)), start=_LEFT, end=_RIGHT)
    bottom = _TOP + _ROW * len(rows)
    canvas = Canvas(
        name=name, title="Last findings, beside what is tolerated", description=_description(rows), height=bottom + 44
    )
    for tick in _TICKS:
        if scale.holds(math.log(tick)):
            canvas.line((scale(math.log(tick)), _TOP - 6), (scale(math.log(tick)), bottom))
            canvas.text(scale(math.log(tick)), bottom + 12, f"{tick:g}", SOFT, anchor="middle")
    canvas.line((scale(0.0), _TOP - 6), (scale(0.0), bottom), ORANGE, thick=1.5, dash="6 3")
    canvas.text(scale(0.0), _TOP - 16, "tolerated", ORANGE, anchor="middle")
    for place, ((about, _, _), one) in enumerate(rows.items()):
        _row(canvas, about, one, scale, y=_TOP + _ROW * (place + 0.5))
    below = "times what is tolerated, log scale; bars: where the truth lies"
    canvas.text((_LEFT + _RIGHT) / 2, bottom + 32, below, SOFT, anchor="middle")
    return canvas


def _row(canvas: Canvas, about: str, one: Finding, scale: Scale, *, y: float) -> None:
    value, lower, upper = _times(one)
    colour = ORANGE if one.level == "alarm" else BLUE
    canvas.text(4, y, shortened(f"{about} {_what(one)}", 40))
    start, end = (scale(math.log(edge)) if edge > 0 else scale.start for edge in (lower, upper))
    canvas.box(start, y - 6, max(end - start, 2.0), 12, colour, opacity=0.4)
    canvas.mark(scale(math.log(value)) if value > 0 else scale.start, y, "diamond", INK, size=4)
    canvas.text(_RIGHT + 8, y, f"{loss_text(one.value)} of {loss_text(one.threshold)}", colour)


def _times(one: Finding) -> tuple[float, float, float]:
    """Value and bounds as multiples of what is tolerated; a bias counts by its size, whichever way it goes."""
    low = -math.inf if one.lower is None else one.lower
    high = math.inf if one.upper is None else one.upper
    if one.value < 0:
        low, high = -high, -low
    return abs(one.value) / one.threshold, low / one.threshold, high / one.threshold


def _what(one: Finding) -> str:
    name = one.check.replace("_", " ")
    return name if one.column is None else f"{name}: {one.column}"


def _description(rows: dict[tuple[str, str, str | None], Finding]) -> str:
    (about, _, _), worst = max(rows.items(), key=lambda row: _times(row[1])[0])
    return (
        f"{count_text(len(rows), 'finding')}. Farthest from what is tolerated is {_what(worst)} of {about}, "
        f"{loss_text(worst.value)} where {loss_text(worst.threshold)} is tolerated."
    )
