"""What happens to users is counted for the version that was asked on their behalf."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kairos.delivery.rollout import EventRule, RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.monitor.rollout import count
from kairos.store.counts import CountLog
from kairos.values import plain
from tests.serving.test_tally import CANARY, COMPARISON, SINCE, counted, counting, mine
from tests.serving.toys import Registry, Served, adds, route

ENTITIES = [f"u{n}" for n in range(40)]


@contextmanager
def canary(folder: Path, **options: Any) -> Iterator[Served]:
    """Half of the entities are the challenger's; complaints are counted."""
    registry = Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY))
    with counting(folder, registry, events=frozenset({"complaint"}), **options) as served:
        yield served


def tell(served: Served, *events: dict[str, Any]) -> Any:
    response = served.client.post("/events", json={"events": events})
    assert response.status_code == 200, response.text
    return response.json()


def about(entity: str) -> dict[str, str]:
    return {"model": "demand", "entity": entity, "name": "complaint"}


def test_an_event_about_an_entity_or_a_prediction_counts_for_who_was_asked(tmp_path: Path) -> None:
    """Each entity once, however often and in whichever way it complains."""
    with canary(tmp_path) as served:
        answers = {entity: served.predict(entity=entity) for entity in ENTITIES}
        assert tell(served, *map(about, ENTITIES)) == {"events": 40, "counted": 40}
        again = [{"prediction_id": a["prediction_id"], "name": "complaint"} for a in answers.values()]
        assert tell(served, *again, *map(about, ENTITIES)) == {"events": 80, "counted": 0}
        found = counted(tmp_path)[0.5]
    own = sum(map(mine, ENTITIES))
    assert (found["asked.event:complaint.test"], found["asked.event:complaint.base"]) == (own, 40 - own)


def test_a_request_that_names_nobody_is_found_by_its_id(tmp_path: Path) -> None:
    """And counts once."""
    with canary(tmp_path) as served:
        answer = served.predict()
        event = {"prediction_id": answer["prediction_id"], "name": "complaint"}
        assert [tell(served, event)["counted"] for _ in range(2)] == [1, 0]
        found = counted(tmp_path)[0.5]
    assert found[f"asked.event:complaint.{'test' if answer['version'] == 2 else 'base'}"] == 1


def test_what_nobody_asked_for_is_taken_and_not_counted(tmp_path: Path) -> None:
    """An entity that made no request in this trial, an id that never was."""
    with canary(tmp_path) as served:
        served.predict(entity="ann")
        told = tell(served, about("bob"), {"prediction_id": "p0", "name": "complaint"})
    assert told == {"events": 2, "counted": 0}


def test_in_shadow_no_version_is_to_blame(tmp_path: Path) -> None:
    """The champion answered all."""
    shadow = route(1, challenger=2, stage="shadow", trial_since=SINCE)
    with counting(tmp_path, Registry({1: adds(1), 2: adds(2)}, shadow), events=frozenset({"complaint"})) as served:
        served.predict(entity="ann")
        assert tell(served, about("ann"))["counted"] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"events": [{"prediction_id": "p1", "name": "complain"}]}, "complaint"),
        ({"events": [{"prediction_id": "p1"}]}, '"name"'),
        ({"events": [{"entity": "ann", "name": "complaint"}]}, '"model"'),
        ({"events": ["complaint"]}, '"events"'),
        ({"labels": []}, '"events"'),
    ],
)
def test_events_that_cannot_be_read_are_refused_together(tmp_path: Path, body: Any, said: str) -> None:
    """With what is accepted, and the nearest name that is counted."""
    with canary(tmp_path) as served:
        response = served.client.post("/events", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "input_refused")
    assert said in error["accepted"]


def test_complaints_about_the_challenger_alone_take_it_back(tmp_path: Path) -> None:
    """From HTTP to the decision: all of its users complain, and none of the champion's."""
    with canary(tmp_path) as served:
        for entity in ENTITIES:
            served.predict(entity=entity)
        tell(served, *(about(entity) for entity in ENTITIES if mine(entity)))
        policy = RolloutPolicy(events=(EventRule(name="complaint", usual=0.02),))
        blank = RolloutEvidence(as_of=SINCE, since=SINCE, loss=None)
        processes = CountLog(tmp_path / "counts").processes()
        found = count(blank, processes, COMPARISON, as_of=SINCE, policy=policy)
    decision = decide(policy, "canary", 0.5, found)
    assert decision.action == "rollback"
    assert "too many events 'complaint'" in decision.sentence
    assert RolloutPolicy.from_plain(plain(policy)) == policy
