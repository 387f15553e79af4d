"""An answer of several outputs has the same names in every protocol and in the log; one number leaves as it did."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.models.outputs import Output, told_row
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.serving.guard import OutputGuard
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import message
from kairos.serving.rows import Answers
from kairos.values import Window
from tests.serving.toys import Columns, Registry, Served, ToySpec, adds, route, serving

EVER = Window.parse("2000-01-01..2100-01-01")
COLUMNS = (Column(name="temperature", kind="number"), Column(name="hour", kind="integer"))
KIND = Output(name="kind", kind="class", classes=("cat", "dog", "eel"))
STEPS = (Output(name="h1"), Output(name="h2"))
ROWS = st.lists(
    st.tuples(st.floats(-50.0, 50.0).map(lambda v: v + 0.0), st.integers(0, 23)), min_size=1, max_size=5
)  # fmt: skip


def chances(columns: Columns) -> Any:
    """Of three classes; the warmer, the more it is a dog."""
    raw = np.column_stack([np.zeros_like(columns["temperature"]), columns["temperature"] / 10, columns["hour"] / 12])
    shares = np.exp(raw - raw.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def steps(columns: Columns) -> Any:
    """Two steps ahead."""
    return np.column_stack([columns["temperature"], columns["temperature"] + columns["hour"]])


def spec(*outputs: Output) -> ToySpec:
    """Of a model that gives these."""
    return ToySpec(signature=Signature(columns=COLUMNS, output=OutputSpec(), outputs=outputs), entity=None, time=None)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A classifier is live."""
    registry = Registry({1: chances}, route(1), spec=spec(KIND))
    with serving(registry, tmp_path_factory.mktemp("log")) as served:
        yield served


def tensors(rows: list[tuple[float, int]]) -> list[dict[str, Any]]:
    """Rows as the Open Inference Protocol has them."""
    return [
        {"name": "temperature", "datatype": "FP64", "shape": [len(rows)], "data": [row[0] for row in rows]},
        {"name": "hour", "datatype": "INT64", "shape": [len(rows)], "data": [row[1] for row in rows]},
    ]


