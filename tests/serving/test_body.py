"""From a request's bytes to rows, entities and ids."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import InputRefused, UsageError
from kairos.serving.body import MOST_ROWS, read_json, read_predict


def read(body: Any, entity_field: str | None = None) -> Any:
    return read_predict(body, entity_field=entity_field, columns=frozenset({"a"}))


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    """Whatever the bytes, reading gives a value that can be written down again, or a UsageError; nothing else."""
    try:
        value = read_json(data)
    except UsageError:
        return
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b"{'a': 1}", "property name"),
        (b"\xff\xfe\xfa", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"x}", "."),
        (b'"\\ud800"', "not Unicode"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(data: bytes, why: str) -> None:
    """Broken JSON, other encodings, absurd nesting and half surrogates are refused; the message says why."""
    with pytest.raises(UsageError, match="The request is not JSON") as caught:
        read_json(data)
    assert why in str(caught.value)


def test_nan_and_infinity_are_read_so_that_the_signature_can_name_the_field() -> None:
    """``NaN`` is not JSON; it is read all the same, and refused later with its column's name."""
    assert math.isnan(read_json(b'{"a": NaN}')["a"])
    assert read_json(b'{"a": 1e999}')["a"] == math.inf


def test_the_four_forms_of_a_request() -> None:
    """One object, a list, and either in an envelope."""
    assert read({"a": 1}).rows == ({"a": 1},)
    assert not read({"a": 1}).is_batch
    assert read([{"a": 1}, {"a": 2}]).is_batch
    one = read({"inputs": {"a": 1}, "entity": "ann", "id": 7})
    assert (one.rows, one.entities, one.request_id, one.is_batch) == (({"a": 1},), ("ann",), "7", False)
    two = read({"inputs": [{"a": 1}, {"a": 2}], "entity": ["ann", 5]})
    assert two.entities == ("ann", "5")
    assert read({"inputs": [{"a": 1}, {"a": 2}], "entity": "ann"}).entities == ("ann", "ann")


def test_the_entity_field_of_a_row_is_taken_out() -> None:
    """A row may carry its entity in the model's own entity field; it is no column and does not reach the signature."""
    parsed = read({"a": 1, "station": 31}, entity_field="station")
    assert (parsed.rows, parsed.entities) == (({"a": 1},), ("31",))
    kept = read({"a": 31}, entity_field="a")
    assert (kept.rows, kept.entities) == (({"a": 31},), ("31",))


def test_a_column_called_inputs_is_a_column() -> None:
    """An envelope is not looked for where the model itself has a column ``inputs``."""
    parsed = read_predict({"inputs": 3}, entity_field=None, columns=frozenset({"inputs"}))
    assert parsed.rows == ({"inputs": 3},)


@pytest.mark.parametrize(
    ("body", "field", "row"),
    [
        (3, None, 0),
        (None, None, 0),
        ([], None, None),
        ([{"a": 1}, 5], None, 1),
        ([{"a": 1}] * (MOST_ROWS + 1), None, None),
        ({"inputs": {"a": 1}, "entitty": "x"}, "entitty", None),
        ({"inputs": {"a": 1}, "id": ["x"]}, "id", None),
        ({"inputs": {"a": 1}, "id": ""}, "id", None),
        ({"inputs": {"a": 1}, "id": True}, "id", None),
        ({"inputs": {"a": 1}, "entity": "x" * 201}, "entity", 0),
        ({"inputs": {"a": 1}, "entity": {"x": 1}}, "entity", 0),
        ({"inputs": [{"a": 1}], "entity": ["x", "y"]}, "entity", None),
    ],
)
def test_malformed_requests_name_the_field_and_the_row(body: Any, field: str | None, row: int | None) -> None:
    """A refusal says which part of the request it is about."""
    with pytest.raises(InputRefused) as caught:
        read(body)
    assert (caught.value.facts["field"], caught.value.facts["row"]) == (field, row)


def test_a_row_may_say_when_it_is_about() -> None:
    """In the field of the model's time column, or in the envelope; it is no input of the model."""

    def times(body: Any) -> Any:
        found = read_predict(body, entity_field=None, time_field="when", columns=frozenset({"a"}))
        assert all(row == {"a": 1} for row in found.rows)
        return found.times

    noon = datetime(2012, 3, 3, 12, tzinfo=UTC)
    assert times({"a": 1, "when": "2012-03-03T12:00Z"}) == (noon,)
    assert times([{"a": 1, "when": "2012-03-03T13:00+01:00"}, {"a": 1}]) == (noon, None)
    assert times({"inputs": [{"a": 1}, {"a": 1}], "time": "2012-03-03T12:00"}) == (noon, noon)
    with pytest.raises(InputRefused, match="'when' cannot be read") as caught:
        times([{"a": 1}, {"a": 1, "when": 7}])
    assert (caught.value.facts["field"], caught.value.facts["row"]) == ("when", 1)
    with pytest.raises(InputRefused, match="not as many times as rows"):
        times({"inputs": [{"a": 1}], "time": []})
