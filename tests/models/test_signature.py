"""What a request may look like, and which single clear error it gets when it does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import InputRefused
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.values import plain

SIGNATURE = Signature(
    columns=(
        Column(name="temperature", kind="number", lower=-8.0, upper=41.0),
        Column(name="hour", kind="integer"),
        Column(name="holiday", kind="boolean"),
        Column(name="season", kind="category", levels=("spring", "winter")),
        Column(name="note", kind="text", nullable=True, required=False),
        Column(name="humidity", kind="number", nullable=True),
    ),
    output=OutputSpec(lower=0.0),
)
ROW: dict[str, Any] = {"temperature": 3, "hour": 17, "holiday": False, "season": "winter", "humidity": None}


def test_rows_become_typed_columns_in_the_order_of_training() -> None:
    """Key order does not matter; null is NaN in a number column; an optional column that is left out is None."""
    columns = SIGNATURE.parse_rows([ROW, dict(reversed(ROW.items()))])
    assert tuple(columns) == SIGNATURE.names
    assert [columns[name].dtype.kind for name in columns] == ["f", "i", "b", "O", "O", "f"]
    assert columns["temperature"].tolist() == [3.0, 3.0]
    assert columns["note"].tolist() == [None, None]
    assert np.isnan(columns["humidity"]).all()


def test_no_rows_give_empty_columns() -> None:
    """An empty list of rows is not an error here."""
    assert SIGNATURE.parse_rows([])["hour"].shape == (0,)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"temperature": "3"}, "temperature", "not a number"),
        ({"temperature": True}, "temperature", "not a number"),
        ({"temperature": math.nan}, "temperature", "not a finite number"),
        ({"temperature": -math.inf}, "temperature", "not a finite number"),
        ({"temperature": 2e15}, "temperature", "too large"),
        ({"temperature": 10**5000}, "temperature", "too large"),
        ({"temperature": None}, "temperature", "is null"),
        ({"temperature": [1]}, "temperature", "not a number"),
        ({"hour": 3.5}, "hour", "not a whole number"),
        ({"hour": False}, "hour", "not a whole number"),
        ({"holiday": 1}, "holiday", "not true or false"),
        ({"season": 3}, "season", "not one of 'spring', 'winter'"),
        ({"season": "wintre"}, "season", "Did you mean 'winter'?"),
        ({"note": "x" * 10_001}, "note", "too long"),
        ({"temprature": 3}, "temprature", "does not know"),
    ],
)
def test_what_does_not_fit_is_refused_with_row_and_field(change: dict[str, Any], field: str, words: str) -> None:
    """One error, naming the row and the field, short even when the input is huge."""
    with pytest.raises(InputRefused) as caught:
        SIGNATURE.parse_rows([ROW, ROW | change])
    assert caught.value.facts == {"row": 1, "field": field}
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_missing_column_is_refused_with_what_it_accepts() -> None:
    """The message says which column and what it takes."""
    with pytest.raises(InputRefused, match=r"Row 0 lacks the column 'hour'\. Accepted: a whole number"):
        SIGNATURE.parse_rows([{k: v for k, v in ROW.items() if k != "hour"}])


def test_a_misspelt_column_gets_the_nearest_name() -> None:
    """Only columns that the row does not have yet are suggested."""
    with pytest.raises(InputRefused, match="Did you mean 'temperature'"):
        SIGNATURE.parse_rows([{"temprature" if k == "temperature" else k: v for k, v in ROW.items()}])


def test_a_row_that_is_not_an_object_is_refused() -> None:
    """A list of numbers has no field names."""
    with pytest.raises(InputRefused, match="not an object"):
        SIGNATURE.parse_rows([[1, 2]])  # type: ignore[list-item]


def test_an_unknown_level_passes_where_the_model_handles_it() -> None:
    """``open_levels`` is set when the model was seen to answer for an unseen level."""
    column = Column(name="season", kind="category", levels=("a",), open_levels=True)
    assert Signature(columns=(column,), output=OutputSpec()).parse_rows([{"season": "z"}])["season"].tolist() == ["z"]


def test_a_level_too_rare_to_be_named_passes() -> None:
    """The parser cannot tell it from an unseen one, so that it accepts both and names no other level as a must."""
    column = Column(name="season", kind="category", levels=("a",), rare_levels=True)
    signature = Signature(columns=(column,), output=OutputSpec())
    assert signature.parse_rows([{"season": "z"}])["season"].tolist() == ["z"]
    with pytest.raises(InputRefused) as refused:
        signature.parse_rows([{"season": 1}])
    assert "'a'" not in str(refused.value)


def test_values_of_text_and_of_hidden_columns_are_not_told() -> None:
    """Levels of a category and ranges of numbers are, unless the column is hidden."""
    text = Column(name="email", kind="text", levels=("ann@example.org",))
    category = Column(name="season", kind="category", levels=("a", "b"))
    number = Column(name="age", kind="number", lower=18.0, upper=97.0)
    assert text.told(is_hidden=False).levels == ()
    assert category.told(is_hidden=False) == category
    assert category.told(is_hidden=True).levels == ()
    assert number.told(is_hidden=True) == Column(name="age", kind="number")


def test_a_signature_survives_json() -> None:
    """``from_plain`` undoes ``plain``."""
    assert Signature.from_plain(plain(SIGNATURE)) == SIGNATURE


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(SIGNATURE.names) | st.text(), anything))
def test_any_json_is_parsed_or_refused(row: dict[str, Any]) -> None:
    """No input leads to another error than ``InputRefused``, and a finite number column stays finite."""
    try:
        columns = SIGNATURE.parse_rows([row])
    except InputRefused:
        return
    assert np.isfinite(columns["temperature"]).all()
