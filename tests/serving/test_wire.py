"""Every route over ASGI: what it answers, and one clear JSON error for whatever is wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.clock import ReplayClock
from kairos.models.truths import Truths
from kairos.privacy import CapturePolicy
from kairos.serving.app import make_app
from kairos.serving.body import LARGEST_BODY_BYTES
from kairos.store.predictions import PredictionLog
from tests.serving.toys import FullDisk, Registry, Served, adds, make_server, route, serving

START = datetime(2011, 1, 1, tzinfo=UTC)
ERROR_KEYS = {"code", "message", "field", "row", "accepted", "hint"}
FINE = {"temperature": 20.5, "hour": 7, "weather": "rain", "holiday": False, "note": "x", "station": 31}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one model, ``demand``, whose version 1 adds 1000."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path_factory.mktemp("log")) as served:
        yield served


def error(response: Any) -> dict[str, Any]:
    """The error of a response, which has the one shape and nothing of our code in it."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == ERROR_KEYS
    assert isinstance(body["error"]["message"], str)
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return dict(body["error"])


def test_one_row_gives_one_answer(served: Served) -> None:
    """An object gives a prediction with its id, model and version, and nothing else."""
    answer = served.client.post("/predict/demand", json=FINE).json()
    assert answer.pop("prediction_id").startswith("p")
    assert answer == {"prediction": 1020.5, "model": "demand", "version": 1}


def test_a_list_gives_a_list_in_the_same_order(served: Served) -> None:
    """Each row of a list has its own answer and id."""
    body = [{"temperature": float(n)} for n in range(50)]
    answers = served.client.post("/predict/demand", json=body).json()["predictions"]
    assert [answer["prediction"] for answer in answers] == [1000.0 + n for n in range(50)]
    assert len({answer["prediction_id"] for answer in answers}) == 50


def test_labels_are_counted(served: Served) -> None:
    """Late truths are taken, also none."""
    labels = [{"prediction_id": "p1", "value": 3}, {"prediction_id": "p2", "value": 4.5}]
    response = served.client.post("/labels", json={"labels": labels})
    assert (response.status_code, response.json()) == (200, {"labels": 2})
    assert served.log.labels()["value"].to_list() == [3.0, 4.5]
    assert served.client.post("/labels", json={"labels": []}).json() == {"labels": 0}


def test_a_label_by_entity_and_time_joins_what_was_predicted_for_it(tmp_path: Path) -> None:
    """The log knows neither name: the entity of the label becomes the same pseudonym. Time is what the row is about."""
    secret = CapturePolicy(keep=frozenset(), entity="pseudonym", key=bytes(32))
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path, capture=secret) as served:
        answers = [
            served.client.post(
                "/predict/demand", json={"temperature": 1.0, "station": name, "when": "2012-03-03T14:00Z"}
            )
            for name in ("s1", "s2")
        ]
        about = {"model": "demand", "time": "2012-03-03T15:00+01:00"}
        labels = [{**about, "entity": "s1", "value": 7}, {**about, "entity": "s3", "value": 8}]
        assert served.client.post("/labels", json={"labels": labels}).json() == {"labels": 2}
        rows = [served.rows(answer.json())[0] for answer in answers]
        assert [served.log.truth_of(row) for row in rows] == [7.0, None]
        assert rows[0].about == datetime(2012, 3, 3, 14, tzinfo=UTC)
        assert "s1" not in str(served.log.matches("demand").truths)
        assert len(served.log.matches("demand").unmatched) == 1


def test_a_label_by_entity_needs_a_model_and_its_entities(tmp_path: Path) -> None:
    """An unknown model, one that keeps no entity, or both kinds of labels in one request: nothing is kept."""
    label = {"model": "demand", "entity": "s1", "time": "2012-03-03", "value": 7}
    nobody = CapturePolicy(keep=frozenset(), entity="drop")
    with serving(Registry({1: adds(0)}, route(1)), tmp_path, capture=nobody) as served:

        def refused(*labels: dict[str, Any]) -> tuple[int, str | None]:
            response = served.client.post("/labels", json={"labels": labels})
            return response.status_code, error(response)["field"]

        assert refused({**label, "model": "demnad"}) == (404, None)
        assert refused(label) == (422, "entity")
        assert refused({**label, "entity": None}, {"prediction_id": "p", "value": 1}) == (422, "labels")
        assert served.log.labels().is_empty()
        assert served.log.entity_labels("demand").is_empty()
        assert served.client.post("/labels", json={"labels": [{**label, "entity": None}]}).json() == {"labels": 1}


