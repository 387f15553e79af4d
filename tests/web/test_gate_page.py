"""A verdict as a page: the sentences, a bar for everybody, every interval for the statistician."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from kairos.app.story import GateLine
from kairos.gates.words import two_sentences
from kairos.values import Verdict
from kairos.web.drawings.canvas import ticks
from kairos.web.drawings.gate import bar_drawing, forest_drawing, forest_rows, gates_drawing
from kairos.web.gate import render_gate
from kairos.web.report import render_report
from tests.web.cases import case_of, hostile_case, sliced
from tests.web.reading import read_page
from tests.web.stories import bikes, empty

SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_says_both_sentences_and_shows_both_pictures() -> None:
    """For everybody and in full, with the entry that holds it; equal cases give equal bytes."""
    case = case_of(sliced())
    page = render_gate(case, entry=140)
    assert page == render_gate(case, entry=140)
    text = " ".join(next(e.text for e in read_page(page) if e.tag == "body").split())
    for part in (*two_sentences(case), "kairos gate --replay 140", "Assumptions", "What would change the verdict"):
        assert part in text
    assert [e.attributes["role"] for e in read_page(page) if e.tag == "svg"] == ["img", "img"]


def test_every_comparison_has_its_row_in_percent_of_the_other_value() -> None:
    """The asked metric first, then the slices, the worst first; the interval is that of the evidence."""
    case = case_of(sliced())
    first, *others = forest_rows(case)
    whole = case.evidence.overall
    assert (first.label, first.n, first.is_main) == ("mean absolute error", whole.n, True)
    assert first.lower == pytest.approx(100 * whole.lower / whole.champion)
    assert first.margin == pytest.approx(100 * case.policy.margin.resolve(whole.champion) / whole.champion)
    assert {row.label for row in others} == {"season=summer", "season=winter"}
    assert others == sorted(others, key=lambda row: row.lower)


@pytest.mark.parametrize("better_by", [3.0, 0.0, -6.0])
def test_a_drawing_says_in_words_what_it_shows(better_by: float) -> None:
    """Title and description are there, nothing is drawn outside, and better is to the right."""
    case = case_of(sliced(better_by=better_by))
    for drawing in (bar_drawing(case), forest_drawing(case)):
        assert drawing is not None
        root = ElementTree.fromstring(drawing.svg())
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert description.text
        for shape in root.iter(f"{SVG}circle"):
            assert 0 <= float(shape.attrib["cx"]) <= drawing.width
    words = "better" if better_by > 0 else "worse"
    assert words in (bar_drawing(case) or pytest.fail("no bar")).description


def test_what_cannot_be_compared_is_told_without_a_picture() -> None:
    """No interval, no bar: an infinite one is never drawn as if it were known."""
    found = sliced()
    metrics = {name: replace(one, lower=-math.inf, upper=math.inf) for name, one in found.metrics.items()}
    case = case_of(replace(found, metrics=metrics, slices={}))
    assert bar_drawing(case) is None
    assert forest_drawing(case) is None
    assert "<svg" not in render_gate(case)


def test_hostile_texts_stay_texts() -> None:
    """Whatever a column, a check or a model is called."""
    page = render_gate(hostile_case())
    assert {e.tag for e in read_page(page)}.isdisjoint({"script", "img"})
    assert "evil.example" in page  # as text


def test_ticks_are_round_and_within() -> None:
    """Also of a stretch that is tiny, or none."""
    assert ticks(0.0, 0.0031) == [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003]
    assert ticks(1.0, 1.0) == []
    assert ticks(0.0, math.inf) == []


def test_a_report_draws_every_verdict() -> None:
    """A row for each version that met the gate, and the counts in words; without any, no section."""
    at = datetime(2012, 6, 1, tzinfo=UTC)
    seen: list[tuple[Verdict, float]] = [("pass", 80.0), ("fail", -7.0), ("hold", 0.5)]
    lines = tuple(
        GateLine(
            at=at, version=f"demand@{number}", verdict=verdict, n=336, difference=size, lower=size - 2, upper=size + 2,
            margin=1.0,
        )
        for number, (verdict, size) in enumerate(seen, start=1)
    )  # fmt: skip
    drawing = gates_drawing(lines)
    assert drawing is not None
    assert drawing.description == "1 pass; 1 hold; 1 fail."
    page = render_report(replace(empty(), gates=lines))
    assert "Verdicts" in page
    assert page.count("<svg") == 1
    assert "Verdicts" not in render_report(empty())


def test_where_no_truth_is_known_the_report_says_so() -> None:
    """It draws no empty picture, and names no error of nothing."""
    nothing = replace(bikes(), days=(), policies=(replace(bikes().policies[0], loss=math.nan),))
    text = render_report(nothing)
    assert "No answer has a known truth yet; 7 deployments." in text
    assert "Error over time" not in text
