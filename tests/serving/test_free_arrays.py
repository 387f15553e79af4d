"""Arrays that differ in length: taken, and refused in the same words, in every protocol; also rows of one call."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kairos.models.arrays import FREE, from_log
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.privacy.capture import CapturePolicy
from kairos.serving.protocols.inference_grpc import InferenceMessage
from kairos.serving.protocols.messages import message
from kairos.serving.protocols.plain import read_quickly
from kairos.serving.rows import Intake, Rows, join, take, told_rows
from tests.serving.toys import Columns, Registry, Served, ToySpec, route, serving

TOKENS = Column(
    name="tokens", kind="array", shape=(FREE,), is_whole=True, lower=0.0, upper=9.0, seen=((0, 4),), taken=((0, 6),)
)
SPANS = ((1, 3), (2, 2))
SERIES = Column(name="series", kind="array", shape=(FREE, 2), lower=0.0, upper=1.0, seen=SPANS, taken=SPANS)
SIGNATURE = Signature(columns=(TOKENS, SERIES), output=OutputSpec())
ROWS: list[dict[str, Any]] = [
    {"tokens": [1, 2, 3], "series": [[0.5, 1]]},
    {"tokens": [], "series": [[0, 0], [1.5, -2], [3, 4]]},
    {"tokens": [7, 8, 9], "series": [[1, 1], [2, 2]]},
]
INFER = "/v2/models/demand/infer"


def adds_up(columns: Columns) -> Any:
    """Of each row the sum of its series and a hundred times that of its tokens, and a thousand for each moment."""
    for name, column in (("tokens", TOKENS), ("series", SERIES)):
        assert columns[name].dtype == object
        assert all(cell.dtype == column.dtype and column.takes(cell.shape) for cell in columns[name])
    pairs = zip(columns["series"], columns["tokens"], strict=True)
    return np.array([cell.sum() + 1000 * len(cell) + 100 * tokens.sum() for cell, tokens in pairs], dtype=float)


EXPECTED = [1601.5, 3006.5, 4406.0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of two such columns is live, and the log may keep both."""
    keep = CapturePolicy(keep=frozenset({"tokens", "series"}), entity="raw")
    spec = ToySpec(signature=SIGNATURE, entity=None, time=None)
    with serving(Registry({1: adds_up}, route(1), spec=spec), tmp_path_factory.mktemp("log"), capture=keep) as served:
        yield served


def csv_of(rows: list[dict[str, Any]]) -> str:
    """Each array a text of JSON in its cell."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0])
    writer.writerows([json.dumps(value) for value in row.values()] for row in rows)
    return out.getvalue()


def texts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tensors in which each row is a text of JSON: so they may differ in length."""
    return [
        {"name": name, "datatype": "BYTES", "shape": [len(rows)], "data": [json.dumps(row[name]) for row in rows]}
        for name in rows[0]
    ]