def test_health(served: Served) -> None:
    """The process is live, and ready once every model has predicted."""
    assert served.client.get("/health/live").json() == {"live": True}
    ready = served.client.get("/health/ready")
    assert ready.status_code == 200
    fine = {"ready": True, "follows_ledger": True, "missing": [], "diverged": [], "troubles": [], "workers": []}
    assert ready.json() == {**fine, "ledger_trouble": None, "capture": {"mode": "fast", "trouble": None}}


def test_models_are_described(served: Served) -> None:
    """What is live, and for one model which columns it takes."""
    alone = {"challenger": None, "challenger_share": 0.0, "previous": None}
    face = {"model": "demand", "version": 1, **alone, "diverged": None}
    assert served.client.get("/models").json() == {"models": [face]}
    model = served.client.get("/models/demand").json()
    columns = model.pop("columns")
    assert model == face
    assert [column["name"] for column in columns] == ["temperature", "hour", "weather", "holiday", "note"]
    assert columns[2]["levels"] == ["clear", "rain"]


def test_no_level_of_a_pseudonymised_column_is_told(tmp_path: Path) -> None:
    """Whoever may ask for the columns is not told what people have in this one."""
    capture = CapturePolicy(keep=frozenset(), pseudonymise=frozenset({"weather"}), key=b"k" * 32)
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path, capture=capture) as served:
        columns = served.client.get("/models/demand").json()["columns"]
    assert [column["levels"] for column in columns if column["name"] == "weather"] == [[]]


def test_metrics_are_prometheus_text(served: Served) -> None:
    """Requests are counted by model and status; strangers' model names add no series."""
    served.client.post("/predict/demand", json=FINE)
    served.client.post("/predict/stranger", json=FINE)
    text = served.client.get("/metrics").text
    assert 'kairos_requests_total{model="demand",status="200"}' in text
    assert 'kairos_live_version{model="demand",role="champion"} 1.0' in text
    assert "kairos_followed_seq 1.0" in text
    assert "stranger" not in text


def test_state_waits_for_a_ledger_entry(served: Served) -> None:
    """An entry that is followed already is answered at once."""
    for query in ("?seq=1", "", "?seq=1&model=demand"):
        assert served.client.get(f"/state{query}").json() == {"seq": 1, "reached": True, "diverged": []}


def test_a_page_is_html(served: Served) -> None:
    """Pages that the caller hands over are shown."""
    page = served.client.get("/")
    assert (page.status_code, page.text) == (200, "<h1>Hello</h1>")
    assert page.headers["content-type"].startswith("text/html")


def test_visitors_of_a_page_take_no_predictions_place(tmp_path: Path) -> None:
    """However many wait for a page that is slow, a prediction does not wait for them."""
    is_shown = threading.Event()

    def slow() -> str:
        is_shown.wait(30)
        return "at last"

    server = make_server(Registry({1: adds(1000)}, route(1)), PredictionLog(tmp_path).writer("w"))
    app = make_app(server, pages={"/": slow})

    async def visit() -> tuple[int, set[str]]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client,
        ):
            visits = [asyncio.create_task(client.get("/")) for _ in range(8)]
            await asyncio.sleep(0.1)
            try:
                answer = await asyncio.wait_for(client.post("/predict/demand", json=FINE), 10)
            finally:
                is_shown.set()
            return answer.status_code, {(await each).text for each in visits}

    assert asyncio.run(visit()) == (200, {"at last"})


def with_(**change: Any) -> dict[str, Any]:
    """The fine row with a change."""
    return {**FINE, **change}


