"""The Open Inference Protocol over HTTP, with bodies that its clients were seen to send."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.serving.protocols.inference import OUTPUTS
from tests.serving.toys import Registry, Served, adds, route, serving

# What tritonclient 2 makes of two rows, asking for the first output in binary and the second in JSON.
TRITON_HEAD = (
    b'{"id":"order-7","inputs":[{"name":"temperature","shape":[2],"datatype":"FP64","parameters":'
    b'{"binary_data_size":16}},{"name":"hour","shape":[2],"datatype":"INT64","parameters":{"binary_data_size":16}},'
    b'{"name":"weather","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":17}},{"name":"holiday",'
    b'"shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}}],"outputs":[{"name":"prediction",'
    b'"parameters":{"binary_data":true}},{"name":"version","parameters":{"binary_data":false}}]}'
)
TRITON_TENSORS = struct.pack("<2d2q", 20.5, 3.0, 7, 8) + b"\x04\0\0\0rain\x05\0\0\0clear\x01\0"
INFER = "/v2/models/demand/infer"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Version 2 is live and adds 2000, version 3 is in shadow, version 1 was live before."""
    registry = Registry(
        {1: adds(1000), 2: adds(2000), 3: adds(3000)}, route(2, challenger=3, stage="shadow", previous=1)
    )
    with serving(registry, tmp_path_factory.mktemp("log")) as served:
        yield served


def body(**parts: Any) -> dict[str, Any]:
    """A request of one row."""
    return {"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "data": [20.5]}], **parts}


def outputs(answer: Any) -> dict[str, Any]:
    """Data by name."""
    return {output["name"]: output["data"] for output in answer["outputs"]}


def test_what_tritonclient_sends_is_answered_as_it_reads(served: Served) -> None:
    """Binary tensors in and out: the header says where JSON ends, each output how long it is."""
    headers = {"inference-header-content-length": str(len(TRITON_HEAD)), "content-type": "application/octet-stream"}
    response = served.client.post(INFER, content=TRITON_HEAD + TRITON_TENSORS, headers=headers)
    assert response.status_code == 200, response.text
    length = int(response.headers["inference-header-content-length"])
    assert json.loads(response.content[:length]) == {
        "model_name": "demand",
        "model_version": "2",
        "id": "order-7",
        "outputs": [
            {"name": "prediction", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}},
            {"name": "version", "datatype": "INT64", "shape": [2], "data": [2, 2]},
        ],
    }
    assert struct.unpack("<2d", response.content[length:]) == (2020.5, 2003.0)


def test_json_gives_json_with_every_output(served: Served) -> None:
    """Who asks for no output gets all; the prediction's id is in the log."""
    answer = served.client.post(INFER, json=body()).json()
    found = outputs(answer)
    assert list(found) == list(OUTPUTS)
    assert (found["prediction"], found["version"], found["guard"]) == ([2020.5], [2], [""])
    [row] = [row for row in served.rows({"prediction_id": found["prediction_id"][0]}) if row.answered]
    assert (row.version, row.role, row.inputs["temperature"]) == (2, "champion", 20.5)


def test_a_body_may_repeat_what_the_path_says(served: Served) -> None:
    """KServe's client does."""
    assert served.client.post(INFER, json=body(model_name="demand", id="1")).status_code == 200


def test_entities_and_times_are_tensors_or_parameters(served: Served) -> None:
    """Both ways they reach the log, as they do in plain JSON."""
    station = {"name": "station", "datatype": "BYTES", "shape": [1], "data": ["s1"]}
    by_tensor = body()
    by_tensor["inputs"] = [*by_tensor["inputs"], station]
    for sent in (by_tensor, body(parameters={"entity": "s1"})):
        found = outputs(served.client.post(INFER, json=sent).json())
        assert {row.key for row in served.rows({"prediction_id": found["prediction_id"][0]})} == {"s1"}


@pytest.mark.parametrize(("number", "role"), [(1, "previous"), (2, "champion"), (3, "challenger")])
def test_a_loaded_version_answers_when_it_is_named(served: Served, number: int, role: str) -> None:
    """In its own role in the log, and alone."""
    response = served.client.post(f"/v2/models/demand/versions/{number}/infer", json=body())
    answer = response.json()
    found = outputs(answer)
    assert (answer["model_version"], found["prediction"]) == (str(number), [20.5 + 1000 * number])
    [row] = served.rows({"prediction_id": found["prediction_id"][0]})
    assert (row.version, row.role, row.answered) == (number, role, True)


