"""The report: one page, whole, safe, readable without sight or script, and the same to the byte."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from kairos.web.report import render_loop_picture, render_report
from kairos.web.words import clean
from tests.web.reading import Element, read_page
from tests.web.stories import HOSTILE, bikes, empty, hostile

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    """The report of the story that is like two years of bicycle rentals."""
    return render_report(bikes())


@pytest.fixture(scope="module")
def elements(page: str) -> list[Element]:
    """Its elements."""
    return read_page(page)


@pytest.fixture(scope="module")
def hostile_page() -> str:
    """The report of the story that tries to break out."""
    return render_report(hostile())


def test_it_says_who_did_how_well(elements: list[Element]) -> None:
    """Each policy has its row: error, deployments, impossible answers."""
    rows = [e.text.split() for e in elements if e.tag == "tr" and "tbody" in e.parents]
    assert ["Kairos", "46.2", "7", "0", "gates,", "shadow,", "canary"] in rows
    assert ["never", "retrain", "85.4", "1", "0"] in rows
    lead = next(e.text for e in elements if e.tag == "p" and "of Kairos was" in e.text)
    assert lead == (
        "The mean absolute error of Kairos was 46.2 users per hour, with 7 deployments; that of “retrain weekly” 43.6, "
        "with 78 deployments; that of “never retrain” 85.4, with 1 deployment. "
        "0 impossible answers left the server."
    )


def test_another_loss_is_told_by_its_own_name_and_unit() -> None:
    """Nowhere is a log loss called an absolute error, or given the target's unit."""
    story = replace(bikes(), decisions=(), loss="mean log loss", loss_unit="nats", unit="clicked")
    text = " ".join(next(e.text for e in read_page(render_report(story)) if e.tag == "body").split())
    assert "The mean log loss of Kairos was 46.2 nats, with 7 deployments" in text
    assert "Error: mean log loss, nats; lower is better." in text
    assert "absolute" not in text


def test_every_decision_is_a_row_with_its_evidence_and_its_hash(elements: list[Element]) -> None:
    """What the ledger says is on the page: when, about what, verdict, sentence, who, entry and hash."""
    rows = [
        " ".join(e.text.split())
        for e in elements
        if e.tag == "tr" and e.attributes.get("class", "").startswith("kind-")
    ]
    decisions = bikes().decisions
    assert len(rows) == len(decisions)
    for row, decision in zip(rows, decisions, strict=True):
        assert row.startswith(f"{decision.seq} ")
        assert decision.sentence in row
        assert row.endswith(f"{decision.actor} {decision.entry_hash[:8]}")


def test_it_says_where_everything_is_and_what_it_does_not_show(page: str) -> None:
    """Places, the ledger's head, and the honest limits."""
    story = bikes()
    assert all(text in page for text in (*story.places.values(), *story.footnotes, story.ledger_hash))


def test_decisions_can_be_filtered_by_kind_without_a_script(elements: list[Element]) -> None:
    """Each kind has a labelled choice, and a rule that hides the rows of the other kinds."""
    kinds = Counter(decision.kind for decision in bikes().decisions)
    labels = {e.attributes["for"]: e.text for e in elements if e.tag == "label"}
    choices = [e.attributes["id"] for e in elements if e.tag == "input"]
    assert [labels[choice] for choice in choices] == ["all 102", *(f"{kind} {n}" for kind, n in kinds.items())]
    style = next(e.text for e in elements if e.tag == "style")
    for number, kind in enumerate(kinds, 1):
        assert f":has(#kind-{number}:checked) tbody tr:not(.kind-{number}){{display:none}}" in style
        assert sum(e.attributes.get("class") == f"kind-{number}" for e in elements) == kinds[kind]


