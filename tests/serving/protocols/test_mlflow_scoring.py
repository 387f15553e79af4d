"""MLflow's scoring protocol: the same answers to all its forms of input, and refusals in its shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.toys import Registry, Served, adds, route, serving

ROWS: list[dict[str, Any]] = [
    {"temperature": 20.5, "hour": 7, "weather": "rain"},
    {"temperature": 3, "hour": None, "weather": "clear"},
]
COLUMNS = ["temperature", "hour", "weather"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one model, whose version 1 adds 1000."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path_factory.mktemp("log")) as served:
        yield served


def refusal(response: Any) -> tuple[int, str]:
    """Status and code of a refusal, which has MLflow's shape."""
    body = response.json()
    assert set(body) == {"error_code", "message"}
    return response.status_code, body["error_code"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": COLUMNS, "index": [0, 1], "data": [[row[c] for c in COLUMNS] for row in ROWS]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": {name: [row[name] for row in ROWS] for name in COLUMNS}},
        {"dataframe_records": ROWS, "params": {}},
    ],
)
def test_every_form_is_the_same_rows(served: Served, body: Any) -> None:
    """Tables by row and by column; the only live model need not be named."""
    for path in ("/invocations", "/invocations/demand"):
        response = served.client.post(path, json=body)
        assert (response.status_code, response.json()) == (200, {"predictions": [1020.5, 1003.0]}), response.text


def test_csv_with_what_is_missing(served: Served) -> None:
    """Cells are read as the model's columns; an empty one is null."""
    text = 'temperature,hour,weather,holiday,note\r\n20.5,7,rain,True,"a,b"\r\n3,,clear,false,\r\n'
    response = served.client.post("/invocations", content=text, headers={"content-type": "text/csv; charset=utf-8"})
    assert response.json() == {"predictions": [1020.5, 1003.0]}


def test_an_answer_names_its_version_and_id(served: Served) -> None:
    """The body has no place for them: they are in headers."""
    response = served.client.post("/invocations", json={"instances": ROWS[:1]})
    assert response.headers["kairos-version"] == "1"
    [row] = served.rows({"prediction_id": response.headers["kairos-prediction-id"]})
    assert row.output == 1020.5


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"instances": ROWS, "inputs": ROWS},
        {"instances": {"temperature": 1}},
        {"instances": []},
        {"instances": [[1, 2]]},
        {"instances": [{"temperatur": 1}]},
        {"instances": [{"temperature": "warm"}]},
        {"instances": ROWS, "params": {"depth": 3}},
        {"inputs": {"temperature": [1, 2], "hour": [1]}},
        {"inputs": {"temperature": 1}},
        {"dataframe_split": {"columns": ["temperature"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["temperature", "temperature"], "data": [[1, 2]]}},
        {"dataframe_split": {"data": [[1]]}},
    ],
)
def test_what_does_not_fit_is_a_bad_request(served: Served, body: Any) -> None:
    """400 with MLflow's code."""
    assert refusal(served.client.post("/invocations", json=body)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "text", [b"", b"temperature\n1_000\n", b"temperature\nnan\n", b"temperature,hour\n1\n", b"\xff"]
)
def test_csv_that_does_not_fit_is_a_bad_request(served: Served, text: bytes) -> None:
    """A cell is read as strictly as JSON."""
    response = served.client.post("/invocations", content=text, headers={"content-type": "text/csv"})
    assert refusal(response) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("kind", ["text/html", "application/json; charset=latin-1", "application/x-parquet"])
def test_another_content_type_is_415_in_plain_text(served: Served, kind: str) -> None:
    """As MLflow's server says it; Parquet is not read."""
    response = served.client.post("/invocations", content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415
    assert response.headers["content-type"].startswith("text/plain")


def test_health_and_version(served: Served) -> None:
    """A line end, and the version of MLflow whose protocol it is."""
    for path in ("/ping", "/health"):
        assert (served.client.get(path).status_code, served.client.get(path).text) == (200, "\n")
    assert served.client.get("/version").text.startswith("3.")


def test_of_several_models_one_must_be_named(tmp_path: Path) -> None:
    """The refusal says how; nothing live is 404."""
    registry = Registry({1: adds(1)}, route(1), route(1, model="price"))
    with serving(registry, tmp_path) as served:
        response = served.client.post("/invocations", json={"instances": ROWS})
        assert refusal(response) == (400, "BAD_REQUEST")
        assert "/invocations/price" in response.json()["message"]
        assert served.client.post("/invocations/price", json={"instances": ROWS}).status_code == 200
        assert refusal(served.client.post("/invocations/x", json={})) == (404, "RESOURCE_DOES_NOT_EXIST")
    with serving(Registry({}), tmp_path / "none") as served:
        assert refusal(served.client.post("/invocations", json={}))[0] == 404
        assert served.client.get("/ping").status_code == 404


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(text=st.text(alphabet='temperature,hour\n\r1.5e"-x\0', max_size=40))
def test_any_csv_is_answered_without_a_fault(served: Served, text: str) -> None:
    """Read or refused."""
    headers = {"content-type": "text/csv"}
    response = served.client.post("/invocations", content="temperature,hour\n" + text, headers=headers)
    assert response.status_code in (200, 400)
