"""What the pages say can be set can be set: each piece of ``kairos.toml`` in them is read as a project's own is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kairos.app.settings import read_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def pieces() -> Iterator[Any]:
    """Every block of TOML, with the page and the line where it begins."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[1], id=f"{page.relative_to(ROOT)}:{line}")


@pytest.mark.parametrize("text", list(pieces()))
def test_a_piece_of_settings_is_accepted(text: str) -> None:
    """With the two things that every project says and a page need not repeat: its name, and what is held out."""
    values = tomllib.loads(text)
    values.setdefault("project", {}).setdefault("name", "toy")
    for model in values.get("model", {}).values():
        model.setdefault("holdout", "split.holdout")
    read_settings(values)
