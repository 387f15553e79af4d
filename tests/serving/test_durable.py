"""Durable capture over every protocol: no answer leaves before its predictions are on the disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from kairos.serving import lane
from kairos.serving.app import make_app
from kairos.serving.server import ModelServer
from kairos.store import durable
from kairos.store.predictions import PredictionLog
from tests.serving.toys import Columns, FullDisk, Registry, Rule, adds, make_server, route
from tests.store.disks import Disk

ROW = {"temperature": 1.0}
WAYS: Mapping[str, tuple[str, Any]] = {
    "plain": ("/predict/demand", ROW),
    "list": ("/predict/demand", [ROW, ROW]),
    "inference": (
        "/v2/models/demand/infer",
        {"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "data": [1.0]}]},
    ),
    "version": (
        "/v2/models/demand/versions/1/infer",
        {"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "data": [1.0]}]},
    ),
    "mlflow": ("/invocations", {"dataframe_records": [ROW]}),
    "labels": ("/labels", {"labels": [{"prediction_id": "p1", "value": 2.0}]}),
}


def durable_server(folder: Path, rules: Mapping[int, Rule] | None = None, **options: Any) -> ModelServer:
    """A server whose answers wait for the disk."""
    writer = PredictionLog(folder).writer("toy", is_durable=True)
    return make_server(Registry(rules or {1: adds(1000.0)}, options.pop("route", route(1))), writer, **options)


def talk(server: ModelServer, work: Callable[[httpx.AsyncClient], Any]) -> Any:
    """Runs what a client does while the server is up."""

    async def run() -> Any:
        app = make_app(server)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://t") as http,
        ):
            return await work(http)

    return asyncio.run(run())


async def settled(tasks: list[asyncio.Task[httpx.Response]], what: Callable[[], bool]) -> None:
    """Waits for a condition, within reason."""
    for _ in range(5000):
        if what():
            return
        await asyncio.sleep(0.001)
    raise AssertionError(tasks)


@pytest.mark.parametrize("way", WAYS)
def test_no_answer_leaves_before_the_disk_has_it(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a sync hangs nobody is answered, and pages of health go on; once it ends all are."""
    disk, server, (path, body) = Disk(monkeypatch), durable_server(tmp_path), WAYS[way]

    async def work(http: httpx.AsyncClient) -> list[httpx.Response]:
        disk.gate.clear()
        syncs = disk.syncs
        tasks = [asyncio.create_task(http.post(path, json=body)) for _ in range(3)]
        await settled(tasks, lambda: disk.syncs > syncs)
        assert (await http.get("/health/ready")).status_code == 200
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in tasks)
        disk.gate.set()
        return list(await asyncio.gather(*tasks))

    answers = talk(server, work)
    assert [answer.status_code for answer in answers] == [200] * 3


def has_predicted(calls: list[int], rows: int) -> bool:
    """Whether that many were."""
    return sum(calls) == rows


def test_predictions_go_on_while_earlier_ones_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's lane does not wait for the disk; what was predicted meanwhile is synced together."""
    calls, disk = list[int](), Disk(monkeypatch)

    def rule(columns: Columns) -> Any:
        calls.append(len(columns["temperature"]))
        return columns["temperature"]

    server = durable_server(tmp_path, {1: rule})

    async def work(http: httpx.AsyncClient) -> None:
        disk.gate.clear()
        tasks = []
        for number in range(1, 11):
            tasks.append(asyncio.create_task(http.post("/predict/demand", json=ROW)))
            await settled(tasks, partial(has_predicted, calls, 1 + number))  # the first call warms up
        syncs = disk.syncs
        disk.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}
        assert disk.syncs <= syncs + 1

    talk(server, work)


