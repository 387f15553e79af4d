"""A version that hangs is given up where another can answer, and counted against it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kairos.serving.cutoff import CutOff, TimedOut
from kairos.serving.rows import Answers
from kairos.serving.server import ModelServer
from kairos.store.counts import CountLog
from kairos.store.predictions import PredictionLog
from kairos.values import parse_moment
from tests.serving.toys import Columns, Registry, Rule, adds, make_server, route

SINCE = parse_moment("2020-01-01T00:00Z")


@pytest.fixture
def hangs() -> Any:
    """A model that answers nothing until the test is over, once it is warm."""
    release = threading.Event()

    def rule(columns: Columns) -> Any:
        if columns["temperature"][0] != 0.0:
            release.wait(60)
        return columns["temperature"] + 2000.0

    yield rule
    release.set()


def plays(rules: dict[int, Rule], folder: Path, **options: Any) -> ModelServer:
    """A server whose versions are given up after 50 milliseconds."""
    made = options.pop("route")
    log, counts = PredictionLog(folder / "log"), CountLog(folder / "counts")
    server = make_server(
        Registry(rules, made),
        log.writer("toy"),
        counts=counts.writer("toy", now=SINCE),
        timeout=timedelta(milliseconds=50),
        **options,
    )
    server.follower.poll()
    return server


def answers(server: ModelServer, users: range) -> list[Answers]:
    """What each of the users gets, asked together."""
    bodies = [f'{{"inputs": {{"temperature": 1}}, "entity": "user-{n}"}}'.encode() for n in users]
    given = server.answer([server.read("demand", body) for body in bodies])
    if given.after is not None:
        given.after()
    return [each for each in given.answers if isinstance(each, Answers)]


def counted(folder: Path) -> dict[str, int]:
    """The totals of the only comparison."""
    totals: dict[str, int] = {}
    for process in CountLog(folder / "counts").processes():
        for sheet in process.sheets:
            for name, count in sheet.counts.items():
                totals[name] = totals.get(name, 0) + count
    return totals


def test_a_version_that_cannot_hang_is_called_without_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled form is a graph without loops: to wait for it in a thread would cost more than it takes."""
    made = route(1, challenger=2, stage="canary", share=0.5, trial_since=SINCE)
    server, called = plays({1: adds(1000.0), 2: adds(2000.0)}, tmp_path, route=made), list[str]()
    real = CutOff.call

    def call(self: CutOff, work: Callable[[], Any], *, within_s: float, name: str) -> Any:
        called.append(name)
        return real(self, work, within_s=within_s, name=name)

    monkeypatch.setattr(CutOff, "call", call)
    answers(server, range(20))
    assert set(called) == {"kairos-demand@2"}
    called.clear()
    challenger = server.follower.deployment.routes["demand"].challenger
    assert challenger is not None
    object.__setattr__(challenger, "is_bounded", True)
    assert len(answers(server, range(20))) == 20
    server.close()
    assert called == []


def test_a_challenger_that_hangs_costs_its_users_one_timeout(tmp_path: Path, hangs: Rule) -> None:
    """The champion answers for it, later requests do not wait for it at all, and each failure is counted."""
    made = route(1, challenger=2, stage="canary", share=0.5, trial_since=SINCE)
    server = plays({1: adds(1000.0), 2: hangs}, tmp_path, route=made)
    start = time.monotonic()
    first = answers(server, range(20))
    took_s = time.monotonic() - start
    assert [list(each.outputs) for each in first] == [[1001.0]] * 20
    assert took_s < 5.0
    for _ in range(5):
        assert len(answers(server, range(20))) == 20
    server.close()
    found = counted(tmp_path)
    assert found["requests"] == 120
    assert found["own.errors"] == 120, "in the canary, and in the shadow of the others"
    assert 1 <= found["asked.errors.test"] < 20, "of a user the first one"
    assert found.get("asked.errors.base", 0) == 0


def test_a_new_champion_that_hangs_is_answered_for_by_the_former_one(tmp_path: Path, hangs: Rule) -> None:
    """In its bake; its errors are what takes it back."""
    made = route(2, previous=1, bake_since=SINCE)
    server = plays({1: adds(1000.0), 2: hangs}, tmp_path, route=made)
    for _ in range(3):
        assert [list(each.outputs) for each in answers(server, range(4))] == [[1001.0]] * 4
    server.close()
    assert counted(tmp_path)["own.errors"] == 12


def test_a_shadow_that_hangs_holds_up_no_other_shadow(tmp_path: Path, hangs: Rule) -> None:
    """What it owes is given up, and what others owe is done."""
    made = route(1, challenger=2, stage="shadow", trial_since=SINCE)
    server = plays({1: adds(1000.0), 2: hangs}, tmp_path, route=made)
    for _ in range(10):
        answers(server, range(3))
    server.close()  # which waits for what is owed
    assert counted(tmp_path)["own.errors"] == 30


def test_what_ends_after_all_is_called_again() -> None:
    """Meanwhile nobody waits for it; errors of the work come through."""
    cut, go_on = CutOff(), threading.Event()
    with pytest.raises(TimedOut):
        cut.call(lambda: go_on.wait(60), within_s=0.01, name="toy")
    calls: list[int] = []
    with pytest.raises(TimedOut):
        cut.call(lambda: calls.append(1), within_s=10, name="toy")
    assert calls == []
    go_on.set()
    end = time.monotonic() + 30
    while not calls and time.monotonic() < end:
        try:
            cut.call(lambda: calls.append(1), within_s=10, name="toy")
        except TimedOut:
            time.sleep(0.001)
    assert calls == [1]
    with pytest.raises(ZeroDivisionError):
        cut.call(lambda: 1 / 0, within_s=10, name="toy")
    assert cut.call(lambda: 7, within_s=10, name="toy") == 7


@pytest.mark.parametrize("callers", [8])
def test_it_is_called_from_many_threads_at_once(callers: int) -> None:
    """Each gets what is hers."""
    cut, found = CutOff(), [list[int]() for _ in range(callers)]

    def asks(mine: int) -> Callable[[], None]:
        def run() -> None:
            for n in range(200):
                found[mine].append(cut.call(partial(sum, (mine * 1000, n)), within_s=30, name="toy"))

        return run

    threads = [threading.Thread(target=asks(mine)) for mine in range(callers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [[mine * 1000 + n for n in range(200)] for mine in range(callers)]
