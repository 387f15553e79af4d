"""The status page of a project that lives on."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.pipeline.progress import Progress
from kairos.values import Digest, Window
from kairos.web.live import status_page
from tests.app.worlds import Stock, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project whose packages nobody opens."""
    (tmp_path / "cache").mkdir()
    nothing = Digest("0" * 32)
    stock = Stock(cache=tmp_path / "cache", packages={200.0: Digest(f"{nothing}.dir")}, holdout=nothing, few=nothing)
    return World(tmp_path / "toy", stock)


def find(world: World, number: int) -> None:
    """Tells of a finding."""
    body = {"version": 1, "level": "warn", "sentence": f"finding number {number:03}"}
    world.project.tell("finding", subject="demand", body=body)


def test_the_page_follows_the_ledger(world: World) -> None:
    """Each visit shows what is live and the last twenty findings, newest first, as a new process would show them."""
    assert "demand@1" not in status_page(world.project)
    world.live()
    for number in range(25):
        find(world, number)
    first = status_page(world.project)
    assert "demand@1" in first
    assert "finding number 004" not in first
    assert first.index("finding number 024") < first.index("finding number 005")
    find(world, 25)
    world.live()
    page = status_page(world.project)
    assert "finding number 005" not in page
    assert page.index("finding number 025") < page.index("finding number 006")
    assert "demand@2" in page
    assert page == status_page(world.again().project)


def test_a_run_is_on_the_page_while_it_goes_on_and_when_it_was_killed(world: World) -> None:
    """A killed one is shown as dead, for a week."""
    folder = world.project.home / "runs"
    with Progress(folder, window=Window.parse("2012-01-01..2012-01-31"), started_at=world.clock.now()):
        (told,) = folder.glob("*.json")
        assert f"{told.stem}, process {os.getpid()}" in status_page(world.project)
        killed = json.loads(told.read_bytes())
        for name, age in (("20120101T1-1", timedelta(hours=1)), ("20120101T2-2", timedelta(days=9))):
            beat_at = (datetime.now(UTC) - age).isoformat()
            (folder / f"{name}.json").write_text(json.dumps({**killed, "beat_at": beat_at}))
        page = status_page(world.project)
        assert "20120101T1-1: its process" in page
        assert "20120101T2-2" not in page
    assert told.stem not in status_page(world.project)


def test_a_visit_reads_only_what_is_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of years is read at the first visit; one without news asks for nothing but news."""
    world.live()
    for number in range(50):
        find(world, number)
    ledger = world.project.ledger
    real, asked = ledger.read, list[int]()

    def read(**options: Any) -> Any:
        asked.append(options.get("after", 0))
        return real(**options)

    monkeypatch.setattr(ledger, "read", read)
    status_page(world.project)
    head = ledger.head()
    asked.clear()
    assert status_page(world.project) == status_page(world.project)
    assert set(asked) == {head}