def test_the_same_arrays_have_the_same_answers_in_every_protocol(served: Served) -> None:
    """JSON, MLflow's JSON and CSV, tensors of texts; tensors of numbers, where all rows are of one length."""
    plain = served.client.post("/predict/demand", json=ROWS).json()["predictions"]
    assert [row["prediction"] for row in plain] == EXPECTED
    assert served.client.post("/invocations", json={"instances": ROWS}).json()["predictions"] == EXPECTED
    headers = {"content-type": "text/csv"}
    assert served.client.post("/invocations", content=csv_of(ROWS), headers=headers).json()["predictions"] == EXPECTED
    told = served.client.post(INFER, json={"inputs": texts(ROWS)}).json()["outputs"]
    assert told[0]["data"] == EXPECTED
    for row, expected in zip(ROWS, EXPECTED, strict=True):
        series = np.array(row["series"], dtype="<f8")
        parts = [np.array(row["tokens"], dtype="<i8").tobytes(), series.tobytes()]
        shapes = [[1, len(row["tokens"])], [1, *series.shape]]
        inputs = [
            {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(part)}}
            for name, datatype, shape, part in zip(("tokens", "series"), ("INT64", "FP64"), shapes, parts, strict=True)
        ]
        head = json.dumps({"inputs": inputs}).encode()
        asked = served.client.post(
            INFER, content=head + b"".join(parts), headers={"inference-header-content-length": str(len(head))}
        )
        assert asked.json()["outputs"][0]["data"] == [expected]
    request = message("ModelInferRequest", model_name="demand")
    for item in texts(ROWS):
        tensor = request.inputs.add(name=item["name"], datatype="BYTES", shape=item["shape"])
        tensor.contents.bytes_contents.extend(text.encode() for text in item["data"])
    intake = Intake(signature=SIGNATURE)
    assert adds_up(InferenceMessage(request).decode({}, b"", intake).columns).tolist() == EXPECTED
    assert read_quickly(json.dumps(ROWS[::2]).encode(), intake) is not None


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("tokens", [1] * 7, "shape [7]"),
        ("tokens", [1.5, 2], "1.5"),
        ("tokens", [[1, 2]], "shape [1, 2]"),
        ("series", [], "shape [0]"),
        ("series", [[1, 2]] * 4, "shape [4, 2]"),
        ("series", [[1, 2], [3]], "lists"),
        ("series", [[1, 2], [3, "4"]], "lists"),
        ("series", [[1, float("nan")]], "not a finite number"),
        ("series", [[1, 1e400]], "not a finite number"),
        ("series", [[1, 1e16]], "too large"),
        ("series", 3, "3"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_same_words(served: Served, name: str, value: Any, what: str) -> None:
    """By row and column, with the lengths that are taken, in JSON, MLflow's JSON, CSV and tensors."""
    bad = [ROWS[0], {**ROWS[1], name: value}]
    refused = served.client.post("/predict/demand", content=json.dumps(bad))
    assert refused.status_code == 422
    told = refused.json()["error"]
    assert (told["field"], told["row"]) == (name, 1)
    assert what in told["message"]
    assert ("[0 to 6]" if name == "tokens" else "[1 to 3, 2]") in told["accepted"]
    others = [
        served.client.post("/invocations", content=json.dumps({"instances": bad}).encode(),
                           headers={"content-type": "application/json"}),
        served.client.post("/invocations", content=csv_of(bad), headers={"content-type": "text/csv"}),
        served.client.post(INFER, json={"inputs": texts(bad)}),
    ]  # fmt: skip
    sentence = told["message"].split(" Given")[0]
    for other in others:
        assert other.status_code == 400
        assert sentence in json.dumps(other.json(), ensure_ascii=False)


def test_rows_are_joined_parted_and_told_again_as_they_came() -> None:
    """What came at the same moment is asked together; another version's signature reads what is told of the rows."""
    parts = [Rows(columns=SIGNATURE.parse_rows(each), count=len(each)) for each in (ROWS[:1], ROWS[1:])]
    together = join(parts)
    assert told_rows(together.columns, SIGNATURE) == ROWS
    assert told_rows(take(together, [2, 0]).columns, SIGNATURE) == [ROWS[2], ROWS[0]]
    alike = SIGNATURE.parse_rows([ROWS[0]] * 2)  # of one length, and not one array
    assert adds_up(alike).tolist() == [EXPECTED[0]] * 2


def test_tensors_of_numbers_are_held_to_the_same_lengths(served: Served) -> None:
    """All rows of one such tensor are of one length."""
    inputs = texts(ROWS[:1])
    inputs[1] = {"name": "series", "datatype": "FP64", "shape": [1, 4, 2], "data": [1.0] * 8}
    refused = served.client.post(INFER, json={"inputs": inputs})
    assert "shape [1, 4, 2]" in refused.text
    assert "shape [n, 1 to 3, 2]" in refused.text


def test_what_is_taken_is_told_and_what_was_taken_is_in_the_log(served: Served) -> None:
    """In metadata and OpenAPI; the log has the numbers of an array in a row, from which its shape follows."""
    told = served.client.get("/v2/models/demand").json()["inputs"]
    assert [each["shape"] for each in told] == [[-1, -1], [-1, -1, 2]]
    assert '"minItems": 1, "maxItems": 3' in json.dumps(served.client.get("/openapi.json").json())
    answers = served.client.post("/predict/demand", json=ROWS * 4).json()["predictions"]
    [row] = served.log.find(answers[10]["prediction_id"])
    assert row.inputs == {"tokens": [], "series": [0.0, 0.0, 1.5, -2.0, 3.0, 4.0]}
    kept = row.inputs["series"]
    assert isinstance(kept, list)
    assert from_log(kept, SERIES.shape) == ROWS[1]["series"]