WRONG_BODIES: list[tuple[str, bytes | Any, int, str | None, int | None, str]] = [
    ("nothing", b"", 400, None, None, "is not JSON"),
    ("not JSON", b"temperature=3", 400, None, None, "at character 0"),
    ("cut off", b'{"temperature": 3', 400, None, None, "at character"),
    ("more after it", b'{"temperature": 3} {}', 400, None, None, "Extra data"),
    ("bad UTF-8", b'{"note": "\xff"}', 400, None, None, "not UTF-8"),
    ("UTF-16", '{"temperature": 3}'.encode("utf-16"), 400, None, None, "not UTF-8"),
    ("half a surrogate pair", b'{"note": "\\ud800"}', 400, None, None, "not Unicode"),
    ("deep lists", b"[" * 50_000, 400, None, None, "nested too deeply"),
    ("deep objects", b'{"a":' * 990 + b"1" + b"}" * 990, 400, None, None, "nested too deeply"),
    ("a deep value", b'{"temperature":' + b"[" * 900 + b"]" * 900 + b"}", 400, None, None, "nested too deeply"),
    ("a huge number", b'{"temperature": ' + b"9" * 6000 + b"}", 400, None, None, "too long"),
    ("the same key twice", b'{"temperature": 3, "temperature": 4}', 400, "temperature", None, "more than once"),
    ("null", None, 422, None, 0, "not an object"),
    ("a number", 3, 422, None, 0, "not an object"),
    ("an empty list", [], 422, None, None, "no row"),
    ("a list of lists", [[1]], 422, None, 0, "not an object"),
    ("an empty object", {}, 422, "temperature", 0, "lacks the column 'temperature'"),
    ("a missing column", [FINE, {"hour": 3}], 422, "temperature", 1, "lacks the column 'temperature'"),
    ("an unknown column", with_(temperatur=3), 422, "temperatur", 0, "does not know"),
    ("a wrong type", with_(temperature="warm"), 422, "temperature", 0, "not a number"),
    ("true for a number", with_(temperature=True), 422, "temperature", 0, "not a number"),
    ("a list for a number", with_(temperature=[1]), 422, "temperature", 0, "not a number"),
    ("a part of a number", with_(hour=7.5), 422, "hour", 0, "not a whole number"),
    ("a number for text", with_(note=3), 422, "note", 0, "not text"),
    ("0 for false", with_(holiday=0), 422, "holiday", 0, "not true or false"),
    ("null where there was none", with_(temperature=None), 422, "temperature", 0, "is null"),
    ("NaN", b'{"temperature": NaN}', 422, "temperature", 0, "not a finite number"),
    ("Infinity", b'[{"temperature": 1}, {"temperature": -Infinity}]', 422, "temperature", 1, "not a finite number"),
    ("1e999", b'{"temperature": 1e999}', 422, "temperature", 0, "not a finite number"),
    ("a large number", with_(temperature=1e16), 422, "temperature", 0, "too large"),
    ("a large integer", with_(hour=10**30), 422, "hour", 0, "too large"),
    ("an unknown level", with_(weather="rian"), 422, "weather", 0, "never seen"),
    ("long text", with_(note="x" * 10_001), 422, "note", 0, "too long"),
    ("too many rows", [{"temperature": 1}] * 1001, 422, None, None, "too many rows"),
    ("an entity of no kind", with_(station=[1]), 422, "station", 0, "cannot be read"),
    ("a typo in the envelope", {"inputs": FINE, "entitty": "x"}, 422, "entitty", None, "not a part"),
    ("an id of no kind", {"inputs": FINE, "id": {}}, 422, "id", None, "cannot be read"),
]