@pytest.mark.parametrize("name", ["page", "hostile_page"])
def test_it_asks_for_nothing_from_outside(name: str, request: pytest.FixtureRequest) -> None:
    """No script, no frame, no image, no form, no link to elsewhere; and a policy that forbids them all."""
    elements = read_page(request.getfixturevalue(name))
    assert not {"script", "iframe", "img", "object", "embed", "form", "base", "a", "use", "image", "foreignobject"} & {
        e.tag for e in elements
    }
    for element in elements:
        for key, value in element.attributes.items():
            assert not key.startswith("on")
            assert key not in ("src", "srcset", "action", "xlink:href")
            assert key != "href" or value == "data:,"
            assert key in ("xmlns", "title", "content") or "://" not in value, (element.tag, key)
    style = "".join(e.text for e in elements if e.tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    policy = next(e.attributes["content"] for e in elements if e.attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_hostile_text_is_only_text(hostile_page: str) -> None:
    """Names, sentences and columns appear as they were written, but for what no page can hold."""
    elements = read_page(hostile_page)
    shown = clean(HOSTILE)
    heading = next(e for e in elements if e.tag == "h1")
    assert heading.text == shown
    assert shown in next(e.text for e in elements if e.tag == "desc")
    assert "<script" not in hostile_page
    assert "{{7*7}}" in hostile_page
    assert "\x00" not in hostile_page
    hostile_page.encode()


def test_it_can_be_read_without_seeing_it(elements: list[Element]) -> None:
    """A language, one main heading, levels without gaps, captions, scopes, labels, and pictures with words."""
    assert next(e for e in elements if e.tag == "html").attributes["lang"] == "en"
    headings = [int(e.tag[1]) for e in elements if re.fullmatch(r"h[1-6]", e.tag)]
    assert headings[0] == 1
    assert set(headings[1:]) == {2}
    tables = sum(e.tag == "table" for e in elements)
    assert sum(e.tag == "caption" and bool(e.text.strip()) for e in elements) == tables
    assert all("scope" in e.attributes for e in elements if e.tag == "th")
    assert sum(e.tag == "svg" for e in elements) == sum(e.tag == "figcaption" for e in elements) == 6


def test_ids_are_unique_and_references_meet(elements: list[Element]) -> None:
    """Pictures on one page do not take each other's parts."""
    ids = Counter(e.attributes["id"] for e in elements if "id" in e.attributes)
    assert not [name for name, times in ids.items() if times > 1]
    for element in elements:
        for key in ("aria-labelledby", "for"):
            assert set(element.attributes.get(key, "").split()) <= ids.keys()


def test_errors_can_be_read_in_numbers(elements: list[Element]) -> None:
    """A row for each month, under the names of the three lines."""
    rows = [e.text.split() for e in elements if e.tag == "tr" and "details" in e.parents]
    assert rows[0] == ["month", "Kairos", "retrain", "weekly", "never", "retrain"]
    assert len(rows) == 1 + 18
    assert rows[1][:2] == ["Jul", "2011"]


def test_it_is_small() -> None:
    """Under 1.5 MB, even with a thousand findings."""
    assert len(render_report(bikes(findings=1000)).encode()) < 1_500_000


def test_the_same_story_gives_the_same_bytes_in_any_process(page: str) -> None:
    """Neither the hash seed nor the time zone nor the language of the machine is in the page."""
    code = (
        "import hashlib; from kairos.web.report import render_report; from tests.web.stories import bikes; "
        "print(hashlib.sha256(render_report(bikes()).encode()).hexdigest())"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONPATH": paths}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(page.encode()).hexdigest()


def test_a_story_in_which_nothing_happened_is_a_page_too() -> None:
    """What is not there is left out."""
    page = render_report(empty())
    elements = read_page(page)
    assert not [e for e in elements if e.tag in ("svg", "table")]
    assert "Where it is written down" in page


def test_the_picture_of_the_loop_is_a_file_of_its_own() -> None:
    """The error over time as SVG, for a README."""
    picture = render_loop_picture(bikes())
    assert picture.startswith("<svg")
    assert picture.endswith("</svg>\n")