@pytest.mark.parametrize("path", ["versions/9/infer", "versions/x/infer", "versions/²/infer"])
def test_a_version_that_is_not_loaded_is_not_found(served: Served, path: str) -> None:
    """The refusal has the protocol's shape."""
    response = served.client.post(f"/v2/models/demand/{path}", json=body())
    assert (response.status_code, list(response.json())) == (404, ["error"])


def test_metadata_and_health(served: Served) -> None:
    """They have JSON bodies, which KServe's client reads."""
    get = served.client.get
    assert get("/v2").json()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert get("/v2/health/live").json() == {"live": True}
    assert get("/v2/health/ready").json() == {"ready": True}
    assert get("/v2/models").json() == {"models": ["demand"]}
    assert get("/v2/models/demand/ready").json() == {"name": "demand", "ready": True}
    assert get("/v2/models/demand/versions/3/ready").status_code == 200
    assert get("/v2/models/demand/versions/4/ready").status_code == 404
    assert get("/v2/models/demnad/ready").status_code == 404
    told = get("/v2/models/demand").json()
    assert told["versions"] == ["1", "2", "3"]
    assert {each["name"]: each["datatype"] for each in told["inputs"]} == {
        "temperature": "FP64",
        "hour": "INT64",
        "weather": "BYTES",
        "holiday": "BOOL",
        "note": "BYTES",
        "station": "BYTES",
        "when": "BYTES",
    }
    assert {each["name"]: each["datatype"] for each in told["outputs"]} == dict(OUTPUTS)


def test_the_repository_tells_what_is_true(tmp_path: Path) -> None:
    """What cannot be loaded is listed with the reason; a client can unload nothing."""
    registry = Registry({1: adds(1)}, route(1, challenger=2, stage="shadow"))
    with serving(registry, tmp_path) as served:
        index = served.client.post("/v2/repository/index", json={}).json()
        assert [(each["version"], each["state"]) for each in index] == [("1", "READY"), ("2", "UNAVAILABLE")]
        assert "damaged" in index[1]["reason"]
        assert served.client.post("/v2/repository/models/demand/load", json={}).status_code == 200
        assert served.client.post("/v2/repository/models/demnad/load", json={}).status_code == 404
        refused = served.client.post("/v2/repository/models/demand/unload", json={})
        assert refused.status_code == 409
        assert "kairos rollback" in refused.json()["error"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "protocol's form"),
        (b'{"inputs": []}', "no list of tensors"),
        (b'{"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "data": ["x"]}]}', "Element 0"),
        (json.dumps(body(outputs=[{"name": "predicton"}])).encode(), "Did you mean 'prediction'?"),
        (json.dumps(body(outputs=[{"name": "prediction"}] * 2)).encode(), "more than once"),
        (json.dumps(body(parameters=[])).encode(), "no object"),
        (json.dumps(body(id=7)).encode(), "The id of the request is no text."),
        (json.dumps({"inputs": body()["inputs"] * 2}).encode(), "'temperature' is there more than once"),
        (b'{"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "parameters":'
         b' {"shared_memory_region": "r"}}]}', "Shared memory"),
        (b'{"inputs": [{"name": "temperature", "datatype": "FP64", "shape": [1], "parameters":'
         b' {"binary_data_size": 8}}]}', "binary_data_size"),
    ],
)  # fmt: skip
def test_refusals_have_the_protocols_shape(served: Served, sent: bytes, said: str) -> None:
    """400 and one text under ``error``, which says what is accepted too."""
    response = served.client.post(INFER, content=sent)
    assert (response.status_code, list(response.json())) == (400, ["error"])
    assert said in response.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "99999", "", "²"])
def test_a_wrong_header_length_is_refused(served: Served, length: str) -> None:
    """It never reads beyond the body."""
    headers = {"inference-header-content-length": length.encode()}
    assert served.client.post(INFER, json=body(), headers=headers).status_code == 400


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_sent_is_answered_without_a_fault(served: Served, data: st.DataObject) -> None:
    """A recorded request with bytes changed, cut off or put in is answered or refused."""
    whole = bytearray(TRITON_HEAD + TRITON_TENSORS)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        whole[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    headers = {"inference-header-content-length": str(data.draw(st.integers(0, len(whole))))}
    response = served.client.post(INFER, content=bytes(whole), headers=headers)
    assert response.status_code in (200, 400)
