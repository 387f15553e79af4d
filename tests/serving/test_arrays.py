"""Arrays as inputs: the same request is taken, or refused in words, in every protocol, and the log may hold it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kairos.models.signature import Column, OutputSpec, Signature
from kairos.privacy.capture import CapturePolicy
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import message
from kairos.values import Window
from tests.serving.toys import Columns, Registry, Served, ToySpec, route, serving

EVER = Window.parse("2000-01-01..2100-01-01")
PICTURE = Column(name="picture", kind="array", shape=(2, 3), lower=0.0, upper=1.0)
COUNTS = Column(name="counts", kind="array", shape=(2,), is_whole=True, lower=0.0, upper=9.0)
SPEC = ToySpec(signature=Signature(columns=(PICTURE, COUNTS), output=OutputSpec()), entity=None, time=None)
ROWS = [
    {"picture": [[0.5, 1, -2.25], [3, 4, 5]], "counts": [1, 2]},
    {"picture": [[0, 0, 0], [0, 0, 1e-3]], "counts": [0, 40]},
]
INFER = "/v2/models/demand/infer"


def adds_up(columns: Columns) -> Any:
    """Of each row the sum of its picture, and a hundred times its counts."""
    assert columns["picture"].shape[1:] == (2, 3)
    assert columns["picture"].dtype == np.float64
    assert columns["counts"].dtype == np.int64
    return columns["picture"].sum(axis=(1, 2)) + 100 * columns["counts"].sum(axis=1)


EXPECTED = adds_up({"picture": np.array([r["picture"] for r in ROWS], dtype=np.float64),
                    "counts": np.array([r["counts"] for r in ROWS])}).tolist()  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of two arrays is live, and the log may keep both."""
    keep = CapturePolicy(keep=frozenset({"picture", "counts"}), entity="raw")
    registry = Registry({1: adds_up}, route(1), spec=SPEC)
    with serving(registry, tmp_path_factory.mktemp("log"), capture=keep) as served:
        yield served


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the Open Inference Protocol has them: one nested, one flat."""
    count = len(rows)
    return [
        {"name": "picture", "datatype": "FP32", "shape": [count, 2, 3], "data": [row["picture"] for row in rows]},
        {
            "name": "counts",
            "datatype": "INT64",
            "shape": [count, 2],
            "data": [n for row in rows for n in row["counts"]],
        },
    ]


def binary(rows: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
    """The same as bytes, with the header that says where they begin."""
    parts = [
        np.array([row["picture"] for row in rows], dtype="<f8").tobytes(),
        np.array([row["counts"] for row in rows], dtype="<i8").tobytes(),
    ]
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(part)}}
        for name, datatype, shape, part in (
            ("picture", "FP64", [len(rows), 2, 3], parts[0]),
            ("counts", "INT64", [len(rows), 2], parts[1]),
        )
    ]
    head = json.dumps({"inputs": inputs}).encode()
    return head + b"".join(parts), {"inference-header-content-length": str(len(head))}


def test_the_same_arrays_have_the_same_answers_in_every_protocol(served: Served) -> None:
    """Nested lists of JSON, MLflow's three forms, tensors nested and flat, bytes, and gRPC's contents and raw bytes."""
    plain = served.client.post("/predict/demand", json=ROWS).json()["predictions"]
    assert [row["prediction"] for row in plain] == EXPECTED
    split = {"columns": ["counts", "picture"], "data": [[row["counts"], row["picture"]] for row in ROWS]}
    by_column = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    forms: tuple[Any, ...] = ({"instances": ROWS}, {"dataframe_split": split}, {"inputs": by_column})
    for form in forms:
        assert served.client.post("/invocations", json=form).json()["predictions"] == EXPECTED
    told = served.client.post(INFER, json={"inputs": tensors(ROWS)}).json()["outputs"]
    assert told[0]["data"] == pytest.approx(EXPECTED, abs=1e-6)  # of float32
    body, headers = binary(ROWS)
    assert served.client.post(INFER, content=body, headers=headers).json()["outputs"][0]["data"] == EXPECTED
    intake = served.server.follower.deployment.routes["demand"].champion.intake
    for is_raw in (False, True):
        request = message("ModelInferRequest", model_name="demand")
        for name, datatype, shape, field in (
            ("picture", "FP64", [2, 2, 3], "fp64_contents"),
            ("counts", "INT64", [2, 2], "int64_contents"),
        ):
            values = np.array([row[name] for row in ROWS], dtype="<f8" if datatype == "FP64" else "<i8")
            item = request.inputs.add(name=name, datatype=datatype, shape=shape)
            if is_raw:
                request.raw_input_contents.append(values.tobytes())
            else:
                getattr(item.contents, field).extend(values.ravel().tolist())
        assert adds_up(InferenceMessage(request).decode({}, b"", intake).columns).tolist() == EXPECTED


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("picture", [[1, 2, 3]], "shape [1, 3]"),
        ("picture", [[1, 2], [3, 4], [5, 6]], "shape [3, 2]"),
        ("picture", [1, 2, 3, 4, 5, 6], "shape [6]"),
        ("picture", [[1, 2, 3], [4, 5]], "lists"),
        ("picture", [[1, 2, None], [4, 5, 6]], "lists"),
        ("picture", [[1, 2, True], [4, 5, 6]], "lists"),
        ("picture", [[1, 2, "3"], [4, 5, 6]], "lists"),
        ("picture", 3.5, "3.5"),
        ("picture", None, "is null"),
        ("picture", [[1e16, 2, 3], [4, 5, 6]], "too large"),
        ("picture", [[10**400, 2, 3], [4, 5, 6]], "not a finite number"),
        ("counts", [1.5, 2], "1.5"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_shape(served: Served, name: str, value: Any, what: str) -> None:
    """By row and column, in JSON and in MLflow's JSON alike, with the shape that is taken."""
    bad = [ROWS[0], {**ROWS[1], name: value}]
    refused = served.client.post("/predict/demand", content=json.dumps(bad))
    assert refused.status_code == 422
    told = refused.json()["error"]
    assert (told["field"], told["row"]) == (name, 1)
    assert what in refused.text
    shape = "[2, 3]" if name == "picture" else "[2]"
    assert shape in told["accepted"] or "between" in told["accepted"]
    scored = served.client.post("/invocations", content=json.dumps({"instances": bad}),
                                headers={"content-type": "application/json"})  # fmt: skip
    assert scored.status_code == 400
    assert what in scored.text


