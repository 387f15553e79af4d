"""From the first bad answer to the champion answering again: the real command, real HTTP, real time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from httpx import Client
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

from kairos.app.project import Project
from kairos.clock import SystemClock
from kairos.delivery.rollout.deciding import decide_again
from kairos.store.blobs import Store
from kairos.store.tables import write_table
from tests.app.worlds import START, Stock, World, hourly, package_of
from tests.e2e.commands import serving

SETTINGS = """\
[project]
name = "toy"
every = "1h"

[model.demand]
holdout = "split.holdout"
target = "users"
time = "hour"

[model.demand.output]
range = [0, 5000]
on_violation = "fallback"
"""
FINE, COLD = {"temperature": 12.5}, {"temperature": -8.0}
"""Box and Cox know no cold: a model that transforms by them fails on it, and gives a number on everything else."""

WITHIN_S = 10.0
"""Far above what it takes (see the page on delivery), for machines that do other things as well."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Version 1 is live, version 2 is a canary; in no past of theirs it was cold."""
    store = Store(tmp_path / "stock" / "cache")
    rows = write_table(store, hourly(START, 14))
    stock = Stock(cache=store.root, packages={}, holdout=rows, few=rows)
    world = World(tmp_path / "toy", stock, SETTINGS)
    world.project.clock = SystemClock()
    for number, estimator in (
        (1, LinearRegression()),
        (2, make_pipeline(PowerTransformer("box-cox"), LinearRegression())),
    ):
        warm = hourly(START, 28)
        warm = warm.with_columns(temperature=warm["temperature"].abs() + 1.0)
        package = package_of(world.project.store, tmp_path / f"v{number}", estimator, warm)
        ref = world.register(package=package)
        world.gate(ref)
        world.put(ref, "live" if number == 1 else "canary", share=0.0 if number == 1 else 0.25)
    yield world
    world.project.close()


@contextmanager
def served(world: World) -> Iterator[Client]:
    """The project as ``kairos up`` serves it, once both versions are in memory."""
    with serving(world.root, "up") as server, Client(base_url=server.url, timeout=60) as client:
        while challenger_of(client) != 2:
            time.sleep(0.01)
        yield client


def challenger_of(client: Client) -> int | None:
    """Which version is on trial, as the server sees it."""
    found: int | None = client.get("/models/demand").json()["challenger"]
    return found


def ask(client: Client, inputs: Mapping[str, float], name: object) -> dict[str, Any]:
    """One answer, whichever version it is from; users never get an error."""
    answer = client.post("/predict/demand", json={"inputs": inputs, "id": f"r{name}"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def seconds_until_back(client: Client, inputs: Mapping[str, float], *, pause_s: float) -> tuple[float, int]:
    """Sends such requests until the champion alone is left: how long that took from the first bad answer, how many."""
    first, asked = time.monotonic(), 0
    while challenger_of(client) is not None:
        ask(client, inputs, f"bad-{asked}")
        asked += 1
        time.sleep(pause_s)
        assert time.monotonic() - first < WITHIN_S
    return time.monotonic() - first, asked


def test_a_canary_that_begins_to_fail_is_gone_within_seconds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """By statistics alone, at thirty requests a second; and no user notices, as the champion saves each request."""
    with served(world) as client:
        assert {ask(client, FINE, n)["version"] for n in range(60)} == {1, 2}
        assert challenger_of(client) == 2
        took_s, asked = seconds_until_back(client, COLD, pause_s=0.02)
        with capsys.disabled():
            print(f"\nrolled back {took_s:.1f} s and {asked} requests after the first bad answer")
        after = ask(client, COLD, "after")
        assert (after["version"], "guard" in after) == (1, False)
    with Project(world.root) as project:
        [*_, last] = project.ledger.read(kinds=["stage.changed"])
    assert (last.subject, last.body["to"], last.body["verdict"], last.actor) == (
        "demand@2",
        "rolled_back",
        "fail",
        "kairos",
    )
    assert "too many errors" in last.body["reasons"][0]
    again = decide_again(last.body["question"], last.body["policy"], last.body["evidence"])
    assert (again.action, [again.sentence]) == ("rollback", last.body["reasons"])
