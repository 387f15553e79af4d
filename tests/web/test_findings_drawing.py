"""Findings of every kind as a picture: how far each is from what is tolerated, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from xml.etree import ElementTree

from kairos.monitor.findings import Check, Finding
from kairos.values import Window
from kairos.web.drawings.findings import findings_drawing
from kairos.web.status import FindingLine, StatusPage, render_status
from tests.web.stories import HOSTILE

START = datetime(2012, 6, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
DRIFT = Finding(
    check="input_drift", level="warn", column="temperature", value=0.4, lower=0.3, upper=None, threshold=0.1,
    window=Window(START, START + timedelta(days=7)), rows=240, sentence="in full", version=5,
)  # fmt: skip
BIAS = replace(
    DRIFT, check="prediction_bias", level="alarm", column=None, value=-9.0, lower=-12.0, upper=-6.0, threshold=3.0
)


def words(*findings: tuple[str, Finding]) -> list[str]:
    """All that is written in the picture."""
    drawing = findings_drawing(findings, name="found")
    assert drawing is not None
    return [str(e.text) for e in ElementTree.fromstring(drawing.svg()).iter(f"{SVG}text")]


def bar(*findings: tuple[str, Finding]) -> tuple[float, float]:
    """Where the first bar begins and ends."""
    drawing = findings_drawing(findings, name="found")
    assert drawing is not None
    box = next(ElementTree.fromstring(drawing.svg()).iter(f"{SVG}rect"))
    return float(box.attrib["x"]), float(box.attrib["x"]) + float(box.attrib["width"])


def test_each_is_drawn_beside_what_is_tolerated() -> None:
    """Its value and limit in words, and which is farthest; the same one is drawn once, the latest."""
    said = words(("demand@5", BIAS), ("demand@5", DRIFT), ("demand@5", replace(DRIFT, value=0.9)))
    assert {"tolerated", "demand@5 prediction bias", "demand@5 input drift: temperature"} <= set(said)
    assert {"-9 of 3", "0.4 of 0.1"} <= set(said)
    assert "0.9 of 0.1" not in said
    drawing = findings_drawing([("demand@5", BIAS), ("demand@5", DRIFT)], name="found")
    assert drawing is not None
    farthest = "input drift: temperature of demand@5, 0.4 where 0.1 is tolerated."
    assert drawing.description == f"2 findings. Farthest from what is tolerated is {farthest}"


def test_a_bias_counts_by_its_size() -> None:
    """Too low by 6 to 12 is as far as too high by 6 to 12; an open bound goes to the edge."""
    up = replace(BIAS, value=9.0, lower=6.0, upper=12.0)
    assert bar(("demand@5", BIAS)) == bar(("demand@5", up))
    assert bar(("demand@5", DRIFT))[1] == 700.0


def test_where_nothing_is_tolerated_or_found_nothing_is_drawn() -> None:
    """There is no multiple of nothing."""
    assert findings_drawing([], name="found") is None
    assert findings_drawing([("demand@5", replace(DRIFT, threshold=0.0))], name="found") is None


def test_the_status_page_draws_findings_of_every_check_but_the_loss() -> None:
    """That has a picture of its own, by day; names are foreign text, and stay text."""
    found = tuple(
        FindingLine(
            at=START,
            subject=HOSTILE,
            level="warn",
            sentence="in full",
            finding=replace(DRIFT, check=check, column=HOSTILE),
        )
        for check in get_args(Check)
    )
    page = StatusPage(project="toy", at=START, models=(), findings=found, ledger_head=1, ledger_hash="a")
    assert page.drawing is not None
    assert page.drawing.svg().count("<rect") == len(get_args(Check)) - 1
    assert "10 findings." in render_status(page)
