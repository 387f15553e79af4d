"""A model that ranks: answers give the order of each list, in every protocol; lists are never torn or mixed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kairos.models.order import ranks_within
from kairos.privacy import CapturePolicy
from kairos.serving.asks import Ask, together
from kairos.serving.protocols import Plain
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import message
from kairos.serving.rows import Rows
from kairos.serving.sticky import is_in_share
from kairos.values import Window
from tests.serving.toys import Columns, Registry, Served, ToySpec, adds, route, serving

EVER = Window.parse("2000-01-01..2100-01-01")
SPEC = ToySpec(rank_within="search", item="flat")
SCORES = [3.0, 9.0, 1.0, 9.0]
ROWS = [{"temperature": score, "search": "s1", "flat": f"f{row}"} for row, score in enumerate(SCORES)]
ORDER = [3, 1, 4, 2]


def warmth(columns: Columns) -> Any:
    """The warmer, the higher its score."""
    return columns["temperature"] / 10


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that ranks is live."""
    with serving(Registry({1: warmth}, route(1), spec=SPEC), tmp_path_factory.mktemp("log")) as served:
        yield served


def test_the_highest_score_of_a_list_is_first_and_each_place_is_given_once() -> None:
    """Of equal scores the row that came first stands first; what has no score has no place."""
    assert ranks_within(["a"] * 4, SCORES) == ORDER
    assert ranks_within(["a", "b", "a", "b"], SCORES) == [1, 1, 2, 2]
    assert ranks_within(["a"] * 4, [0.1, None, float("nan"), 0.2]) == [2, None, None, 1]
    assert ranks_within([], []) == []


def test_every_protocol_gives_the_same_order(served: Served) -> None:
    """JSON with each row, JSON and CSV of MLflow in a list beside the scores, tensors as JSON, as bytes and of gRPC."""
    plain = served.client.post("/predict/demand", json=ROWS).json()["predictions"]
    assert [(row["prediction"], row["rank"]) for row in plain] == [
        (score / 10, rank) for score, rank in zip(SCORES, ORDER, strict=True)
    ]
    named = served.client.post("/predict/demand", json={"inputs": [{"temperature": t} for t in SCORES], "list": "s1"})
    assert [row["rank"] for row in named.json()["predictions"]] == ORDER
    as_json = served.client.post("/invocations", json={"instances": ROWS}).json()
    assert (as_json["predictions"], as_json["ranks"]) == ([score / 10 for score in SCORES], ORDER)
    text = "temperature,search,flat\n" + "".join(f"{t},s1,f{row}\n" for row, t in enumerate(SCORES))
    as_csv = served.client.post("/invocations", content=text, headers={"content-type": "text/csv"})
    assert as_csv.json() == as_json
    tensors = [
        {"name": "temperature", "datatype": "FP64", "shape": [4], "data": SCORES},
        {"name": "search", "datatype": "BYTES", "shape": [4], "data": ["s1"] * 4},
    ]
    infer = "/v2/models/demand/infer"
    told = served.client.post(infer, json={"inputs": tensors}).json()["outputs"]
    assert {each["name"]: (each["datatype"], each["data"]) for each in told}["rank"] == ("INT64", ORDER)
    asks = {"inputs": tensors, "outputs": [{"name": "rank", "parameters": {"binary_data": True}}]}
    raw = served.client.post(infer, json=asks)
    length = int(raw.headers["inference-header-content-length"])
    assert raw.content[length:] == b"".join(rank.to_bytes(8, "little") for rank in ORDER)
    assert json.loads(raw.content[:length])["outputs"][0]["name"] == "rank"
    version = served.server.follower.deployment.routes["demand"].champion
    request = message("ModelInferRequest", model_name="demand")
    item = request.inputs.add(name="temperature", datatype="FP64", shape=[4])
    item.contents.fp64_contents.extend(SCORES)
    assert "rank" in [wanted.name for wanted in InferenceMessage(request).decode({}, b"", version.intake).form]  # type: ignore[attr-defined]