@pytest.mark.parametrize(
    ("body", "status", "field", "row", "message"), [case[1:] for case in WRONG_BODIES], ids=[c[0] for c in WRONG_BODIES]
)
def test_wrong_input_gets_one_clear_error(
    served: Served, body: bytes | Any, status: int, field: str | None, row: int | None, message: str
) -> None:
    """Whatever is wrong with a request, one error says what, and where."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = served.client.post("/predict/demand", content=data)
    found = error(response)
    assert (response.status_code, found["field"], found["row"]) == (status, field, row)
    assert message in found["message"]
    assert len(found["message"]) <= 500


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (with_(temperatur=3), "Did you mean"),
        (with_(weather="rian"), "Did you mean 'rain'?"),
        ({"inputs": FINE, "entitty": "x"}, "Did you mean 'entity'?"),
    ],
)
def test_a_typo_gets_the_nearest_name(served: Served, body: Any, hint: str) -> None:
    """Unknown names and levels come back with the nearest that is known, and with all that is accepted."""
    if "temperatur" in body:
        del body["temperature"]
        hint = "Did you mean 'temperature'?"
    found = error(served.client.post("/predict/demand", json=body))
    assert found["hint"] == hint
    assert found["accepted"]


def test_too_large_a_body_is_refused_and_the_next_request_is_fine(served: Served) -> None:
    """A body over the limit gets 413; at the limit it is read."""
    over = served.client.post("/predict/demand", content=b" " * (LARGEST_BODY_BYTES + 1))
    assert (over.status_code, error(over)["code"]) == (413, "too_large")
    fine = json.dumps(FINE).encode()
    assert served.client.post("/predict/demand", content=fine.ljust(LARGEST_BODY_BYTES)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/predict/demand", 405, "method_not_allowed"),
        ("PUT", "/labels", 405, "method_not_allowed"),
        ("POST", "/models", 405, "method_not_allowed"),
        ("OPTIONS", "/metrics", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/predict", 404, "not_found"),
        ("POST", "/predict/demand/", 404, "not_found"),
        ("GET", "/models/", 404, "not_found"),
        ("POST", "/predict/demnad", 404, "not_found"),
        ("GET", "/models/demnad", 404, "not_found"),
        ("GET", "/models/%ff%00", 404, "not_found"),
        ("GET", "/state?seq=-1", 400, "usage_error"),
        ("GET", "/state?seq=%D9%A3", 400, "usage_error"),
        ("GET", "/state?seq=" + "9" * 30, 400, "usage_error"),
    ],
)
def test_wrong_paths_and_methods(served: Served, method: str, path: str, status: int, code: str) -> None:
    """Unknown paths, models and methods get the same JSON shape, and say what there is."""
    response = served.client.request(method, path, content=b"{}")
    found = error(response)
    assert (response.status_code, found["code"]) == (status, code)
    assert found["accepted"]
    if "demnad" in path:
        assert found["hint"] == "Did you mean 'demand'?"
    if status == 405:
        assert response.headers["allow"]


def test_wrong_labels_name_the_label(served: Served) -> None:
    """One label that cannot be read refuses all of them."""
    labels = [{"prediction_id": "kept", "value": 1}, {"prediction_id": "p", "value": "high"}]
    response = served.client.post("/labels", json={"labels": labels})
    found = error(response)
    assert (response.status_code, found["field"], found["row"]) == (422, "value", 1)
    assert "kept" not in served.log.labels()["prediction_id"].to_list()
    assert error(served.client.post("/labels", content=b"\xff"))["code"] == "usage_error"


@pytest.mark.parametrize("named", [{"prediction_id": "p"}, {"model": "demand", "time": "2012-03-03"}])
def test_a_label_that_the_model_can_never_be_judged_by_is_refused(tmp_path: Path, named: dict[str, str]) -> None:
    """Less than nothing where the model counts: the label is named, and nothing of the body is kept."""
    with serving(Registry({1: adds(0)}, route(1)), tmp_path, truths=Truths(lower=0.0)) as served:
        labels = [{**named, "value": 3}, {**named, "value": -3}]
        response = served.client.post("/labels", json={"labels": labels})
        found = error(response)
        assert (response.status_code, found["code"], found["field"], found["row"]) == (422, "input_refused", "value", 1)
        assert found["message"].startswith("Label 1 has a value that the model 'demand' can never be judged by.")
        assert found["accepted"] == "0 or more"
        assert served.log.labels().is_empty()
        assert served.log.entity_labels("demand").is_empty()
        assert served.client.post("/labels", json={"labels": labels[:1]}).json() == {"labels": 1}


def test_labels_that_cannot_be_kept_are_not_acknowledged(tmp_path: Path) -> None:
    """A full disk is answered with 503 and a time to come back; where our files lie is nobody's business."""
    with serving(Registry({1: adds(0)}, route(1)), tmp_path, sink=FullDisk()) as served:
        response = served.client.post("/labels", json={"labels": [{"prediction_id": "p", "value": 1}]})
        assert (response.status_code, error(response)["code"]) == (503, "store_error")
        assert response.headers["retry-after"] == "5"
        assert "/a/path" not in response.text


def test_without_a_model_nothing_is_ready(tmp_path: Path) -> None:
    """An empty ledger is no fault, but there is nothing to answer with."""
    with serving(Registry({}), tmp_path) as served:
        assert served.client.get("/health/ready").status_code == 503
        assert served.client.get("/health/live").status_code == 200
        response = served.client.post("/predict/demand", json=FINE)
        assert (response.status_code, error(response)["accepted"]) == (404, "no model is live yet")


def test_a_model_that_never_loaded_is_unavailable(tmp_path: Path) -> None:
    """A known model without one sound package is 503, not 404: the client is not wrong."""
    with serving(Registry({}, route(1)), tmp_path) as served:
        response = served.client.post("/predict/demand", json=FINE)
        assert (response.status_code, error(response)["code"]) == (503, "unavailable")
        assert response.headers["retry-after"]
        ready = served.client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["missing"] == ["demand"]
        assert "damaged" in ready.json()["troubles"][0]["reason"]


