"""What waits together is answered together; who waits too long is told; a model that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.errors import Late, Overloaded, Unavailable
from kairos.serving import lane as lanes
from kairos.serving.asks import Ask, Given
from kairos.serving.guard import OutputGuard
from kairos.serving.lane import Lane
from kairos.serving.rows import Answers
from kairos.serving.server import ModelServer
from kairos.store.predictions import PredictionLog
from tests.serving.toys import Columns, Registry, Rule, adds, make_server, route


def plays(rules: dict[int, Rule], folder: Path, **options: Any) -> ModelServer:
    """A server whose first versions are loaded."""
    registry = Registry(rules, options.pop("route", route(1)))
    server = make_server(registry, PredictionLog(folder).writer("toy"), **options)
    server.follower.poll()
    return server


def ask(server: ModelServer, *temperatures: float) -> Ask:
    """A request with a row for each."""
    rows = ",".join(f'{{"temperature": {one}}}' for one in temperatures)
    return server.read("demand", f"[{rows}]".encode())


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """In an event loop of its own."""
    return asyncio.run(work())


def counting(calls: list[int], slow_s: float = 0.0) -> Rule:
    """Adds 1000, and notes the rows of each call once it is warm."""

    def rule(columns: Columns) -> Any:
        if columns["temperature"][0] != 0.0:
            calls.append(len(columns["temperature"]))
            time.sleep(slow_s)
        return columns["temperature"] + 1000.0

    return rule


@pytest.mark.parametrize("slow_s", [0.0, 0.01])
def test_what_comes_while_a_prediction_runs_joins_the_next(tmp_path: Path, slow_s: float) -> None:
    """Each client gets her own rows back, from few calls, whether the model is quick or has a thread."""
    calls: list[int] = []
    server = plays({1: counting(calls, slow_s)}, tmp_path)

    async def work() -> list[Any]:
        lane = Lane(server.answer, clock=server.clock, name="demand")
        rounds = []
        for _ in range(3 if slow_s else 20):
            rounds.append(await asyncio.gather(*(lane.submit(ask(server, n + 1.0, n + 2.0)) for n in range(50))))
        lane.close()
        return rounds

    for answers in run(work):
        assert [list(each.outputs) for each in answers] == [[n + 1001.0, n + 1002.0] for n in range(50)]
    assert sum(calls) == (300 if slow_s else 2000)
    assert len(calls) <= (6 if slow_s else 25)
    server.close()


def test_nobody_fails_because_of_what_another_sent(tmp_path: Path) -> None:
    """A row on which the model raises, and one that gives nothing usable, fail alone; all are on record."""

    def picky(columns: Columns) -> Any:
        if (columns["temperature"] == 13.0).any():
            raise RuntimeError("no")
        return np.where(columns["temperature"] == 14.0, np.nan, columns["temperature"])

    server = plays({1: picky}, tmp_path)
    asks = [ask(server, 1.0, 2.0), ask(server, 13.0, 3.0), ask(server, 4.0), ask(server, 5.0, 14.0)]
    fine, raised, alone, unusable = server.answer(asks).answers
    assert isinstance(fine, Answers)
    assert isinstance(alone, Answers)
    assert (list(fine.outputs), list(alone.outputs)) == ([1.0, 2.0], [4.0])
    assert isinstance(raised, Unavailable)
    assert raised.facts["row"] == 0
    assert isinstance(unusable, Unavailable)
    assert unusable.facts["row"] == 1
    server.close()
    rows = [row for each in (fine, alone) for name in each.ids for row in PredictionLog(tmp_path).find(name)]
    assert [row.answered for row in rows] == [True, True, True]


def test_a_canary_splits_what_was_joined_by_each_clients_key(tmp_path: Path) -> None:
    """Answered together or alone, the same entity is answered by the same version."""
    rules = {1: adds(1000.0), 2: adds(2000.0)}
    server = plays(rules, tmp_path, route=route(1, challenger=2, stage="canary", share=0.5))
    bodies = [f'{{"inputs": {{"temperature": 1}}, "entity": "user-{n}"}}'.encode() for n in range(40)]
    asks = [server.read("demand", body) for body in bodies]
    together = [each.versions for each in server.answer(asks).answers if isinstance(each, Answers)]
    alone = [server.answer([one]).answers[0] for one in asks]
    assert together == [each.versions for each in alone if isinstance(each, Answers)]
    assert {version for versions in together for version in versions} == {1, 2}
    server.close()


def test_the_guard_judges_each_row_of_what_was_joined(tmp_path: Path) -> None:
    """What is clipped is said to the client whose row it is."""
    server = plays({1: adds(0.0)}, tmp_path, guard=OutputGuard(lower=0.0, on_violation="clip"))
    first, second = server.answer([ask(server, -5.0, 1.0), ask(server, 2.0)]).answers
    assert isinstance(first, Answers)
    assert isinstance(second, Answers)
    assert (list(first.outputs), list(first.actions)) == ([0.0, 1.0], ["clip", None])
    assert (list(second.outputs), list(second.actions)) == ([2.0], [None])
    server.close()


def test_who_waits_too_long_is_told_while_the_model_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in its call, those behind it, and those whom a full lane sends away; other lanes go on."""
    monkeypatch.setattr(lanes, "_LOOK_S", 0.01)
    monkeypatch.setattr(lanes, "MOST_WAITING", 2)
    release = threading.Event()

    def hangs(columns: Columns) -> Any:
        if columns["temperature"][0] != 0.0:
            release.wait(30)
        return columns["temperature"]

    server = plays({1: hangs}, tmp_path)

    async def work() -> None:
        lane = Lane(server.answer, clock=server.clock, name="demand")
        first = lane.submit(ask(server, 1.0), within_s=0.05)
        await asyncio.sleep(0.01)
        second = lane.submit(ask(server, 2.0), within_s=0.05)
        third = lane.submit(ask(server, 3.0))
        with pytest.raises(Overloaded, match="wait for 'demand'"):
            lane.submit(ask(server, 4.0))
        for one in (first, second):
            with pytest.raises(Late, match="did not answer in time"):
                await asyncio.wait_for(one, 5)
        other = Lane(server.answer, clock=server.clock, name="other")
        assert not third.done()
        release.set()
        answers = await third
        assert isinstance(answers, Answers)
        assert list(answers.outputs) == [3.0]
        lane.close()
        other.close()

    run(work)
    server.close()


def test_a_fault_is_told_to_each_client_and_the_lane_goes_on() -> None:
    """What nobody foresaw reaches all who were answered together, and nobody after them."""

    class Rows:
        count = 1

    class Toy(Ask, frozen=True):
        def goes_with(self, other: Ask) -> bool:
            return True

    class Clock:
        def elapsed_s(self) -> float:
            return 0.0

    faults = iter([True, False])

    def answer(asks: Sequence[Ask]) -> Given:
        if next(faults):
            raise ZeroDivisionError("of ours")
        return Given(answers=[Unavailable("none") for _ in asks])

    async def work() -> None:
        lane = Lane(answer, clock=Clock(), name="toy")  # type: ignore[arg-type]
        toy: Any = Toy(route=None, role=None, rows=Rows(), codec=None, start_s=0.0)  # type: ignore[arg-type]
        told = await asyncio.gather(lane.submit(toy), lane.submit(toy), return_exceptions=True)
        assert [type(each) for each in told] == [ZeroDivisionError, ZeroDivisionError]
        assert isinstance(await lane.submit(toy), Unavailable)
        lane.close()

    run(work)
