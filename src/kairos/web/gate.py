"""A gate's verdict as a page: two sentences and a bar for everybody, then all of it for the statistician."""

from __future__ import annotations

from kairos.gates.case import GateCase
from kairos.gates.explain import explanation
from kairos.gates.words import two_sentences
from kairos.web.drawings.gate import bar_drawing, forest_drawing, groups_drawing
from kairos.web.pages import render_page

__all__ = ["render_gate"]

_VERDICTS = {"ok": "pass", "harm": "fail", "open": "hold", "told": ""}


def render_gate(case: GateCase, *, entry: int | None = None) -> str:
    """The page as HTML, to be written as UTF-8; the same case always gives the same bytes.

    Args:
        case: What was judged, and what came of it.
        entry: The ledger entry that holds it.
    """
    found, follows = two_sentences(case)
    bar = bar_drawing(case)
    drawings = [drawing for drawing in (forest_drawing(case), groups_drawing(case)) if drawing is not None]
    return render_page(
        "gate.html",
        case=case,
        entry=entry,
        found=found,
        follows=follows,
        bar=bar,
        drawings=drawings,
        lines=[(line, _VERDICTS[line.state]) for line in case.decision.lines],
        sections=explanation(case),
    )
