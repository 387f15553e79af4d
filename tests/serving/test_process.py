"""The server as a real process: versions swapped under traffic, killed, and told to stop."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving.running import Toy
from tests.store.disks import cut_power

COLUMNS = {"temperature": 0.5}


def post(connection: http.client.HTTPConnection, body: Any) -> tuple[int, Any]:
    """One request over an open connection."""
    connection.request("POST", "/predict/demand", json.dumps(body))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def traffic(toy: Toy, user: int, stop: threading.Event, answered: list[Any]) -> None:
    """A user who asks, one row and then three, until told to stop; being cut off is an error."""
    with closing(toy.connect()) as connection:
        while not stop.is_set():
            answered.append(post(connection, {"inputs": COLUMNS, "entity": user}))
            status, three = post(connection, [{**COLUMNS, "station": f"{user}-{n}"} for n in range(3)])
            answered += [(status, answer) for answer in three.get("predictions", [three])]


def test_versions_are_swapped_under_traffic_without_a_failed_or_mixed_answer(start: Callable[..., Toy]) -> None:
    """While rollouts go on, damaged ones among them, every request is answered by the version that it names."""
    toy, stop, answered = start(), threading.Event(), list[Any]()
    steps = ["1 2 0 -", "1 2 0.5 -", "2 - 0 1", "2 3 0.3 -", "9 - 0 2", "3 - 0 2", "1 - 0 -"]
    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(traffic, toy, user, stop, answered) for user in range(4)]
        for step in steps * 4:
            seq, before = toy.follow(step), len(answered)
            state = toy.get(f"/state?seq={seq}")
            assert (state["seq"], state["reached"]) == (seq, not step.startswith("9"))
            while len(answered) < before + 40 and toy.process.poll() is None:  # some traffic for each step
                time.sleep(0.001)
        stop.set()
        for user in users:
            user.result()
    assert {status for status, _ in answered} == {200}
    assert {answer["version"] for _, answer in answered} == {1, 2, 3}
    assert all(answer["prediction"] == 1000.0 * answer["version"] + 0.5 for _, answer in answered)
    assert len({answer["prediction_id"] for _, answer in answered}) == len(answered)


def test_killed_in_the_middle_of_traffic_it_has_every_answer_on_record(start: Callable[..., Toy]) -> None:
    """``kill -9``: each prediction id that a client holds is in the log, with what she was told; a restart goes on."""
    toy, answered = start(), list[Any]()
    toy.get(f"/state?seq={toy.follow('1 2 0.5 -')}")
    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(traffic, toy, user, threading.Event(), answered) for user in range(4)]
        while len(answered) < 400:
            time.sleep(0.001)
        os.kill(toy.process.pid, signal.SIGKILL)
        toy.process.wait()
        assert all(isinstance(user.exception(), OSError | http.client.HTTPException) for user in users)
    log = toy.log
    for status, answer in answered:
        assert status == 200
        (row,) = [row for row in log.find(answer["prediction_id"]) if row.answered]
        assert (row.output, row.version) == (answer["prediction"], answer["version"])
    again = start()
    with closing(again.connect()) as connection:
        _, answer = post(connection, COLUMNS)
    assert again.log.find(answer["prediction_id"])
    assert log.find(answered[0][1]["prediction_id"])


def test_a_power_cut_takes_no_acknowledged_prediction(start: Callable[..., Toy], tmp_path: Path) -> None:
    """In durable capture: killed in the middle of traffic, and all lost that was not synced, every id is in the log."""
    (tmp_path / "durable").touch()
    toy, answered = start(), list[Any]()
    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(traffic, toy, user, threading.Event(), answered) for user in range(4)]
        while len(answered) < 400:
            time.sleep(0.001)
        os.kill(toy.process.pid, signal.SIGKILL)
        toy.process.wait()
        assert all(isinstance(user.exception(), OSError | http.client.HTTPException) for user in users)
    noted = (line.rsplit(" ", 1) for line in (tmp_path / "synced").read_text().splitlines())
    safe = {path: int(size) for path, size in noted}  # the last note of a file is the largest
    cut_power(tmp_path, safe)
    assert {status for status, _ in answered} == {200}
    assert all(len(toy.log.find(answer["prediction_id"])) == 1 for _, answer in answered)


def takes_connections(toy: Toy) -> bool:
    """Whether it still listens."""
    try:
        with closing(toy.connect()) as other:
            other.connect()
    except OSError:
        return False
    return True


def test_ctrl_c_once_more_ends_it_at_once(start: Callable[..., Toy], tmp_path: Path) -> None:
    """With 130, whatever is on its way; what was answered before is on record."""
    toy = start()
    toy.get(f"/state?seq={toy.follow('8 1 0 -')}")
    with ThreadPoolExecutor(1) as pool, closing(toy.connect()) as connection:
        lost = pool.submit(post, connection, COLUMNS)
        while not (tmp_path / "busy").exists():
            time.sleep(0.001)
        toy.process.send_signal(signal.SIGINT)
        while takes_connections(toy):  # it has seen the first signal once it takes no one else
            time.sleep(0.001)
        toy.process.send_signal(signal.SIGINT)
        assert toy.process.wait(timeout=60) == 130
        assert lost.exception() is not None


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_is_on_its_way(
    start: Callable[..., Toy], tmp_path: Path, sign: signal.Signals
) -> None:
    """Requests that came before the signal are answered and on record; then ``serve`` returns to its caller."""
    toy = start()
    toy.get(f"/state?seq={toy.follow('8 1 0 -')}")
    with ThreadPoolExecutor(3) as pool:

        def ask() -> tuple[int, Any]:
            with closing(toy.connect()) as connection:
                return post(connection, COLUMNS)

        asked = [pool.submit(ask) for _ in range(3)]
        while not (tmp_path / "busy").exists() or (tmp_path / "busy").read_text() != "xxx":
            time.sleep(0.001)
        toy.process.send_signal(sign)
        answers = [each.result() for each in asked]
    out, _ = toy.process.communicate(timeout=60)
    assert (toy.process.returncode, out) == (0, "ended\n")
    assert {(status, answer["prediction"]) for status, answer in answers} == {(200, 8000.5)}
    for _, answer in answers:
        assert {row.version for row in toy.log.find(answer["prediction_id"])} == {1, 8}, "what is owed is done too"
    assert (toy.folder / "stderr").read_text() == ""


def test_a_package_that_cannot_load_is_shown_and_the_old_version_answers(start: Callable[..., Toy]) -> None:
    """Readiness stays, names the damaged version, and metrics count it; a later entry of the ledger ends it."""
    toy = start()
    toy.get(f"/state?seq={toy.follow('9 - 0 1')}")
    with closing(toy.connect()) as connection:
        assert post(connection, COLUMNS)[1]["version"] == 1
        ready = toy.get("/health/ready")
        assert ready["ready"]
        assert [trouble["version"] for trouble in ready["troubles"]] == ["demand@9"]
        assert "damaged" in ready["troubles"][0]["reason"]
        assert "kairos_load_failures_total 0.0" not in toy.get("/metrics")
        toy.get(f"/state?seq={toy.follow('2 - 0 1')}")
        assert post(connection, COLUMNS)[1]["version"] == 2
        assert toy.get("/health/ready")["troubles"] == []


def test_a_port_in_use_is_one_clear_line(start: Callable[..., Toy]) -> None:
    """A second server at the same address says so, and what to type; the first goes on."""
    toy = start()
    port = urlsplit(toy.url).port
    assert port is not None
    second = start(port)
    assert second.process.wait(30) == 1
    (line,) = (toy.folder / "stderr").read_text().splitlines()
    assert line.startswith(f"The server cannot listen at 127.0.0.1:{port}.")
    assert line.endswith("--port 0")
    assert toy.get("/health/live") == {"live": True}


def test_a_body_that_is_far_too_large_is_answered_to_the_end(start: Callable[..., Toy]) -> None:
    """A client that sends 20 MB before it reads gets its 413, not a broken connection."""
    toy = start()
    with closing(toy.connect()) as connection:
        connection.request("POST", "/predict/demand", b"x" * 20_000_000)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["error"]["code"]) == (413, "too_large")
    assert toy.get("/health/live") == {"live": True}


def test_a_client_that_hangs_up_leaves_no_trace(start: Callable[..., Toy]) -> None:
    """Half a request, and not even HTTP: neither a traceback in the log nor a wrong answer for the next."""
    toy = start()
    address = urlsplit(toy.url)
    for sent in (b"POST /predict/demand HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{", b"\x16\x03\x01", b""):
        with socket.create_connection((address.hostname, address.port or 0)) as client:
            client.sendall(sent)
    with closing(toy.connect()) as connection:
        assert post(connection, COLUMNS)[0] == 200
    toy.process.send_signal(signal.SIGTERM)
    toy.process.wait()
    assert "Traceback" not in (toy.folder / "stderr").read_text()
