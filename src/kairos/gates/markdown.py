"""A verdict as Markdown that stands alone: for a pull request, a ticket, an archive. Equal cases give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kairos.gates.case import GateCase
from kairos.gates.explain import explanation
from kairos.gates.saying import level
from kairos.gates.screen import HEAD, table_rows
from kairos.gates.words import two_sentences

__all__ = ["markdown", "plain_text"]


def markdown(case: GateCase) -> str:
    """The whole case: two sentences, the table of comparisons, and the explanation."""
    found, follows = two_sentences(case)
    lines = [
        f"# {case.version} against {case.against or 'the simple baseline'}: {case.decision.verdict}",
        "",
        found,
        "",
        f"**{follows}**",
        "",
        *_table(case),
    ]
    for title, section in explanation(case):
        lines += ["", f"## {title}", "", *_items(section)]
    return "\n".join(lines) + "\n"


def plain_text(case: GateCase) -> str:
    """The explanation for a terminal."""
    lines: list[str] = []
    for title, section in explanation(case):
        lines += ["", title, *(f"  {line}" for line in section)]
    return "\n".join(lines[1:])


def _table(case: GateCase) -> Iterator[str]:
    head = list(HEAD)
    head[0], head[1], head[2] = "metric", case.version, case.against or "simple baseline"
    head[4], head[5], head[6] = level(case.policy.alpha), "worse │ better", "result"
    yield _row(head)
    yield _row(["---", "---:", "---:", "---:", "---", "---", "---"])
    for *cells, drawn, meaning in table_rows(case, every_slice=True):
        yield _row([*cells, drawn, meaning], picture_at=len(cells))


def _row(cells: Sequence[str], picture_at: int | None = None) -> str:
    """A picture keeps its blanks, as code."""
    shown = [f"`{cell}`" if i == picture_at else _escaped(cell) for i, cell in enumerate(cells)]
    return "| " + " | ".join(shown) + " |"


def _escaped(text: str) -> str:
    """Text from outside, such as the level of a slice, has to stay one cell."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def _items(section: Sequence[str]) -> Iterator[str]:
    for line in section:
        indent = "  " if line.startswith("  ") else ""
        yield f"{indent}- {' '.join(line.split())}"
