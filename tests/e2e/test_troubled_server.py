"""``kairos serve --workers 2`` where its ledger or its model is taken away: it goes on, and says so."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from kairos.ledger import SqliteLedger
from tests.e2e.commands import Deployed, Server, kairos, serving
from tests.e2e.test_kill import ROW

LEDGER = ("ledger.db-shm", "ledger.db-wal", "ledger.db")
"""In this order: who finds the last one finds the others."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits, within reason."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def move(names: tuple[str, ...], source: Path, target: Path) -> None:
    """Moves the files that are there."""
    target.mkdir(exist_ok=True)
    for name in names:
        if (source / name).exists():
            (source / name).replace(target / name)


def ready(server: Server) -> tuple[int, Any]:
    """What one of the workers says; nothing where the connection was to one that is gone."""
    try:
        answer = httpx.get(f"{server.url}/health/ready", timeout=5)
    except httpx.TransportError:
        return 0, {"workers": [], "follows_ledger": None, "ledger_trouble": None}
    return answer.status_code, answer.json()


def states(server: Server) -> list[str]:
    """Of the workers."""
    return [one["state"] for one in ready(server)[1]["workers"]]


def is_well(server: Server) -> bool:
    """Whether both workers answer and are ready; whoever is asked says it of itself."""
    return states(server) == ["answers"] * 2 and {ready(server)[0] for _ in range(40)} == {200}


def end_worker(server: Server, number: int) -> None:
    """``kill -9``."""
    os.kill(ready(server)[1]["workers"][number]["pid"], signal.SIGKILL)


def answers(server: Server) -> set[int]:
    """Statuses of some predictions, each over a connection of its own."""
    return {server.post("/predict/demand", {"inputs": ROW}).status_code for _ in range(10)}


def goes_on(server: Server, trouble: str) -> None:
    """Users are answered, and all that look are told that the ledger cannot be read."""
    until(lambda: all(ready(server)[1]["follows_ledger"] is False for _ in range(5)), "they notice")
    status, body = ready(server)
    assert (status, body["ready"]) == (200, True)
    assert trouble in body["ledger_trouble"]
    assert "kairos_follows_ledger 0.0" in server.get("/metrics").text
    assert answers(server) == {200}


def test_a_server_goes_on_where_its_ledger_cannot_be_read(deployed: Deployed, tmp_path: Path) -> None:
    """Locked, gone, garbage, empty: what is live answers; who has to begin meanwhile says why not, and begins later."""
    project = deployed.copy(tmp_path / "mybikes")
    home, away = project / ".kairos", tmp_path / "away"
    with serving(project, "serve", "--workers", "2") as server:
        with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert answers(server) == {200}
            assert ready(server)[1]["follows_ledger"] is True, "who reads does not wait for who writes"
        move(LEDGER, home, away)
        goes_on(server, "The ledger ledger.db is gone.")
        end_worker(server, 0)
        until(lambda: states(server) == ["fails", "answers"], "the other one knows")
        assert "The ledger ledger.db is gone." in ready(server)[1]["workers"][0]["reason"]
        assert answers(server) == {200}
        end_worker(server, 1)
        until(lambda: ready(server)[0] == 503, "one begins all the same")
        refused = server.post("/predict/demand", {"inputs": ROW})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert not (home / "ledger.db").exists(), "no empty ledger is made in its place"
        move(LEDGER, away, home)
        until(lambda: is_well(server), "all is well again")
        assert answers(server) == {200}
        move(LEDGER, home, away)
        (home / "ledger.db").write_bytes(b"garbage" * 1000)
        goes_on(server, "file is not a database")
        (home / "ledger.db").unlink()
        SqliteLedger(home / "ledger.db").close()
        goes_on(server, "The ledger is shorter than it was.")
    for name in LEDGER:  # what SQLite wrote ahead beside it would stand for what it holds
        (home / name).unlink(missing_ok=True)
    (home / "ledger.db").write_bytes(b"garbage" * 1000)
    said = kairos(project, "serve", "--workers", "2", code=1)
    assert "The ledger ledger.db cannot be opened." in said.err


def test_a_server_goes_on_where_its_model_is_taken_away(deployed: Deployed, tmp_path: Path) -> None:
    """What is in memory answers; who has to load it says why it cannot; where nobody could, one says so to all."""
    project = deployed.copy(tmp_path / "mybikes")
    cache, away = project / ".dvc" / "cache", tmp_path / "away"
    with serving(project, "serve", "--workers", "2") as server:
        cache.rename(away)
        assert answers(server) == {200}
        end_worker(server, 0)
        until(lambda: states(server) == ["fails", "answers"], "the other one knows")
        status, body = ready(server)
        assert (status, body["ready"]) == (200, True)
        assert "demand@1 is live, but cannot be loaded." in body["workers"][0]["reason"]
        assert 'kairos_workers{state="fails"} 1.0' in server.get("/metrics").text
        assert answers(server) == {200}
        end_worker(server, 1)
        until(lambda: ready(server)[0] == 503, "one begins all the same")
        body = ready(server)[1]
        assert (body["ready"], body["missing"]) == (False, ["demand"])
        assert body["troubles"][0]["version"] == "demand@1"
        assert answers(server) == {503}
        shutil.rmtree(cache, ignore_errors=True)
        away.rename(cache)
        until(lambda: is_well(server), "all is well again")
        assert answers(server) == {200}