def test_what_is_told_of_the_model_names_its_list_its_item_and_the_rank(served: Served) -> None:
    """In the metadata of the protocol and in OpenAPI."""
    told = served.client.get("/v2/models/demand").json()
    assert {"search", "flat"} <= {each["name"] for each in told["inputs"]}
    assert {"name": "rank", "datatype": "INT64", "shape": [-1]} in told["outputs"]
    schemas = served.client.get("/openapi.json").json()["components"]["schemas"]
    assert {"search", "flat"} <= schemas["demand"]["properties"].keys()
    assert schemas["demand.prediction"]["properties"]["rank"] == {"type": "integer", "minimum": 1}
    assert "rank" in schemas["demand.prediction"]["required"]
    assert "in <code>flat</code>" in served.client.get("/docs").text


def test_several_lists_of_one_request_are_ranked_each_by_itself(served: Served) -> None:
    """Whichever way they stand; rows that name no list are one list."""
    rows = [{"temperature": t, "search": s} for t, s in zip(SCORES, "abab", strict=True)]
    found = served.client.post("/predict/demand", json=rows).json()["predictions"]
    assert [row["rank"] for row in found] == [1, 1, 2, 2]
    unnamed = served.client.post("/predict/demand", json=[{"temperature": t} for t in SCORES]).json()["predictions"]
    assert [row["rank"] for row in unnamed] == ORDER
    assert served.client.post("/predict/demand", json={"temperature": 1.0}).json()["rank"] == 1


def test_one_thing_twice_in_a_list_is_refused(served: Served) -> None:
    """Its labels could not be told apart; in two lists it may be."""
    twice = served.client.post("/predict/demand", json=[ROWS[0], ROWS[0]])
    assert (twice.status_code, twice.json()["error"]["field"], twice.json()["error"]["row"]) == (422, "flat", 1)
    both = served.client.post("/predict/demand", json=[ROWS[0], {**ROWS[0], "search": "s2"}])
    assert both.status_code == 200


def test_a_model_that_ranks_nothing_takes_no_list(tmp_path: Path) -> None:
    """And gives no rank."""
    with serving(Registry({1: warmth}, route(1)), tmp_path) as served:
        refused = served.client.post("/predict/demand", json={"inputs": {"temperature": 1.0}, "list": "s1"})
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "list")
        assert "rank" not in served.client.post("/predict/demand", json={"temperature": 1.0}).json()


def test_the_rows_of_a_list_are_answered_by_one_version(tmp_path: Path) -> None:
    """Scores of two versions make no order; without an entity the list says which, or else the request."""
    canary = route(1, challenger=2, stage="canary", share=0.5)
    with serving(Registry({1: adds(1000), 2: adds(2000)}, canary, spec=SPEC), tmp_path) as served:
        for name in (f"s{n}" for n in range(12)):
            rows = [{"temperature": t, "search": name} for t in SCORES]
            found = served.client.post("/predict/demand", json=rows).json()["predictions"]
            assert {row["version"] for row in found} == {2 if is_in_share("salt", name, 0.5) else 1}
            assert [row["rank"] for row in found] == ORDER
        for _ in range(12):
            found = served.client.post("/predict/demand", json=[{"temperature": t} for t in SCORES]).json()
            assert len({row["version"] for row in found["predictions"]}) == 1


def test_lists_of_requests_that_are_answered_together_stay_apart(served: Served) -> None:
    """Nobody named them, and they came at one moment: each is ranked, and written down, by itself."""
    routed = served.server.follower.deployment.routes["demand"]
    columns = routed.champion.signature.parse_rows([{"temperature": t} for t in (1.0, 2.0)])
    asks = [Ask(route=routed, role=None, rows=Rows(columns=columns, count=2), codec=Plain(), start_s=0.0)] * 2
    request = together(asks, [["p1", "p2"], ["p3", "p4"]], at=datetime(2012, 1, 1, tzinfo=UTC))
    assert request.lists is not None
    assert [each.whole for each in request.lists] == [("p1", None)] * 2 + [("p3", None)] * 2
    assert request.keys == ["p1", "p1", "p3", "p3"]


