"""A card's sentences and tables in Markdown, in which what people and data call things stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kairos.app.card_parts import Table

__all__ = ["markdown_table", "one_line"]


def one_line(text: str) -> str:
    """Text that stays one line and starts no tag; what is between backticks is code, and is shown as it is."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # one of them has no other
        return "\\`".join(part.replace("<", "\\<") for part in parts)
    return "`".join(part if at % 2 else part.replace("<", "\\<") for at, part in enumerate(parts))


def _cell(text: str) -> str:
    """Text that may be a name or level of the data: nothing in it is a mark of Markdown."""
    return re.sub(r"[\\|<\[`*]", r"\\\g<0>", " ".join(text.split()))


def markdown_table(table: Table) -> Iterator[str]:
    """A table, line by line."""

    def row(cells: Sequence[str]) -> str:
        shown = [f"`{cell}`" if at in table.pictures else _cell(cell) for at, cell in enumerate(cells)]
        return "| " + " | ".join(shown) + " |"

    yield row(table.head)
    yield "|" + " --- |" * len(table.head)
    yield from (row(cells) for cells in table.rows)
