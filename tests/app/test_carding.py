"""A card says what is on record of a version, and says where nobody has said anything."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kairos.app.carding import Card, Section, Table, make_card, markdown
from kairos.app.judging import judge
from kairos.cli import main
from kairos.errors import NotFound, SettingsError
from kairos.values import VersionRef
from kairos.web.card import render_card
from tests.app.worlds import SETTINGS, Stock, World

TOLD = """
[model.demand.card]
use = "Bicycles | for tomorrow."
not_for = "prices"
limits = ["Strikes are not in it.", "It is\\n\\n## no heading, and `a < b` is code"]
licence = "CC BY 4.0"
data = "<b>Capital</b> Bikeshare"
contact = "demand@example.com"
"""


def test_before_a_gate_the_card_says_that_there_is_no_interval(world: World) -> None:
    """And how to get one; what nobody told is asked for by its key."""
    text = markdown(make_card(world.project, world.register(200.0)))
    assert "It met no gate yet" in text
    assert "kairos gate demand@1" in text
    for key in ("use", "data", "limits"):
        assert f"write `{key} = " in text
    assert "## What became of it\n\n- Nothing was decided about it yet." in text


def test_after_a_gate_it_has_intervals_slices_and_the_baseline(tmp_path: Path, stock: Stock) -> None:
    """In Markdown and as a page; texts from the settings stay text."""
    world = World(tmp_path / "toy", stock, settings=SETTINGS + TOLD)
    ref = world.register(200.0)
    entry = judge(world.project, ref).entry
    card = make_card(world.project, ref)
    text, page = markdown(card), render_card(card)
    assert "| metric | demand@1 | simple baseline |" in text
    assert f"kairos gate --replay {entry.seq}" in text
    assert "- Bicycles | for tomorrow." in text
    assert "- Not for: prices" in text
    assert "Licence of the data: CC BY 4.0." in text
    assert "- \\<b>Capital\\</b> Bikeshare" in text
    assert "- It is ## no heading, and `a < b` is code" in text
    assert "&lt;b&gt;Capital&lt;/b&gt; Bikeshare" in page
    assert "<svg" in page
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page
    assert f"<code>kairos gate --replay {entry.seq}</code>" in page
    assert render_card(card) == page
    parser = HTMLParser()
    parser.feed(page)
    parser.close()


def test_names_and_levels_of_the_data_are_no_markdown() -> None:
    """They come from outside, and a card is read where Markdown becomes a page."""
    rows = (("a|b", "<img src=x>"), ("[x](http://evil)", "`code`\n*bold*"))
    section = Section(title="T", lines=("one ` alone <i>",), table=Table(head=("a", "b"), rows=rows))
    text = markdown(Card(version=VersionRef("demand", 1), sections=(section,), case=None, importances={}))
    assert text.splitlines()[2:] == [
        "## T",
        "",
        "- one \\` alone \\<i>",
        "",
        "| a | b |",
        "| --- | --- |",
        "| a\\|b | \\<img src=x> |",
        "| \\[x](http://evil) | \\`code\\` \\*bold\\* |",
    ]


def test_every_row_of_a_table_has_the_cells_of_its_head(world: World) -> None:
    """Whatever stands in them."""
    ref = world.live(200.0)
    judge(world.project, ref)
    for section in make_card(world.project, ref).sections:
        for row in () if section.table is None else section.table.rows:
            assert len(row) == len(section.table.head if section.table else ())


def test_a_card_is_printed_or_written_by_the_end_of_its_name(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another form is refused, and so is a version that is not there."""
    world.register(200.0)
    there = ["-C", str(world.project.root), "models", "card", "demand@1"]
    assert main(there) == 0
    printed = capsys.readouterr().out
    for name in ("card.md", "card.html"):
        assert main([*there, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / "card.md").read_text() == printed
    assert (tmp_path / "card.html").read_text().startswith("<!")
    capsys.readouterr()
    assert main([*there, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sections"][0]["title"] == "What it is"
    assert main([*there, "-o", "card.pdf"]) == 2
    with pytest.raises(NotFound, match="demand@9"):
        make_card(world.project, VersionRef("demand", 9))


def test_a_misspelt_text_is_named(tmp_path: Path, stock: Stock) -> None:
    """With what was meant."""
    with pytest.raises(SettingsError, match="Did you mean 'licence'"):
        World(tmp_path / "toy", stock, settings=SETTINGS + TOLD.replace("licence", "license")).project.settings.model(
            "x"
        )
