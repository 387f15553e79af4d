"""Plain JSON has two readers; whatever the quick one reads, the careful one reads alike."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.serving.protocols.plain import Plain, read_carefully, read_quickly
from kairos.serving.rows import Intake, Rows
from tests.serving.toys import SIGNATURE

INTAKE = Intake(signature=SIGNATURE, entity="station", time="when")

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-9, 9),
    st.floats(),
    st.sampled_from(["rain", "clear", "snow", ":", "a:b", "2012-03-03T14:00Z", "é", '"', "\\", "\ud800"]),
)
fields = st.sampled_from(["temperature", "hour", "weather", "holiday", "note", "station", "when", "inputs", "x", "a:b"])
fine_rows: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"temperature": st.one_of(st.floats(-1e16, 1e16), st.integers(-(10**16), 10**16))},
    optional={
        "hour": st.one_of(st.integers(0, 24), st.floats(0, 3), st.none()),
        "weather": st.sampled_from(["rain", "clear"]),
        "holiday": st.booleans(),
        "note": st.text(max_size=9),
        "station": st.one_of(st.text(max_size=9), st.integers(), st.floats()),
        "when": st.sampled_from(["2012-03-03T14:00Z", "2012-03-03", "noon"]),
    },
)
rows = st.one_of(fine_rows, fine_rows, st.dictionaries(fields, scalars, max_size=7), scalars)
inputs = st.one_of(rows, st.lists(rows, max_size=4))
bodies = st.one_of(
    inputs,
    st.fixed_dictionaries(
        {"inputs": inputs},
        optional={
            "entity": st.one_of(scalars, st.lists(scalars, max_size=4)),
            "time": st.one_of(scalars, st.lists(scalars, max_size=4)),
            "id": scalars,
            "ids": scalars,
        },
    ),
)


def same(one: Rows, other: Rows) -> bool:
    """Whether all is equal, types of arrays included."""
    assert list(one.columns) == list(other.columns)
    for name, values in one.columns.items():
        assert values.dtype == other.columns[name].dtype
        np.testing.assert_array_equal(values, other.columns[name])
    nobody = [None] * one.count
    return (
        (one.count, one.request_id, one.form) == (other.count, other.request_id, other.form)
        and list(one.entities or nobody) == list(other.entities or nobody)
        and list(one.times or nobody) == list(other.times or nobody)
    )


def agree(body: bytes, intake: Intake = INTAKE) -> bool:
    """Whether the quick reader took the body; if it did, the careful one gives the same."""
    quick = read_quickly(body, intake)
    if quick is None:
        return False
    assert same(quick, read_carefully(body, intake))
    return True


@given(bodies, st.booleans())
def test_both_readers_agree(body: Any, is_ascii: bool) -> None:
    """On rows that are right, nearly right and wrong, in envelopes or not."""
    agree(json.dumps(body, ensure_ascii=is_ascii).encode(errors="surrogatepass"))


@given(st.lists(st.tuples(fields, scalars.filter(lambda value: value != "\ud800")), max_size=6))
def test_a_field_that_is_there_twice_is_never_read_quickly(members: list[tuple[str, Any]]) -> None:
    """The reader of JSON keeps the last of two fields; the quick way notices by its colons."""
    text = ",".join(f"{json.dumps(k)}:{json.dumps(v, ensure_ascii=False)}" for k, v in members)
    assert not (agree(b"{" + text.encode() + b"}") and len(dict(members)) < len(members))


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,0123456789.eE-+ntrufals\\ \n\ufeff').map(str.encode))
@example(b"-0")
@example(b'{"temperature":-0}')
@example(b'{"temperature":1e400}')
@example(b'{"temperature":NaN}')
@example(b'\xef\xbb\xbf{"temperature":1}')
@example(b'{"temperature":1,"note":"\xff"}')
@example(b'{"temperature":1,"temperature":2,"note":"a"}')
@example(b'{"temperature":1,"note":":","note":""}')
@example(b'{"temperature":1,}')
@example(b"[" * 2000 + b"]" * 2000)
def test_both_readers_agree_on_bytes(body: bytes) -> None:
    """Also where these are no JSON."""
    agree(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"temperature": 20.5, "hour": 7}',
        b'[{"temperature": 20}, {"temperature": 3.5, "hour": null, "note": "at: noon"}]',
        b'{"inputs": {"temperature": 1, "station": 31}, "id": "order-7", "time": "2012-03-03T14:00Z"}',
    ],
)
def test_what_users_send_is_read_quickly(body: bytes) -> None:
    """The forms of the page take the quick way, with texts that hold colons."""
    assert agree(body)


@given(st.lists(st.one_of(st.none(), st.booleans(), st.just("no")), min_size=1, max_size=3))
def test_both_readers_agree_on_columns_that_may_be_null(values: list[Any]) -> None:
    """Every kind has its own way to hold what is missing."""
    columns = tuple(
        Column(name=kind, kind=kind, required=False, nullable=nullable, levels=("no",))
        for kind in ("boolean", "category", "text", "integer")
        for nullable in (len(values) % 2 == 0,)
    )
    intake = Intake(signature=Signature(columns=columns, output=OutputSpec()))
    for column in columns:
        agree(json.dumps([{column.name: value} for value in values]).encode(), intake)


def test_a_refusal_is_the_careful_readers() -> None:
    """Whoever read first, the message names row, field and what was meant."""
    with pytest.raises(UsageError, match="Did you mean 'temperature'") as found:
        Plain().decode({}, b'[{"temperature": 1}, {"temperatur": 20.5}]', INTAKE)
    assert found.value.facts == {"row": 1, "field": "temperatur"}
