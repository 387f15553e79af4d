"""Several workers at one address: they answer as one server, and the death of one is nobody's trouble for long."""

from __future__ import annotations

import http.client
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kairos.store.counts import CountLog, merged
from kairos.store.predictions import PredictionLog
from tests.serving.crews import Crew, crews, is_alive, until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Crew]]:
    """Starts crews, and ends them."""
    with crews(tmp_path) as starting:
        yield starting


def test_workers_answer_and_count_as_one_server(start: Callable[..., Crew], tmp_path: Path) -> None:
    """Connections spread over all; whichever is asked knows what all have counted; each prediction is on record."""
    crew = start()
    answers = [crew.predict() for _ in range(60)]
    assert {answer["version"] for answer in answers} == {1}
    assert crew.counted("kairos_requests_total") == 60
    log = PredictionLog(tmp_path / "log")
    assert all(len(log.find(answer["prediction_id"])) == 1 for answer in answers)
    assert len(list((tmp_path / "log" / "spool").iterdir())) == 2
    assert len(crew.pids) == 2


def test_a_step_of_the_ledger_is_reached_when_every_worker_follows_it(start: Callable[..., Crew]) -> None:
    """After ``/state`` says so no connection meets the former version; a damaged one is told for all of them."""
    crew = start()
    for version in (2, 3, 4):
        seq = crew.follow(f"{version} - 0 1")
        status, state = crew.call("GET", f"/state?seq={seq}")
        assert (status, state["reached"], state["seq"]) == (200, True, seq)
        assert {crew.predict()["version"] for _ in range(20)} == {version}
    _, state = crew.call("GET", f"/state?seq={crew.follow('9 - 0 1')}")
    assert not state["reached"]


def test_an_event_is_counted_wherever_its_request_was_answered(start: Callable[..., Crew], tmp_path: Path) -> None:
    """Clients need not know which worker they met: by prediction id and by entity, each event counts once."""
    crew = start(route="1 2 0.5 -")
    ids = [crew.predict(f"user-{n}")["prediction_id"] for n in range(20)]
    for n, each in enumerate(ids):
        whose = {"prediction_id": each} if n % 2 else {"model": "demand", "entity": f"user-{n}"}
        status, told = crew.call("POST", "/events", {"events": [{**whose, "name": "complaint"}]})
        assert (status, told) == (200, {"events": 1, "counted": 1})
    all_of_them = {"events": [{"prediction_id": each, "name": "complaint"} for each in ids]}
    assert crew.call("POST", "/events", all_of_them) == (200, {"events": 20, "counted": 0})
    assert crew.call("POST", "/events", {"events": [{"prediction_id": "p0", "name": "complaint"}]})[1]["counted"] == 0
    crew.process.send_signal(signal.SIGTERM)
    crew.process.wait(60)
    processes = CountLog(tmp_path / "counts").processes()
    (comparison,) = {sheet.comparison for process in processes for sheet in process.sheets}
    (found,) = merged(processes, comparison).values()
    assert sum(found[f"asked.event:complaint.{arm}"] for arm in ("base", "test")) == 20
    assert found["requests"] == 20


def test_a_worker_that_is_killed_is_replaced_and_nobody_is_refused(start: Callable[..., Crew], tmp_path: Path) -> None:
    """``kill -9`` again and again: who connects is answered, acknowledged predictions are on record, counts stay."""
    crew = start()
    pids, answers, lost = list(crew.pids), list[Any](), 0
    for victim in pids:
        answers += [crew.predict() for _ in range(10)]
        os.kill(victim, signal.SIGKILL)
        for _ in range(20):
            try:
                answers.append(crew.predict())
            except (http.client.RemoteDisconnected, ConnectionResetError):
                lost += 1  # it was in the hands of the victim
        until(lambda: "was killed by SIGKILL" in crew.stderr(), "its death is told")
    until(lambda: crew.stderr().count("was killed by SIGKILL") == 2, "both deaths are told")
    answers += [crew.predict() for _ in range(20)]
    assert lost <= 2
    log = PredictionLog(tmp_path / "log")
    assert all(len(log.find(answer["prediction_id"])) == 1 for answer in answers)
    assert crew.counted("kairos_requests_total") >= len(answers)
    assert not any(map(is_alive, pids))


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_all_of_them_end(start: Callable[..., Crew], sign: signal.Signals) -> None:
    """In good order, with nothing on stderr."""
    crew = start()
    crew.predict()
    crew.process.send_signal(sign)
    out, _ = crew.process.communicate(timeout=60)
    assert (crew.process.returncode, out) == (0, "ended\n")
    assert not any(map(is_alive, crew.pids))
    assert crew.stderr() == ""


def test_workers_do_not_outlive_their_supervisor(start: Callable[..., Crew]) -> None:
    """Nobody is left who answers without being looked after."""
    crew = start()
    crew.process.kill()
    until(lambda: not any(map(is_alive, crew.pids)), "the workers end")


def test_an_address_of_another_server_is_not_shared(start: Callable[..., Crew]) -> None:
    """A second crew at the same port says so, and the first goes on alone."""
    crew = start()
    port = urlsplit(crew.url).port
    second = start(port=port)
    assert second.process.wait(60) == 1
    assert re.match(f"The server cannot listen at 127.0.0.1:{port}", second.stderr())
    assert {crew.predict()["version"] for _ in range(10)} == {1}


def test_workers_that_cannot_begin_say_why(start: Callable[..., Crew], tmp_path: Path) -> None:
    """The reason of the first one is the supervisor's error."""
    (tmp_path / "broken").touch()
    crew = start()
    assert crew.process.wait(60) == 1
    assert crew.stderr() == "Nothing is served. Given: a toy. Type: mend\n"