@pytest.mark.parametrize("entity", ["raw", "pseudonym", "drop"])
def test_the_log_keeps_list_and_item_as_it_keeps_the_entity(tmp_path: Path, entity: Any) -> None:
    """Under their names, under pseudonyms, or, where nothing is kept, only which rows are one list."""
    policy = CapturePolicy(keep=frozenset(), entity=entity, key=b"secret" * 4)
    with serving(Registry({1: warmth}, route(1), spec=SPEC), tmp_path, capture=policy) as served:
        rows = [{**row, "search": s} for row, s in zip(ROWS, "abab", strict=True)]
        served.client.post("/predict/demand", json=rows)
        fresh = served.log.predictions("demand", EVER).sort("raw", maintain_order=True)
        served.log.roll()
        rolled = served.log.predictions("demand", EVER).sort("raw", maintain_order=True)
        [row] = served.log.find(rolled["id"][0])
    assert fresh.sort("id").equals(rolled.sort("id"))
    assert row.list_key == rolled["list_key"][0]
    by_list = rolled.group_by("list_key").len()["len"].to_list()
    assert by_list == [2, 2]
    said = set(rolled["list_key"]) | set(rolled.get_column("item_key", default=rolled["list_key"]))
    assert ("a" in said and "f0" in said) == (entity == "raw")
    assert ("item_key" in rolled.columns) == (entity != "drop")


LABEL = {"model": "demand", "list": "s9", "item": "f1", "value": 1}


def test_labels_may_name_list_and_item(tmp_path: Path) -> None:
    """As logs of clicks do; or entity, time and item. The last to arrive counts; what fits nothing joins nothing."""
    rows = [{**row, "search": "s9", "station": "u1", "when": "2012-01-02T00:00Z"} for row in ROWS]
    with serving(Registry({1: warmth}, route(1), spec=SPEC), tmp_path) as served:
        ids = [row["prediction_id"] for row in served.client.post("/predict/demand", json=rows).json()["predictions"]]

        def labelled(*labels: dict[str, Any]) -> dict[str, float]:
            """What is known of which prediction, once these came."""
            answer = served.client.post("/labels", json={"labels": list(labels)})
            assert answer.status_code == 200, answer.text
            found = served.log.labelled("demand", EVER, as_of=datetime(2100, 1, 1, tzinfo=UTC))
            return dict(zip(found["id"], found["label"], strict=True))

        assert labelled({**LABEL, "item": "nothing"}, {**LABEL, "list": "s8"}) == {}
        assert labelled(LABEL) == {ids[1]: 1.0}
        by_time = {"model": "demand", "entity": "u1", "time": "2012-01-02T00:00Z", "item": "f2", "value": 3}
        assert labelled(by_time) == {ids[1]: 1.0, ids[2]: 3.0}
        assert labelled({**LABEL, "value": 0}) == {ids[1]: 0.0, ids[2]: 3.0}
        told = served.log.matches("demand")
        assert sorted(told.unmatched["item_key"]) == ["f1", "nothing"]


def test_a_label_that_does_not_say_which_row_is_refused(tmp_path: Path) -> None:
    """With what would say it; and an item of a model that ranks nothing."""
    no_item = {"model": "demand", "entity": "u1", "time": "2012-01-02T00:00Z", "value": 1}
    for spec, label, said in (
        (SPEC, no_item, "list and item; or entity, time and item"),
        (ToySpec(rank_within="search"), LABEL, 'item = "COLUMN"'),
        (ToySpec(), LABEL, "ranks no lists"),
        (SPEC, {"model": "demand", "list": "s9", "value": 1}, "lacks 'item'"),
    ):
        with serving(Registry({1: warmth}, route(1), spec=spec), tmp_path / str(len(said))) as served:
            refused = served.client.post("/labels", json={"labels": [label]})
            assert refused.status_code == 422
            assert said in refused.text.replace('\\"', '"')
    dropped = CapturePolicy(keep=frozenset(), entity="drop")
    with serving(Registry({1: warmth}, route(1), spec=SPEC), tmp_path / "drop", capture=dropped) as served:
        refused = served.client.post("/labels", json={"labels": [LABEL]})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "list")