def test_metrics_do_not_depend_on_what_came_first(tmp_path: Path) -> None:
    """Two servers that counted the same show the same lines in the same order, and no time of the wall clock."""
    texts = []
    for n, cities in enumerate([("oslo", "rome"), ("rome", "oslo")]):
        routes = [route(1, model=city) for city in cities]
        with serving(Registry({1: adds(1000)}, *routes), tmp_path / str(n), clock=ReplayClock(START)) as served:
            for city in cities:
                for body in (FINE, {}):
                    served.client.post(f"/predict/{city}", json=body)
            texts.append(served.client.get("/metrics").text)
    assert texts[0] == texts[1]
    assert texts[0].index('model="oslo"') < texts[0].index('model="rome"')
    assert "_created" not in texts[0]


def test_too_many_at_once_are_told_to_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded: one more is refused at once with 503, and the server goes on."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path) as served:
        with monkeypatch.context() as now:
            now.setattr("kairos.serving.lane.MOST_WAITING", 0)
            response = served.client.post("/predict/demand", json=FINE)
        assert (response.status_code, error(response)["code"]) == (503, "overloaded")
        assert response.headers["retry-after"] == "1"
        assert served.client.post("/predict/demand", json=FINE).status_code == 200
        counted = served.client.get("/metrics").text
        assert 'kairos_requests_total{model="demand",status="503"} 1.0' in counted


def test_a_fault_of_ours_shows_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What we did not foresee is 500 with no detail; its class and place are in the log, its message nowhere."""

    user = f"ann-{7 * 6}"

    def broken(model: str, data: bytes, **options: object) -> None:
        raise ZeroDivisionError(f"the secret of {user}")

    with serving(Registry({1: adds(0)}, route(1)), tmp_path) as served:
        served.server.read = broken  # type: ignore[method-assign,assignment]
        response = served.client.post("/predict/demand", json=FINE)
        assert (response.status_code, error(response)["code"]) == (500, "internal_error")
        assert user not in response.text
    assert "ZeroDivisionError" in caplog.text
    assert "test_wire.py" in caplog.text
    assert user not in caplog.text


def test_an_answer_never_holds_another_users_data(served: Served) -> None:
    """After one user's request, good or bad, no error of another's repeats it."""
    for body in ({"inputs": {**FINE, "note": "only-ann-knows"}}, {"temperature": "only-ann-knows"}):
        served.client.post("/predict/demand", json=body)
    for content in (b"", b"{}", b"[]", b'{"temperature": "x"}', b"\xff"):
        assert "only-ann-knows" not in served.client.post("/predict/demand", content=content).text
    for path in ("/metrics", "/models/demand", "/health/ready", "/state"):
        assert "only-ann-knows" not in served.client.get(path).text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*FINE, "inputs", "entity", "id", "labels", "prediction_id", "value"]) | st.text(max_size=5)
ROWS = st.dictionaries(KEYS, VALUES | st.sampled_from(list(FINE.values())), max_size=5)
NEAR = st.one_of(ROWS, st.lists(ROWS, max_size=3), VALUES, st.fixed_dictionaries({"inputs": ROWS | st.lists(ROWS)}))
BODIES = st.binary(max_size=200) | NEAR.map(json.dumps).map(str.encode)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, path=st.sampled_from(["/predict/demand", "/labels"]))
def test_any_bytes_get_json_and_never_a_fault(served: Served, body: bytes, path: str) -> None:
    """Whatever is sent, the answer is JSON with a status below 500: a prediction, or one error of the one shape."""
    response = served.client.post(path, content=body)
    assert response.status_code in (200, 400, 422)
    if response.status_code != 200:
        error(response)
    else:
        assert set(response.json()) & {"prediction", "predictions", "labels"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(depth=st.integers(1, 1200), opening=st.sampled_from(["[", '{"temperature":', '{"inputs":', '[{"a":']))
def test_any_depth_gets_json_and_never_a_fault(served: Served, depth: int, opening: str) -> None:
    """There is no depth of nesting at which the server fails instead of refusing."""
    closing = {"[": "]", '{"temperature":': "}", '{"inputs":': "}", '[{"a":': "}]"}[opening]
    response = served.client.post("/predict/demand", content=(opening * depth + "1" + closing * depth).encode())
    assert response.status_code in (200, 400, 422)
    if response.status_code != 200:
        error(response)
