"""Workers that are killed, stand still, or cannot begin again: what others notice, and what they are told."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kairos.store.predictions import PredictionLog
from kairos.values import Window
from tests.serving.crews import Crew, crews, until

EVER = Window.parse("2020-01-01..2100-01-01")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Crew]]:
    """Starts crews, and ends them."""
    with crews(tmp_path) as starting:
        yield starting


def ready(crew: Crew) -> tuple[int, Any]:
    """What one of the workers says of its health."""
    return crew.call("GET", "/health/ready")


def states(crew: Crew) -> list[str]:
    """Of all workers, as one of them says; nothing where the connection was to one that is gone."""
    try:
        return [one["state"] for one in ready(crew)[1]["workers"]]
    except (OSError, http.client.HTTPException):
        return []


def all_answer(crew: Crew) -> bool:
    """Whether all workers are there, as one of them says."""
    return set(states(crew)) == {"answers"}


def has_other_workers(crew: Crew, than: Mapping[int, int]) -> bool:
    """Whether all workers are there, and not the same as before."""
    return crew.workers() not in ({}, than) and all_answer(crew)


def ask(crew: Crew, stop: threading.Event, answered: list[str], lost: list[Exception]) -> None:
    """A user who connects, asks and hangs up, again and again."""
    while not stop.is_set():
        try:
            answered.append(crew.predict()["prediction_id"])
        except (http.client.HTTPException, OSError) as error:  # it was in the hands of one that was killed
            lost.append(error)


@pytest.mark.parametrize("mode", ["fast", "durable"])
def test_killed_in_a_loop_under_load_each_acknowledged_prediction_is_on_record_once(
    start: Callable[..., Crew], tmp_path: Path, mode: str
) -> None:
    """No id is lost, none is there twice, few requests fail, and another worker answers within a second."""
    if mode == "durable":
        (tmp_path / "durable").touch()
    crew, stop, answered, lost = start(), threading.Event(), list[str](), list[Exception]()
    chance, back_s = random.Random(4), list[float]()
    with ThreadPoolExecutor(3) as pool:
        users = [pool.submit(ask, crew, stop, answered, lost) for _ in range(3)]
        for _ in range(6):
            time.sleep(chance.uniform(0.05, 0.3))
            workers = crew.workers()
            os.kill(workers[chance.choice(sorted(workers))], signal.SIGKILL)
            began_s = time.monotonic()
            until(partial(has_other_workers, crew, workers), "another one answers")
            back_s.append(time.monotonic() - began_s)
        stop.set()
        for user in users:
            user.result()
    assert len(answered) > 100
    assert len(lost) <= 6 * 3
    assert len(set(answered)) == len(answered)
    assert min(back_s) < 1.0, "the first in each place; who dies again and again has to wait"
    log = PredictionLog(tmp_path / "log")
    rows = log.predictions("demand", EVER).filter(pl.col("answered"))["id"].to_list()
    assert len(set(rows)) == len(rows)
    assert set(answered) <= set(rows)
    log.roll()
    again = log.predictions("demand", EVER).filter(pl.col("answered"))["id"].to_list()
    assert sorted(again) == sorted(rows)
    assert crew.counted("kairos_worker_restarts_total") == 6


def test_a_worker_that_cannot_begin_again_says_why_through_the_others(
    start: Callable[..., Crew], tmp_path: Path
) -> None:
    """Its reason is in their health, metrics and the log; nobody waits at its socket; once mended it is back."""
    crew = start()
    (tmp_path / "broken").touch()
    os.kill(crew.pids[0], signal.SIGKILL)

    until(lambda: states(crew) == ["fails", "answers"], "the others know")
    status, body = ready(crew)
    assert (status, body["ready"]) == (200, True), "those that answer serve on"
    assert body["workers"][0]["reason"] == "Nothing is served. Given: a toy. Type: mend"
    assert {crew.predict()["version"] for _ in range(30)} == {1}, "nobody waits where nobody is"
    assert crew.counted('kairos_workers{state="fails"}') == 1
    assert crew.counted('kairos_workers{state="answers"}') == 1
    assert "Worker 0 cannot begin to answer, and is tried again: Nothing is served." in crew.stderr()
    (tmp_path / "broken").unlink()
    until(lambda: all_answer(crew), "it is back")
    assert {crew.predict()["version"] for _ in range(20)} == {1}
    assert crew.stderr().count("cannot begin to answer") == 1, "told once, not at each try"


def test_where_no_worker_could_load_anything_one_answers_and_tells_why(
    start: Callable[..., Crew], tmp_path: Path
) -> None:
    """All killed, and the model is broken: not ready, and the reason is told; once mended it serves."""
    crew = start()
    (tmp_path / "broken").touch()
    for pid in crew.pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: bool(crew.workers()), "one begins all the same")
    status, body = ready(crew)
    assert (status, body["ready"], body["missing"]) == (503, False, ["demand"])
    assert "The package is broken." in body["troubles"][0]["reason"]
    refused, answer = crew.call("POST", "/predict/demand", {"inputs": {"temperature": 0.5}})
    assert (refused, answer["error"]["code"]) == (503, "unavailable")
    (tmp_path / "broken").unlink()
    until(lambda: ready(crew)[0] == 200 and all_answer(crew), "it serves")


@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_a_worker_that_stands_still_is_replaced(start: Callable[..., Crew], how: str) -> None:
    """Stopped from outside, or lost in native code: within its patience another one answers, and the log says where."""
    crew = start(patience_s=1.0)
    if how == "stopped":
        os.kill(crew.pids[0], signal.SIGSTOP)
    else:
        with pytest.raises((http.client.HTTPException, OSError)):
            crew.call("POST", "/predict/demand", {"inputs": {"temperature": 666.0}})
    until(lambda: "stands still for 1 s; it is ended" in crew.stderr(), "it is noticed")
    until(lambda: "was killed by SIGKILL" in crew.stderr(), "it is ended")
    until(partial(has_other_workers, crew, dict(enumerate(crew.pids))), "another one is there")
    assert {crew.predict()["version"] for _ in range(20)} == {1}
    reasons = [one["reason"] for one in ready(crew)[1]["workers"]]
    assert sorted(map(str, reasons)) == ["None", "stood still and was killed by SIGKILL"]
    if how == "hanging":
        assert "toy_seat.py" in crew.stderr(), "it says where"


def test_a_worker_that_loads_a_version_is_not_taken_for_one_that_hangs(start: Callable[..., Crew]) -> None:
    """A load that keeps the interpreter to itself for longer than a worker may stand still."""
    crew = start(patience_s=0.5)
    seq = crew.follow("7 - 0 1")
    until(lambda: crew.call("GET", f"/state?seq={seq}")[1]["reached"], "it is loaded by all")
    assert {crew.predict()["version"] for _ in range(20)} == {7}
    assert crew.stderr() == ""
