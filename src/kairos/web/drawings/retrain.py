"""Why a model was trained anew: what the live version lost beside a fresh one, and what waiting has cost."""

from __future__ import annotations

from collections.abc import Sequence

from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.reasons import waiting_cost
from kairos.delivery.retrain.regret import regret
from kairos.web.drawings.canvas import Canvas, Scale
from kairos.web.palette import BLUE, GREEN, INK, ORANGE, SOFT
from kairos.web.words import day_text, loss_text

__all__ = ["retrain_drawing"]

_LEFT, _RIGHT, _TOP, _MIDDLE, _BOTTOM = 70.0, 700.0, 24.0, 170.0, 290.0
_MOST = 26


def retrain_drawing(policy: RetrainPolicy, facts: RetrainFacts, *, name: str) -> Canvas | None:
    """Two bars a block, and below them the regret as it grew towards the price; ``None`` without readings.

    Args:
        policy: By which it was decided.
        facts: What was known then.
        name: Of the picture, unique on its page.
    """
    readings = [one for one in facts.readings if one.champion][-_MOST:]
    if not readings:
        return None
    cost = waiting_cost(policy, facts)
    spent = [regret(facts.readings[: facts.readings.index(one) + 1], confidence=policy.confidence) for one in readings]
    last = readings[-1]
    price = "what a change is worth is not known yet"
    if cost.price is not None:
        price = f"a change is worth {loss_text(cost.price)}"
    canvas = Canvas(
        name=name,
        title="What the live version lost beside a fresh one, and what waiting has cost",
        description=f"On the last {last.n:,} rows the live version lost {loss_text(last.champion_mean)} a row and a "
        f"fresh one {loss_text(last.fresh_mean)}; waiting has cost at least {loss_text(cost.regret)}, {price}.",
        height=_BOTTOM + 44,
    )
    _bars(canvas, readings)
    _regret(canvas, readings, spent, cost.price)
    canvas.text(_LEFT, _BOTTOM + 18, day_text(readings[0].window.start), SOFT)
    canvas.text(_RIGHT, _BOTTOM + 18, day_text(last.window.end), SOFT, anchor="end")
    below = "above: mean loss by block; below: cost of waiting, in loss a row for a day"
    canvas.text((_LEFT + _RIGHT) / 2, _BOTTOM + 34, below, SOFT, anchor="middle")
    return canvas


def _bars(canvas: Canvas, readings: Sequence[Reading]) -> None:
    highest = max(max(one.champion_mean, one.fresh_mean) for one in readings) * 1.1 or 1.0
    upward = Scale(low=0.0, high=highest, start=_MIDDLE, end=_TOP)
    canvas.upwards(upward, left=_LEFT, right=_RIGHT, written=loss_text)
    step = (_RIGHT - _LEFT) / len(readings)
    width = min(18.0, step * 0.35)
    for place, one in enumerate(readings):
        x = _LEFT + step * (place + 0.5)
        for value, left, colour in ((one.champion_mean, x - width, BLUE), (one.fresh_mean, x + 1, GREEN)):
            canvas.box(left, upward(value), width, _MIDDLE - upward(value), colour, opacity=0.7)
    canvas.mark(_RIGHT + 12, _TOP + 10, "circle", BLUE)
    canvas.text(_RIGHT + 22, _TOP + 10, "live (left)")
    canvas.mark(_RIGHT + 12, _TOP + 28, "diamond", GREEN)
    canvas.text(_RIGHT + 22, _TOP + 28, "fresh (right)")


def _regret(canvas: Canvas, readings: Sequence[Reading], spent: Sequence[float], price: float | None) -> None:
    highest = max([*spent, price or 0.0]) * 1.15 or 1.0
    upward = Scale(low=0.0, high=highest, start=_BOTTOM, end=_MIDDLE + 24)
    canvas.upwards(upward, left=_LEFT, right=_RIGHT, written=loss_text)
    step = (_RIGHT - _LEFT) / len(readings)
    points = [(_LEFT + step * (place + 0.5), upward(value)) for place, value in enumerate(spent)]
    canvas.path([(_LEFT, _BOTTOM), *points], INK, thick=2)
    for x, y in points:
        canvas.mark(x, y, "diamond", INK, size=3.5)
    if price is not None:
        canvas.line((_LEFT, upward(price)), (_RIGHT, upward(price)), ORANGE, thick=1.5, dash="6 3")
        canvas.text(_RIGHT + 6, upward(price), "worth of a change", ORANGE)
