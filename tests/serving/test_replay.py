"""A server under a replayed clock: requests move its time, and the same requests give the same log."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kairos.clock import ReplayClock
from tests.serving.toys import Registry, Served, adds, route, serving

START = datetime(2011, 1, 1, tzinfo=UTC)
CANARY = route(1, challenger=2, stage="canary", share=0.5)
RULES = {1: adds(1000), 2: adds(2000)}


def send(served: Served, hour: int, body: Any) -> Any:
    """One request at an hour of the replay."""
    at = START + timedelta(hours=hour)
    response = served.client.post("/predict/demand", json=body, headers={"kairos-at": at.isoformat()})
    assert response.status_code == 200, response.text
    return response.json()


def replay(folder: Path, *, seed: int = 0) -> tuple[list[Any], list[dict[str, Any]], list[Any]]:
    """Answers, log rows and labels of one short replay."""
    with serving(Registry(RULES, CANARY), folder, clock=ReplayClock(START), seed=seed) as served:
        answers = [send(served, n, {"inputs": {"temperature": n}, "entity": n % 7, "id": n}) for n in range(20)]
        answers += [send(served, 20, {"temperature": 1.5}) for _ in range(2)]
        batch = [{"temperature": n, "station": n} for n in range(5)]
        answers += send(served, 21, {"inputs": batch, "id": "batch"})["predictions"]
        labels = [{"prediction_id": answer["prediction_id"], "value": 3} for answer in answers]
        at = (START + timedelta(hours=30)).isoformat()
        served.client.post("/labels", json={"labels": labels}, headers={"kairos-at": at})
    rows = [asdict(row) for answer in answers for row in served.rows(answer)]
    return answers, rows, served.log.labels().rows()


def test_a_replay_repeats(tmp_path: Path) -> None:
    """The same requests under the same seed give the same answers, ids, times, durations, shadow rows and labels."""
    first = replay(tmp_path / "one")
    assert replay(tmp_path / "two") == first
    answers, rows, labels = first
    assert len({answer["prediction_id"] for answer in answers}) == len(answers) == 27
    assert len(rows) == 2 * len(answers)
    assert {row["latency_us"] for row in rows} == {0}
    assert {label[2] for label in labels} == {START + timedelta(hours=30)}


def test_another_seed_gives_other_ids_and_the_same_predictions(tmp_path: Path) -> None:
    """Only names depend on the seed, and with them the routing of what came without entity and id."""
    one, other = replay(tmp_path / "one")[0], replay(tmp_path / "two", seed=1)[0]
    assert [answer["prediction"] for answer in one[:20]] == [answer["prediction"] for answer in other[:20]]
    assert not {answer["prediction_id"] for answer in one} & {answer["prediction_id"] for answer in other}


def test_the_header_moves_the_clock_and_never_back(tmp_path: Path) -> None:
    """A prediction has the time of its request; an earlier time leaves the clock where it is."""
    with serving(Registry(RULES, route(1)), tmp_path, clock=ReplayClock(START)) as served:
        late, early = (send(served, hour, {"temperature": 1}) for hour in (5, 3))
    assert served.rows(late)[0].at == served.rows(early)[0].at == START + timedelta(hours=5)


def test_the_shadow_is_on_record_before_the_answer(tmp_path: Path) -> None:
    """In a replay nothing is left for later, so the order of the log is that of the requests."""
    with serving(Registry(RULES, route(1, challenger=2, stage="shadow")), tmp_path, clock=ReplayClock(START)) as served:
        assert [row.version for row in served.rows(served.predict(1.0))] == [2, 1]


@pytest.mark.parametrize("moment", ["yesterday", "", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
@pytest.mark.parametrize("path", ["/predict/demand", "/labels"])
def test_a_time_that_cannot_be_read_is_refused(tmp_path: Path, moment: str, path: str) -> None:
    """In a replay the header is part of the request."""
    with serving(Registry(RULES, route(1)), tmp_path, clock=ReplayClock(START)) as served:
        response = served.client.post(path, json={"temperature": 1}, headers={"kairos-at": moment})
    error = response.json()["error"]
    assert (response.status_code, error["field"]) == (400, "kairos-at")
    assert "ISO" in error["accepted"]


@pytest.mark.parametrize("moment", ["2012-03-03", "yesterday"])
def test_outside_a_replay_nobody_tells_the_server_the_time(tmp_path: Path, moment: str) -> None:
    """The header is ignored, whatever it says."""
    with serving(Registry(RULES, route(1)), tmp_path) as served:
        before = datetime.now(UTC)
        answer = served.predict(1.0, **{"kairos-at": moment})
        assert before <= served.rows(answer)[0].at <= datetime.now(UTC)
