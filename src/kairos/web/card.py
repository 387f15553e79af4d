"""A model's card as a page."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.app.carding import Card
from kairos.web.drawings.canvas import Canvas, Scale, shortened
from kairos.web.drawings.gate import bar_drawing, forest_drawing
from kairos.web.pages import render_page
from kairos.web.palette import BLUE, INK, SOFT

__all__ = ["render_card"]

_ROW = 22.0
_MOST = 30


def render_card(card: Card) -> str:
    """The page as HTML that stands alone, to be written as UTF-8; the same card always gives the same bytes."""
    case = card.case
    comparisons = [] if case is None else [bar_drawing(case), forest_drawing(case)]
    return render_page(
        "card.html",
        card=card,
        parts=_parts,
        pictures={
            "How good it is": [drawing for drawing in comparisons if drawing is not None],
            "What it takes": [importance_drawing(card.importances)] if card.importances else [],
        },
    )


def _parts(line: str) -> list[tuple[str, bool]]:
    """A sentence in pieces, each with whether it is code: what stands between backticks is."""
    return [(text, at % 2 == 1) for at, text in enumerate(line.split("`")) if text]


def importance_drawing(importances: Mapping[str, float]) -> Canvas:
    """How much a model relies on each input, the largest first; of many the first thirty."""
    shown = list(importances.items())[:_MOST]
    first, share = shown[0]
    canvas = Canvas(
        name="importances",
        title="What it relies on",
        description=f"The share of each input; {first} is first with {share:.0%}.",
        height=len(shown) * _ROW + 16,
    )
    scale = Scale(low=0.0, high=max(max(importances.values()), 1e-9), start=250, end=780)
    for row, (name, value) in enumerate(shown):
        middle = 8 + (row + 0.5) * _ROW
        canvas.text(240, middle, shortened(name, 34), INK, anchor="end")
        canvas.box(scale.start, middle - 7, scale(max(value, 0.0)) - scale.start, 14, BLUE, opacity=0.7)
        canvas.text(scale(max(value, 0.0)) + 8, middle, f"{value:.1%}", SOFT)
    return canvas
