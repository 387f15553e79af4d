"""What a server of several workers does while its disk is full or its log cannot be written: the table in the docs."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kairos.store.predictions import PredictionLog
from tests.serving.crews import Crew, crews, until

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Crew]]:
    """Starts crews, and ends them."""
    with crews(tmp_path) as starting:
        yield starting


def warm(crew: Crew) -> list[tuple[int, Any]]:
    """Has each worker make all the files it needs, and a log longer than any other of them."""
    return ask(crew, 60)


def fill(crew: Crew, *, is_full: bool) -> None:
    """Lets the log of no worker grow further, as on a full disk; or again."""
    for pid in crew.workers().values():
        size = sum(path.stat().st_size for path in (crew.folder / "log" / "spool").glob(f"toy-{pid}-*"))
        limit = (size, resource.RLIM_INFINITY) if is_full else UNLIMITED
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)


def ask(crew: Crew, times: int) -> list[tuple[int, Any]]:
    """Answers to so many requests, each over a connection of its own."""
    body = {"inputs": {"temperature": 0.5}}
    return [crew.call("POST", "/predict/demand", body) for _ in range(times)]


def kept(folder: Path, answers: list[tuple[int, Any]]) -> int:
    """How many of the answers are in the log, each once."""
    log = PredictionLog(folder / "log")
    found = [len(log.find(answer["prediction_id"])) for _, answer in answers]
    assert set(found) <= {0, 1}
    return sum(found)


def not_captured(crew: Crew, answered: str) -> float:
    """What the counter says."""
    return crew.counted(f'kairos_not_captured_total{{answered="{answered}"}}')


def capture(crew: Crew) -> Any:
    """What one of the workers says of its log."""
    return crew.call("GET", "/health/ready")[1]["capture"]


def test_a_full_disk_in_fast_capture(start: Callable[..., Crew], tmp_path: Path) -> None:
    """All are answered, marked and counted; each answered id is in the log or in the counter."""
    crew = start()
    before = warm(crew)
    fill(crew, is_full=True)
    during = ask(crew, 20)
    assert {(status, answer["captured"]) for status, answer in during} == {(200, False)}
    assert not_captured(crew, "true") == 20
    told = [crew.call("GET", "/health/ready") for _ in range(10)]
    assert {(status, body["ready"]) for status, body in told} == {(200, True)}
    assert all("File too large" in body["capture"]["trouble"] for _, body in told)
    assert crew.counted("kairos_capture_trouble") == 1
    fill(crew, is_full=False)
    after = ask(crew, 20)
    assert {status for status, _ in before + after} == {200}
    assert not any("captured" in answer for _, answer in after)
    assert (kept(tmp_path, before), kept(tmp_path, during), kept(tmp_path, after)) == (60, 0, 20)
    assert not_captured(crew, "true") == 20
    assert crew.stderr().count("Predictions are answered but not captured") == 2, "once a worker"


def test_a_full_disk_in_durable_capture(start: Callable[..., Crew], tmp_path: Path) -> None:
    """Nothing leaves that is not on the disk: 503 and not ready; once there is room it is ready by itself."""
    (tmp_path / "durable").touch()
    crew = start()
    before = warm(crew)
    fill(crew, is_full=True)
    during = ask(crew, 20)
    assert {(status, answer["error"]["code"]) for status, answer in during} == {(503, "not_captured")}
    assert (not_captured(crew, "true"), not_captured(crew, "false")) == (0, 20)
    assert {crew.call("GET", "/health/ready")[0] for _ in range(10)} == {503}
    status, labels = crew.call("POST", "/labels", {"labels": [{"prediction_id": "p1", "value": 1.0}]})
    assert (status, labels["error"]["code"]) == (503, "store_error")
    fill(crew, is_full=False)
    until(lambda: all(crew.call("GET", "/health/ready")[0] == 200 for _ in range(10)), "it finds out by itself")
    after = ask(crew, 20)
    assert {status for status, _ in before + after} == {200}
    assert (kept(tmp_path, before), kept(tmp_path, after)) == (60, 20)
    assert not_captured(crew, "false") == 20


@pytest.mark.parametrize("mode", ["fast", "durable"])
def test_a_log_that_cannot_be_written_stops_no_worker_from_beginning(
    start: Callable[..., Crew], tmp_path: Path, mode: str
) -> None:
    """A worker that is begun again answers and counts in fast capture, and refuses in durable; later both keep."""
    if mode == "durable":
        (tmp_path / "durable").touch()
    crew = start(count=1)
    before, spool = ask(crew, 5), tmp_path / "log" / "spool"
    spool.rename(tmp_path / "away")
    spool.touch()  # whoever runs the tests may be allowed to write anywhere, but not below a file
    os.kill(crew.pids[0], signal.SIGKILL)
    during = ask(crew, 5)
    assert {status for status, _ in during} == {200 if mode == "fast" else 503}
    assert not_captured(crew, "true" if mode == "fast" else "false") == 5
    assert "cannot be opened" in capture(crew)["trouble"]
    spool.unlink()
    (tmp_path / "away").rename(spool)

    def is_kept() -> bool:
        [(status, answer)] = ask(crew, 1)
        return status == 200 and "captured" not in answer and kept(tmp_path, [(status, answer)]) == 1

    until(is_kept, "it finds out")
    assert capture(crew)["trouble"] is None
    assert kept(tmp_path, before) == 5


def test_a_disk_that_comes_and_goes_under_load_loses_no_answered_id(start: Callable[..., Crew], tmp_path: Path) -> None:
    """Each answered id is in the log or says itself that it is not; the counter has as many as say so."""
    crew, stop = start(), threading.Event()
    warm(crew)

    def user() -> list[tuple[int, Any]]:
        answers = []
        while not stop.is_set():
            answers += ask(crew, 1)
        return answers

    with ThreadPoolExecutor(3) as pool:
        users = [pool.submit(user) for _ in range(3)]
        for turn in range(8):
            fill(crew, is_full=turn % 2 == 0)
            stop.wait(0.15)
        stop.set()
        answers = [answer for each in users for answer in each.result()]
    marked = [each for each in answers if "captured" in each[1]]
    plain = [each for each in answers if "captured" not in each[1]]
    assert {status for status, _ in answers} == {200}
    assert marked
    assert plain
    assert (kept(tmp_path, plain), kept(tmp_path, marked)) == (len(plain), 0)
    assert not_captured(crew, "true") == len(marked)
