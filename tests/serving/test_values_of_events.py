"""What a request was worth, told with an event: sums for the version that was asked, in whole parts of a unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kairos.delivery.rollout import RolloutPolicy, ValueRule
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.monitor.rollout import count
from kairos.store.counts import PARTS, CountLog
from tests.serving.test_tally import CANARY, COMPARISON, SINCE, counted, counting, mine
from tests.serving.toys import Registry, Served, adds, route

ENTITIES = [f"u{n}" for n in range(60)]
RULES = (
    ValueRule(name="revenue", better="higher", range=(0.0, 500.0)),
    ValueRule(name="minutes", better="lower"),
)
LIMITS = {"timeouts": 10_000_000, "value:revenue.lowest": 0, "value:revenue.highest": 500 * PARTS}


@contextmanager
def canary(folder: Path, **options: Any) -> Iterator[Served]:
    """Half of the entities are the challenger's; revenue lies between 0 and 500, minutes have no range."""
    registry = Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY))
    values = frozenset({"revenue", "minutes"})
    with counting(folder, registry, events=frozenset({"refund"}), values=values, limits=LIMITS, **options) as served:
        yield served


def tell(served: Served, *events: dict[str, Any]) -> Any:
    response = served.client.post("/events", json={"events": events})
    assert response.status_code == 200, response.text
    return response.json()


def paid(entity: str, value: float, name: str = "revenue") -> dict[str, Any]:
    return {"model": "demand", "entity": entity, "name": name, "value": value}


def evidence(folder: Path) -> RolloutEvidence:
    """As the loop would see it now."""
    blank = RolloutEvidence(as_of=SINCE, since=SINCE, loss=None)
    processes = CountLog(folder / "counts").processes()
    return count(blank, processes, COMPARISON, as_of=SINCE, policy=RolloutPolicy(values=RULES))


def test_values_add_up_for_the_version_that_was_asked(tmp_path: Path) -> None:
    """Number, sum and sum of squares by arm; of an entity the first one counts."""
    with canary(tmp_path) as served:
        for entity in ENTITIES:
            served.predict(entity=entity)
        told = [paid(entity, n + 0.1) for n, entity in enumerate(ENTITIES)]
        assert tell(served, *told) == {"events": 60, "counted": 60}
        assert tell(served, *told)["counted"] == 0
        revenue, minutes = evidence(tmp_path).values
    own = [n + 0.1 for n, entity in enumerate(ENTITIES) if mine(entity)]
    others = [n + 0.1 for n, entity in enumerate(ENTITIES) if not mine(entity)]
    assert revenue.events == {"0.5": (len(own), len(others))}
    assert revenue.totals["0.5"] == pytest.approx((sum(own), sum(others)), rel=1e-12)
    assert revenue.sizes == revenue.totals
    assert revenue.squares["0.5"] == pytest.approx((sum(y * y for y in own), sum(y * y for y in others)), rel=1e-12)
    assert (revenue.reach, revenue.clipped) == (500.0, 0)
    assert (minutes.reach, minutes.events) == (None, {"0.5": (0, 0)})


def test_the_sums_are_the_same_bytes_in_whatever_order_values_come(tmp_path: Path) -> None:
    """A tenth and its like are no numbers of a computer; parts of a unit are."""
    found = []
    for part, order in (("a", 1), ("b", -1)):
        with canary(tmp_path / part) as served:
            for entity in ENTITIES:
                served.predict(entity=entity)
            for n in range(60)[::order]:
                tell(served, paid(ENTITIES[n], 0.1 * n, "minutes"))
            found.append(counted(tmp_path / part)[0.5])
    assert found[0] == found[1]


def test_what_lies_outside_the_range_counts_as_its_end(tmp_path: Path) -> None:
    """And that it did is counted; where there is no range it counts as it is, below 0 as well."""
    with canary(tmp_path) as served:
        for entity in ENTITIES[:3]:
            served.predict(entity=entity)
        tell(served, paid("u0", 1e9), paid("u1", -3.0), paid("u2", 500.0), paid("u1", -3.0, "minutes"))
        revenue, minutes = evidence(tmp_path).values
    assert sum(revenue.totals["0.5"]) == 1000.0
    assert revenue.clipped == 2
    assert (sum(minutes.totals["0.5"]), sum(minutes.sizes["0.5"])) == (-3.0, 3.0)


def test_a_request_that_names_nobody_counts_by_its_id(tmp_path: Path) -> None:
    """Each of them once, however many there are."""
    with canary(tmp_path) as served:
        ids = [served.predict()["prediction_id"] for _ in range(5)]
        events = [{"prediction_id": each, "name": "revenue", "value": 2} for each in ids]
        assert tell(served, *events, *events)["counted"] == 5
        (revenue, _) = evidence(tmp_path).values
    assert sum(revenue.totals["0.5"]) == 10.0


def test_an_event_may_count_and_have_a_value(tmp_path: Path) -> None:
    """Where its name is among both, the value may come later than the event, or not at all."""
    registry = Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY))
    both = frozenset({"refund"})
    with counting(tmp_path, registry, events=both, values=both) as served:
        served.predict(entity="ann")
        refund = {"model": "demand", "entity": "ann", "name": "refund"}
        assert [tell(served, each)["counted"] for each in (refund, {**refund, "value": 5}, refund)] == [1, 1, 0]
        found = counted(tmp_path)[0.5]
    arm = "test" if mine("ann") else "base"
    assert (found[f"asked.event:refund.{arm}"], found[f"value:refund.total.{arm}"]) == (1, 5 * PARTS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "refund", "value": 5}, "minutes, revenue"),
        ({"name": "revenue"}, "a number of at most 1e+12"),
        ({"name": "revenue", "value": "5"}, "a number"),
        ({"name": "revenue", "value": True}, "a number"),
        ({"name": "revenue", "value": 1e13}, "a number of at most 1e+12"),
        ({"name": "revenues", "value": 5}, "minutes, refund, revenue"),
        ({"name": "revenue", "value": 5, "unit": "EUR"}, '"value"'),
    ],
)
def test_values_that_cannot_be_read_are_refused(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    """With what is accepted; nothing of that request is counted."""
    good = {"prediction_id": "p1", "name": "revenue", "value": 1}
    with canary(tmp_path) as served:
        response = served.client.post("/events", json={"events": [good, {"prediction_id": "p1", **more}]})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "input_refused")
    assert said in error["accepted"]


def test_a_challenger_that_brings_nothing_is_taken_back(tmp_path: Path) -> None:
    """From HTTP to the decision: the champion's users pay, its own do not."""
    with canary(tmp_path) as served:
        for entity in ENTITIES:
            served.predict(entity=entity)
        tell(served, *(paid(entity, 400.0) for entity in ENTITIES if not mine(entity)))
        found = evidence(tmp_path)
    decision = decide(RolloutPolicy(values=RULES), "canary", 0.5, found)
    assert decision.action == "rollback"
    assert "requests are worth less: revenue" in decision.sentence


def test_a_limit_of_values_is_no_limit_of_time(tmp_path: Path) -> None:
    """A range that begins at 0 makes no answer slow."""
    with canary(tmp_path) as served:
        served.predict(entity="ann")
        found = counted(tmp_path)[0.5]
    assert not [name for name in found if "value:" in name]