@pytest.mark.parametrize("way", WAYS)
def test_a_sync_that_fails_is_told_and_counted(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, nothing of ours in it, counted as not captured and not answered; the next one goes to a new spool."""
    monkeypatch.setattr(durable, "RETRY_S", 0.01)
    is_broken = False
    disk = Disk(monkeypatch, fails=lambda: is_broken)
    server, (path, body) = durable_server(tmp_path), WAYS[way]

    async def work(http: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response, str]:
        nonlocal is_broken
        is_broken = True
        lost = await http.post(path, json=body)
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert "Input/output error" in ready.json()["capture"]["trouble"]
        is_broken = False
        await settled([], lambda: server.sink_trouble is None)
        return lost, await http.post(path, json=body), (await http.get("/metrics")).text

    lost, fine, metrics = talk(server, work)
    assert (lost.status_code, fine.status_code) == (503, 200)
    assert "journal" not in lost.text
    assert "retry-after" in lost.headers or way not in ("plain", "list", "labels")
    rows = {"labels": 0, "list": 2}.get(way, 1)
    assert f'kairos_not_captured_total{{answered="false"}} {rows}.0' in metrics
    assert 'kairos_not_captured_total{answered="true"} 0.0' in metrics
    if rows:
        assert f'answered="false",model="demand",role="champion",version="1"}} {rows}.0' in metrics
        assert f'answered="true",model="demand",role="champion",version="1"}} {rows}.0' in metrics
    disk.cut_power(tmp_path)
    if way == "plain":
        assert json.loads(lost.text)["error"]["code"] == "not_captured"
        assert len(PredictionLog(tmp_path).find(fine.json()["prediction_id"])) == 1


def test_without_room_no_answer_leaves(tmp_path: Path) -> None:
    """A durable server answers nothing that it cannot write down; it says so in health, and counts."""

    class Full(FullDisk):
        is_durable = True

    server = make_server(Registry({1: adds(1000.0)}, route(1)), Full())

    async def work(http: httpx.AsyncClient) -> tuple[httpx.Response, httpx.Response, str]:
        return (
            await http.post("/predict/demand", json=ROW),
            await http.get("/health/ready"),
            (await http.get("/metrics")).text,
        )

    answer, ready, metrics = talk(server, work)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_captured")
    assert (ready.status_code, ready.json()["capture"]) == (503, {"mode": "durable", "trouble": "The disk is full."})
    assert 'kairos_not_captured_total{answered="false"} 1.0' in metrics
    assert "kairos_capture_trouble 1.0" in metrics


def test_a_disk_that_hangs_is_504_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are told in time, and what waits for the disk counts as waiting."""
    monkeypatch.setattr(lane, "MOST_WAITING", 4)
    disk, server = Disk(monkeypatch), durable_server(tmp_path)

    async def work(http: httpx.AsyncClient) -> None:
        disk.gate.clear()
        headers = {"timeout-ms": "300"}
        tasks = [asyncio.create_task(http.post("/predict/demand", json=ROW, headers=headers)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert (await http.post("/predict/demand", json=ROW)).json()["error"]["code"] == "overloaded"
        assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {504}
        disk.gate.set()
        await settled([], lambda: disk.safe != {})
        await asyncio.sleep(0.05)
        assert (await http.post("/predict/demand", json=ROW)).status_code == 200

    talk(server, work)


def test_what_a_shadow_owes_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are written after the answer; if they are lost, that is counted."""
    is_broken, disk = False, Disk(monkeypatch)
    disk.fails = lambda: is_broken
    rules = {1: adds(1000.0), 2: adds(2000.0)}
    server = durable_server(tmp_path, rules, route=route(1, challenger=2, stage="shadow"))

    async def work(http: httpx.AsyncClient) -> str:
        nonlocal is_broken
        syncs = disk.syncs
        answer = await http.post("/predict/demand", json=ROW)
        assert answer.status_code == 200
        await settled([], lambda: disk.syncs >= syncs + 2)
        assert len(PredictionLog(tmp_path).find(answer.json()["prediction_id"])) == 2
        return answer.text

    talk(server, work)
