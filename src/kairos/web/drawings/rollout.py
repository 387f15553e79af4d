"""A rollout drawn: how sure it is that the new version does no harm, as the evidence grew, and what each guard says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from kairos.app.outlook import Path
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.delivery.rollout.harm import Alarm, alarms
from kairos.web.drawings.canvas import Canvas, Scale, shortened
from kairos.web.palette import BLUE, GREEN, INK, ORANGE, SOFT
from kairos.web.words import moment_text

__all__ = ["guards_drawing", "sequence_drawing"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 700.0, 34.0, 240.0


def sequence_drawing(path: Path, *, name: str) -> Canvas | None:
    """The confidence sequence of the difference in mean loss, in percent of the champion's, over time.

    Args:
        path: What was decided from, when.
        name: Of the picture, unique on its page.

    Returns:
        ``None`` while no labelled request was answered by both.
    """
    points = [each for each in path.losses or _kept(path) if each[1].champion_mean > 0]
    if not points:
        return None
    begun = min([points[0][0], *(at for at, _ in path.stages)])
    last_at, last = points[-1]
    ended = max([last_at, *(at for at, _ in path.stages)])
    end = max(ended.timestamp(), begun.timestamp() + 60)
    across = Scale(low=begun.timestamp(), high=end, start=_LEFT, end=_RIGHT)
    margin = 100 * path.policy.harm_margin
    canvas = Canvas(
        name=name,
        title="How much worse the new version may be, by the requests up to each day",
        description=f"On {last.pairs:,} labelled requests that both answered its mean loss differs by "
        f"{_signed(_middle(last))} %; {_at_most(last)}, {margin:.3g} % are allowed ({moment_text(last_at)} UTC).",
        height=290,
    )
    upward = _upward([loss for _, loss in points], margin)
    canvas.upwards(upward, left=_LEFT, right=_RIGHT, written=lambda value: f"{_signed(value)} %")
    canvas.line((_LEFT, upward(0.0)), (_RIGHT, upward(0.0)), INK)
    canvas.line((_LEFT, upward(margin)), (_RIGHT, upward(margin)), ORANGE, thick=1.5, dash="6 3")
    canvas.text(_RIGHT + 6, upward(margin), f"{margin:.3g} % worse: allowed", ORANGE)
    canvas.text(_RIGHT + 6, upward(0.0), "equally good")
    _stages(canvas, path.stages, across, bottom=_BOTTOM)
    _sequence(canvas, points, across, upward)
    canvas.text(_LEFT, _BOTTOM + 18, moment_text(begun), SOFT)
    canvas.text(_RIGHT, _BOTTOM + 18, moment_text(ended), SOFT, anchor="end")
    below = "mean loss less the champion's, in percent of it; below is better"
    canvas.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, below, SOFT, anchor="middle")
    return canvas


def _kept(path: Path) -> list[tuple[datetime, PairedLoss]]:
    """Where days are not told: the moments that the ledger keeps, and now."""
    return [(one.as_of, one.loss) for one in path.evidence if one.loss is not None]


def _upward(losses: Sequence[PairedLoss], margin: float) -> Scale:
    """As high as the bounds go, but no further than what is seen, or is allowed, can be read in."""
    reach = max(3 * margin, *(abs(_middle(loss)) * 1.5 for loss in losses), 1.0)
    ends = [end for loss in losses for end in _bounds(loss) if math.isfinite(end)]
    low, high = min([-margin, *ends]), max([1.5 * margin, *ends])
    return Scale(low=max(low, -reach), high=min(high, reach), start=_BOTTOM, end=_TOP)


def guards_drawing(path: Path, *, name: str) -> Canvas | None:
    """What speaks for harm by each guard, as e-values on a log scale, with the limit at which it acts."""
    present = alarms(path.policy, path.evidence[-1])
    if not present:
        return None
    highest = max([2.0, *(one.log_limit for one in present), *(one.log_e for one in present if one.log_e < 50)])
    scale = Scale(low=min(-2.0, *(max(one.log_e, -7.0) for one in present)), high=highest * 1.1, start=230.0, end=700.0)
    bottom = _TOP + 26 * len(present)
    nearest = max(present, key=lambda one: one.log_e - one.log_limit)
    canvas = Canvas(
        name=name,
        title="What speaks for harm, by guard",
        description=f"Nearest to its limit is {nearest.name}, with an e-value of {_e(nearest.log_e)}; it acts at "
        f"{_e(nearest.log_limit)}.",
        height=bottom + 44,
    )
    for power in range(-3, 8):
        at = power * math.log(10)
        if scale.holds(at):
            canvas.line((scale(at), _TOP), (scale(at), bottom))
            canvas.text(scale(at), bottom + 12, f"{10.0**power:g}", SOFT, anchor="middle")
    for place, one in enumerate(present):
        _guard(canvas, one, path.evidence, path, scale, y=_TOP + 26 * (place + 0.5))
    canvas.text(465, bottom + 32, "e-value, log scale; 1 says nothing, the dashed mark acts", SOFT, anchor="middle")
    return canvas


def _guard(
    canvas: Canvas, one: Alarm, evidence: Sequence[RolloutEvidence], path: Path, scale: Scale, *, y: float
) -> None:
    """A bar for the present, small dots for the moments that the ledger keeps."""
    colour = ORANGE if one.is_proven else BLUE
    canvas.text(4, y, shortened(one.name.replace("_", " "), 32))
    start, end = sorted((scale(0.0), scale(one.log_e)))
    canvas.box(start, y - 6, max(end - start, 2.0), 12, colour, opacity=0.6)
    canvas.line((scale(one.log_limit), y - 11), (scale(one.log_limit), y + 11), ORANGE, thick=2, dash="4 2")
    for before in evidence[:-1]:
        for past in alarms(path.policy, before):
            if past.name == one.name and math.isfinite(past.log_e):
                canvas.mark(scale(past.log_e), y, "circle", SOFT, size=2.5)
    canvas.text(_RIGHT + 6, y, f"{_e(one.log_e)} of {_e(one.log_limit)}", colour)


def _stages(canvas: Canvas, stages: Sequence[tuple[datetime, str]], across: Scale, *, bottom: float) -> None:
    """A post where a stage began; a label that would lie on the one before goes a line down."""
    reached, row = -math.inf, 0
    for at, stage in stages:
        x = across(at.timestamp())
        row = (row + 1) % 2 if x < reached else 0
        canvas.line((x, _TOP - 8), (x, bottom), SOFT, dash="2 3")
        canvas.text(x + 3, 10 + 14 * row, stage, SOFT)
        reached = x + 7.0 * len(stage) + 10


def _sequence(canvas: Canvas, points: Sequence[tuple[datetime, PairedLoss]], across: Scale, upward: Scale) -> None:
    upper = [(across(at.timestamp()), upward(_bounds(loss)[1])) for at, loss in points]
    lower = [(across(at.timestamp()), upward(_bounds(loss)[0])) for at, loss in points]
    if len(points) > 1:
        canvas.area([*upper, *reversed(lower)], BLUE)
        canvas.path(upper, BLUE, thick=2)
        canvas.path([(across(at.timestamp()), upward(_middle(loss))) for at, loss in points], GREEN, dash="4 2")
    for (x, top), (_, bottom), (_, loss) in list(zip(upper, lower, points, strict=True))[-1:]:
        canvas.line((x, top), (x, bottom), BLUE, thick=2)
        canvas.mark(x, upward(_middle(loss)), "diamond", GREEN, size=4)


def _middle(loss: PairedLoss) -> float:
    return 100 * (loss.challenger_mean - loss.champion_mean) / loss.champion_mean


def _bounds(loss: PairedLoss) -> tuple[float, float]:
    return 100 * loss.lower / loss.champion_mean, 100 * loss.upper / loss.champion_mean


def _at_most(loss: PairedLoss) -> str:
    upper = _bounds(loss)[1]
    if math.isinf(upper):
        return "how much worse it may be is not known yet"
    return f"it may be at most {_signed(upper)} % worse" if upper > 0 else f"it is at least {_signed(-upper)} % better"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):.3g}"


def _e(log_e: float) -> str:
    """An e-value that a person can read."""
    if not log_e < 14:
        return "over a million"
    return f"{math.exp(log_e):.2g}" if log_e < 4.6 else f"{math.exp(log_e):,.0f}"
