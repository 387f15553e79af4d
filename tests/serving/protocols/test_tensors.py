"""Tensors: every data type survives both of its forms, and becomes the column that plain JSON would give."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kairos.errors import InputRefused
from kairos.serving.protocols.tensors import DATATYPES, Tensor, from_bytes, from_json, rows_of, to_bytes
from kairos.serving.rows import Intake
from tests.serving.toys import SIGNATURE

INTAKE = Intake(signature=SIGNATURE, entity="station", time="when")
NUMERIC = [name for name in DATATYPES if name not in ("BYTES", "BOOL")]


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """A tensor of any data type and of up to three axes."""
    datatype = draw(st.sampled_from(sorted(DATATYPES)))
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple))
    count = int(np.prod(shape))
    if datatype == "BYTES":
        texts = draw(st.lists(st.text(max_size=5), min_size=count, max_size=count))
        values = np.array([*texts, None], dtype=np.object_)[:-1]
    else:
        elements = arrays.from_dtype(np.dtype(DATATYPES[datatype]))
        values = draw(arrays.arrays(DATATYPES[datatype], count, elements=elements))
    return Tensor(name="t", datatype=datatype, shape=shape, values=values)


@given(tensors(), st.booleans())
def test_a_tensor_survives_both_forms(tensor: Tensor, is_nested: bool) -> None:
    """All data types, flat and nested, with every value that they can hold, infinity and NaN too."""
    there = from_bytes("t", tensor.datatype, list(tensor.shape), to_bytes(tensor))
    data = (tensor.values.reshape(tensor.shape) if is_nested else tensor.values).tolist()
    told = from_json("t", tensor.datatype, list(tensor.shape), json.loads(json.dumps(data)))
    for back in (there, told):
        assert (back.shape, back.datatype, back.values.dtype) == (tensor.shape, tensor.datatype, tensor.values.dtype)
        np.testing.assert_array_equal(back.values, tensor.values)


@given(st.sampled_from(sorted(DATATYPES)), st.lists(st.integers(0, 3), max_size=3), st.binary(max_size=30))
def test_bytes_are_a_tensor_or_refused(datatype: str, shape: list[int], data: bytes) -> None:
    """Nothing else comes of bytes that a stranger sends."""
    with contextlib.suppress(InputRefused):
        assert to_bytes(from_bytes("t", datatype, shape, data)) == data


@pytest.mark.parametrize("datatype", NUMERIC)
def test_a_number_of_any_type_is_a_number_and_an_integer(datatype: str) -> None:
    """The model's column decides what it becomes; [n, 1] is as good as [n]."""
    values = np.array([7, 9], dtype=DATATYPES[datatype])
    sent = [
        Tensor(name="temperature", datatype=datatype, shape=(2,), values=values),
        Tensor(name="hour", datatype=datatype, shape=(2, 1), values=values),
    ]
    rows = rows_of(sent, INTAKE, parameters={})
    plain = SIGNATURE.parse_rows([{"temperature": 7, "hour": 7}, {"temperature": 9, "hour": 9}])
    for name, column in plain.items():
        assert rows.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(rows.columns[name], column)


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "data", "field", "row"),
    [
        ("temperature", "FP64", [2], [1.0, float("nan")], "temperature", 1),
        ("temperature", "FP64", [2], [1e16, 0.0], "temperature", 0),
        ("temperature", "FP16", [1], [1e9], "temperature", 0),
        ("temperature", "BOOL", [1], [True], "temperature", 0),
        ("temperature", "BYTES", [1], ["1"], "temperature", 0),
        ("temperature", "INT8", [2], [1, 128], "temperature", 1),
        ("temperature", "UINT8", [1], [-1], "temperature", 0),
        ("temperature", "INT64", [1], [1.0], "temperature", 0),
        ("temperature", "FP64", [1], [None], "temperature", 0),
        ("temperature", "FP64", [2], [1.0], "temperature", None),
        ("temperature", "FP128", [1], [1.0], "temperature", None),
        ("temperature", "FP64", [-1], [1.0], "temperature", None),
        ("temperature", "FP64", [1, 2], [1.0, 2.0], "temperature", None),
        ("temperature", "FP64", [0], [], None, None),
        ("temperature", "FP64", [2], [[1.0], 2.0], "temperature", None),
        ("temperature", "FP64", [1], {"a": 1}, "temperature", None),
        ("temperatur", "FP64", [1], [1.0], "temperatur", None),
        ("matrix", "FP64", [1, 3], [1.0, 2.0, 3.0], "matrix", None),
        ("hour", "INT64", [1], [7], "temperature", None),
    ],
)
def test_what_does_not_fit_is_refused(name: str, datatype: str, shape: Any, data: Any, field: Any, row: Any) -> None:
    """The refusal names the tensor, and the row where there is one."""
    with pytest.raises(InputRefused) as found:
        rows_of([from_json(name, datatype, shape, data)], INTAKE, parameters={})
    assert (found.value.facts["field"], found.value.facts.get("row")) == (field, row)


def test_nan_is_null_where_null_is_known() -> None:
    """Binary tensors have no null; a column that may be null takes NaN for it."""
    sent = [from_json("temperature", "FP64", [2], [1, 2]), from_json("hour", "FP32", [2], [float("nan"), 3])]
    assert np.isnan(rows_of(sent, INTAKE, parameters={}).columns["hour"][0])


def test_one_matrix_is_all_columns() -> None:
    """In the order of the signature; 0 and 1 stand for booleans."""
    columns = tuple(c for c in SIGNATURE.columns if c.kind in ("number", "integer", "boolean"))
    intake = Intake(signature=type(SIGNATURE)(columns=columns, output=SIGNATURE.output))
    rows = rows_of([from_json("x", "FP32", [2, 3], [[1.5, 7, 1], [2, 8, 0]])], intake, parameters={})
    assert {name: values.tolist() for name, values in rows.columns.items()} == {
        "temperature": [1.5, 2.0],
        "hour": [7.0, 8.0],
        "holiday": [True, False],
    }