def binary(content: bytes, length: int) -> dict[str, list[Any]]:
    """Outputs of an answer whose tensors are bytes."""
    found, at = {}, length
    for output in json.loads(content[:length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        data, at = content[at : at + size], at + size
        if output["datatype"] == "FP64":
            found[output["name"]] = np.frombuffer(data, "<f8").tolist()
        elif output["datatype"] == "BYTES":
            texts = []
            while data:
                end = 4 + int.from_bytes(data[:4], "little")
                texts.append(data[4:end].decode())
                data = data[end:]
            found[output["name"]] = texts
    return found


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_the_same_rows_have_the_same_answers_in_every_protocol(served: Served, rows: list[tuple[float, int]]) -> None:
    """JSON, JSON and CSV of MLflow, tensors as JSON and as bytes, and a batch of the model itself."""
    columns = {"temperature": np.array([r[0] for r in rows]), "hour": np.array([r[1] for r in rows])}
    expected = [told_row([KIND], numbers) for numbers in chances(columns).tolist()]
    objects = [{"temperature": a, "hour": b} for a, b in rows]
    plain = served.client.post("/predict/demand", json=objects).json()["predictions"]
    assert [row["prediction"] for row in plain] == expected
    assert served.client.post("/invocations", json={"instances": objects}).json()["predictions"] == expected
    text = "temperature,hour\n" + "".join(f"{a!r},{b}\n" for a, b in rows)
    as_csv = served.client.post("/invocations", content=text, headers={"content-type": "text/csv"})
    assert as_csv.json()["predictions"] == expected
    infer = "/v2/models/demand/infer"
    told = served.client.post(infer, json={"inputs": tensors(rows)}).json()["outputs"]
    by_name = {each["name"]: each["data"] for each in told}
    raw = served.client.post(infer, json={"inputs": tensors(rows), "parameters": {"binary_data_output": True}})
    in_bytes = binary(raw.content, int(raw.headers["inference-header-content-length"]))
    for found in (by_name, in_bytes):
        names = ["prediction.kind", "prediction.kind.cat", "prediction.kind.dog", "prediction.kind.eel"]
        assert [name for name in found if name.startswith("prediction.")] == names
        assert [{n.removeprefix("prediction."): found[n][row] for n in names} for row in range(len(rows))] == expected
    [one] = served.log.find(plain[0]["prediction_id"])
    assert one.told == expected[0]
    assert one.output == float(KIND.classes.index(str(expected[0]["kind"])))


def test_grpc_gives_the_same_tensors(served: Served) -> None:
    """As contents of the data type, or raw."""
    version = served.server.follower.deployment.routes["demand"].champion
    expected = [told_row([KIND], n) for n in chances({"temperature": np.array([9.0]), "hour": np.array([3])}).tolist()]
    request = message("ModelInferRequest", model_name="demand")
    codec = InferenceMessage(request)
    answers = Answers(model="demand", outputs=expected, ids=["a"], versions=[1], actions=[None])
    for name, datatype, field, value in (
        ("temperature", "FP64", "fp64_contents", 9.0),
        ("hour", "INT64", "int64_contents", 3),
    ):
        item = request.inputs.add(name=name, datatype=datatype, shape=[1])
        getattr(item.contents, field).append(value)
    rows = codec.decode({}, b"", version.intake)
    answer = type(message("ModelInferResponse")).FromString(codec.encode(rows, answers).body)
    names = [output.name for output in answer.outputs]
    assert names[:2] == ["prediction.kind", "prediction.kind.cat"]
    assert list(answer.outputs[0].contents.bytes_contents) == [str(expected[0]["kind"]).encode()]
    assert list(answer.outputs[1].contents.fp64_contents) == [expected[0]["kind.cat"]]


def test_what_a_model_gives_is_told_and_may_be_asked_for_alone(served: Served) -> None:
    """In the protocol's metadata, in OpenAPI, and at /models."""
    told = served.client.get("/v2/models/demand").json()["outputs"]
    assert [(each["name"], each["datatype"]) for each in told][:2] == [
        ("prediction.kind", "BYTES"),
        ("prediction.kind.cat", "FP64"),
    ]
    ask = {"inputs": tensors([(1.0, 2)]), "outputs": [{"name": "prediction.kind.eel"}]}
    [output] = served.client.post("/v2/models/demand/infer", json=ask).json()["outputs"]
    assert (output["name"], output["shape"]) == ("prediction.kind.eel", [1])
    refused = served.client.post("/v2/models/demand/infer", json={**ask, "outputs": [{"name": "prediction"}]})
    assert refused.status_code == 400
    assert "prediction.kind.cat" in refused.json()["error"]
    schemas = served.client.get("/openapi.json").json()["components"]["schemas"]
    fields = schemas["demand.prediction"]["properties"]["prediction"]["properties"]
    assert fields["kind"] == {"enum": ["cat", "dog", "eel"]}
    assert [each["name"] for each in served.client.get("/models/demand").json()["outputs"]] == ["kind"]


def test_each_number_has_a_range_and_a_chance_has_none(tmp_path: Path) -> None:
    """What is clipped is told; the log keeps what left, and the lead of what the model said."""
    guard = OutputGuard(lower=0.0, on_violation="clip", each=(("h2", None, 10.0),))
    with serving(Registry({1: steps}, route(1), spec=spec(*STEPS)), tmp_path, guard=guard) as served:
        answer = served.client.post("/predict/demand", json={"temperature": -5.0, "hour": 23}).json()
        assert (answer["prediction"], answer["guard"]) == ({"h1": 0.0, "h2": 10.0}, "clip")
        [row] = served.rows(answer)
        assert (row.raw, row.output, row.told, row.violation) == (-5.0, 0.0, {"h1": 0.0, "h2": 10.0}, "below")
    high = OutputGuard(lower=5.0, on_violation="clip")
    assert high.judge_all((0.5, 0.25, 0.25), (KIND,)).action is None


def test_a_number_that_is_not_finite_never_leaves(tmp_path: Path) -> None:
    """Not even one of several: another version is asked, with the names that it has."""

    def broken(columns: Columns) -> Any:
        """Is well until it meets a warm day."""
        answer = steps(columns)
        answer[columns["temperature"] > 0.0, 1] = math.nan
        return answer

    registry = Registry({1: adds(1000), 2: broken}, route(2, previous=1), spec=spec(*STEPS))
    load = registry.load

    def by_number(digest: Any) -> Any:
        """The former version gives one number."""
        package = load(digest)
        package.spec = spec(*(STEPS if int(digest, 16) == 2 else ()))
        return package

    registry.load = by_number  # type: ignore[method-assign]
    with serving(registry, tmp_path) as served:
        both = served.client.post("/predict/demand", json=[{"temperature": t, "hour": 1} for t in (-1.0, 5.0)]).json()
        assert [row["prediction"] for row in both["predictions"]] == [{"h1": -1.0, "h2": 0.0}, 1005.0]
        told = served.client.post("/v2/models/demand/infer", json={"inputs": tensors([(-1.0, 1), (5.0, 1)])}).json()
        data = {each["name"]: each["data"] for each in told["outputs"]}
        assert (data["version"], data["prediction.h1"]) == ([2, 1], [-1.0, None])


def test_columns_of_the_log_are_named_after_the_outputs(tmp_path: Path) -> None:
    """Rolled or not."""
    with serving(Registry({1: chances}, route(1), spec=spec(KIND)), tmp_path) as served:
        served.client.post("/predict/demand", json=[{"temperature": float(t), "hour": 1} for t in range(20)])
        fresh = served.log.predictions("demand", EVER)
        served.log.roll()
        rolled = served.log.predictions("demand", EVER)
    assert fresh.equals(rolled)
    assert [c for c in rolled.columns if c.startswith("output.")] == [
        "output.kind", "output.kind.cat", "output.kind.dog", "output.kind.eel"
    ]  # fmt: skip
    assert sorted(rolled["output.kind"]) == [*["dog"] * 19, "eel"]  # in the order of their ids, which are random
