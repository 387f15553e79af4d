"""A row of a table fits a model if, and only if, it would as a request."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import InputRefused
from kairos.models.frame_rows import read_frame, why_refused
from kairos.models.signature import LONGEST_TEXT, Column, OutputSpec, Signature

COLUMNS = (
    Column(name="number", kind="number"),
    Column(name="number_or_null", kind="number", nullable=True),
    Column(name="integer", kind="integer"),
    Column(name="integer_or_null", kind="integer", nullable=True),
    Column(name="boolean", kind="boolean"),
    Column(name="boolean_or_null", kind="boolean", nullable=True),
    Column(name="category", kind="category", levels=("spring", "winter")),
    Column(name="open_or_null", kind="category", levels=("spring",), open_levels=True, nullable=True),
    Column(name="text", kind="text"),
    Column(name="optional", kind="number", required=False, nullable=True),
)
SIGNATURE = Signature(columns=COLUMNS, output=OutputSpec())

numbers = st.none() | st.sampled_from([0.5, 3.0, -1e15, 1e15, 1.1e15, math.inf, -math.inf, 1e-300]) | st.floats(-10, 10)
booleans = st.none() | st.booleans()
texts = st.none() | st.sampled_from(["spring", "winter", "autumn", "", "x" * LONGEST_TEXT, "x" * (LONGEST_TEXT + 1)])
OF_KIND: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "number": (numbers, pl.Float64),
    "integer": (numbers, pl.Float64),
    "boolean": (booleans, pl.Boolean),
    "category": (texts, pl.String),
    "text": (texts, pl.String),
}
SCHEMA = {column.name: OF_KIND[column.kind][1] for column in COLUMNS}
rows = st.lists(st.fixed_dictionaries({c.name: OF_KIND[c.kind][0] for c in COLUMNS}), max_size=8)


def parsed(row: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]] | InputRefused:
    """What a request with this row gets."""
    try:
        return SIGNATURE.parse_rows([row])
    except InputRefused as error:
        return error


@given(rows)
def test_a_table_is_held_to_what_a_request_is_held_to(given_rows: list[dict[str, Any]]) -> None:
    """The same rows are accepted, with the same values of the same types; others are refused for the same column."""
    frame = pl.DataFrame(given_rows, schema=SCHEMA)
    read = read_frame(SIGNATURE, frame)
    asked = [parsed(row) for row in given_rows]
    accepted = [at for at, each in enumerate(asked) if not isinstance(each, InputRefused)]
    assert read.accepted.tolist() == accepted
    assert sorted([*read.refused, *accepted]) == list(range(len(given_rows)))
    expected = SIGNATURE.parse_rows([given_rows[at] for at in accepted])
    for name, values in expected.items():
        assert read.columns[name].dtype == values.dtype
        assert [repr(each) for each in read.columns[name].tolist()] == [repr(each) for each in values.tolist()]
    for at, name in read.refused.items():
        refusal = asked[at]
        assert isinstance(refusal, InputRefused)
        said = why_refused(SIGNATURE, frame, at, name, first_row=100)
        assert (refusal.facts["field"], said.facts) == (name, {"row": 100 + at, "field": name})
        assert said.what == refusal.what.replace("row 0", f"row {100 + at}")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["1"], "number"), ([True], "number"), ([True], "integer"),
        ([1], "boolean"), ([1], "category"), ([None, 2.5], "text"),
    ],
)  # fmt: skip
def test_a_column_of_another_kind_is_named_at_once(values: list[Any], name: str) -> None:
    """No row of it could fit."""
    whole = {each.name: [None] * len(values) for each in COLUMNS} | {name: values}
    with pytest.raises(InputRefused, match=f"holds the column '{name}' as another kind") as caught:
        read_frame(SIGNATURE, pl.DataFrame(whole))
    assert caught.value.facts["field"] == name


def test_a_column_may_be_missing_if_it_is_optional_and_others_are_left_aside() -> None:
    """A misspelt name is guessed."""
    frame = pl.DataFrame({name: pl.Series([None], dtype=kind) for name, kind in SCHEMA.items() if name != "optional"})
    assert np.isnan(read_frame(SIGNATURE, frame.clear()).columns["optional"]).all()
    with pytest.raises(InputRefused, match=r"lacks the column 'number'(.|\n)*Did you mean 'numbre'"):
        read_frame(SIGNATURE, frame.rename({"number": "numbre"}).with_columns(more=1))


def test_other_types_of_the_same_kind_fit() -> None:
    """Small integers, decimals, categories; a column of nothing but nulls."""
    signature = Signature(columns=COLUMNS[:1] + COLUMNS[6:8], output=OutputSpec())
    frame = pl.DataFrame(
        {
            "number": pl.Series([1, 2], dtype=pl.Int8),
            "category": pl.Series(["spring", "winter"], dtype=pl.Categorical),
            "open_or_null": [None, None],
        }
    )
    read = read_frame(signature, frame)
    assert (read.columns["number"].tolist(), read.columns["category"].tolist()) == ([1.0, 2.0], ["spring", "winter"])
    assert read.refused == {}