def test_tensors_of_another_shape_are_refused(served: Served) -> None:
    """With the shape that is wanted."""
    inputs = tensors(ROWS)
    inputs[0]["shape"] = [2, 3, 2]
    refused = served.client.post(INFER, json={"inputs": inputs})
    assert refused.status_code == 400
    assert "shape [2, 3, 2]" in refused.text
    assert "[n, 2, 3]" in refused.text
    lacking = served.client.post(INFER, json={"inputs": tensors(ROWS)[:1]})
    assert "a tensor of INT64 of shape [n, 2]" in lacking.text
    fraction = tensors(ROWS)
    fraction[1] |= {"datatype": "FP64", "data": [1.0, 2.0, 0.5, 4.0]}
    assert "0.5" in served.client.post(INFER, json={"inputs": fraction}).text


def csv_of(rows: list[dict[str, Any]]) -> str:
    """Each array a text of JSON in its cell."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0])
    writer.writerows([json.dumps(value) for value in row.values()] for row in rows)
    return out.getvalue()


def test_a_cell_of_csv_holds_an_array_as_json(served: Served) -> None:
    """The same answers, and the same refusals."""
    headers = {"content-type": "text/csv"}
    scored = served.client.post("/invocations", content=csv_of(ROWS), headers=headers)
    assert scored.json()["predictions"] == EXPECTED
    for value, what in (("1;2", "Given: 1;2"), ("[1, 2", "Given: [1, 2"), ("[1, NaN]", "finite"), ("[1]", "shape [1]")):
        text = csv_of(ROWS).replace('"[1, 2]"', f'"{value}"')
        refused = served.client.post("/invocations", content=text, headers=headers)
        assert refused.status_code == 400
        assert "Column 'counts' of row 0" in refused.text
        assert what in refused.text


def test_what_is_taken_is_told_and_what_was_taken_is_in_the_log(served: Served) -> None:
    """In metadata and OpenAPI; the log has the numbers of an array in a row."""
    told = served.client.get("/v2/models/demand").json()["inputs"]
    assert told == [
        {"name": "picture", "datatype": "FP64", "shape": [-1, 2, 3]},
        {"name": "counts", "datatype": "INT64", "shape": [-1, 2]},
    ]
    schemas = json.dumps(served.client.get("/openapi.json").json())
    assert '"minItems": 3, "maxItems": 3' in schemas
    answers = served.client.post("/predict/demand", json=[ROWS[0]] * 12).json()["predictions"]
    [row] = served.log.find(answers[11]["prediction_id"])
    assert row.inputs == {"picture": [0.5, 1.0, -2.25, 3.0, 4.0, 5.0], "counts": [1.0, 2.0]}
    served.log.roll()
    rows = served.log.predictions("demand", EVER)
    assert rows["in.picture"].to_list()[-1] == [0.5, 1.0, -2.25, 3.0, 4.0, 5.0]
    [again] = served.log.find(answers[11]["prediction_id"])
    assert again.inputs == row.inputs
