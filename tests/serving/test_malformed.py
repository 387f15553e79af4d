"""Bodies that are made to hurt: never a fault, never long, never much memory, whatever the protocol."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.serving.body import LARGEST_BODY_BYTES
from tests.serving.toys import Registry, Served, adds, route, serving

SIZE = LARGEST_BODY_BYTES // 4
"""A quarter of what a body may have, to be quick: what it costs grows as it does, no faster."""

MOST_CPU_S = 1.0
"""Of such a body; some 0.1 s is usual."""

MOST_TIMES = 100
"""Times a body's size, the memory that reading it may take."""

JSON, CSV = "application/json", "text/csv"
READERS = [
    ("/predict/demand", JSON),
    ("/v2/models/demand/infer", JSON),
    ("/invocations", JSON),
    ("/invocations", CSV),
    ("/labels", JSON),
]
DOORS = [*READERS, ("/events", JSON), ("/v2/repository/index", JSON)]


def fill(head: bytes, unit: bytes, tail: bytes = b"") -> bytes:
    """As many units as fit."""
    return head + unit * ((SIZE - len(head) - len(tail)) // len(unit)) + tail


def tensor(shape: str, data: str) -> bytes:
    """A request of the Open Inference Protocol."""
    return f'{{"inputs":[{{"name":"temperature","datatype":"FP64","shape":{shape},"data":{data}}}]}}'.encode()


HALF = SIZE // 2
BODIES = {
    "deep lists": fill(b"", b"["),
    "deep lists that end": b"[" * HALF + b"]" * HALF,
    "deep objects": fill(b"", b'{"a":'),
    "one field over and over": fill(b"{", b'"a":1,', b'"a":1}'),
    "many fields": json.dumps({str(n): 1 for n in range(17_000)}).encode(),
    "a long number": fill(b'{"temperature":', b"9", b"}"),
    "a number beyond all": b'{"temperature":1e999999999}',
    "a long text": fill(b'{"note":"', b":", b'"}'),
    "halves of pairs": fill(b'{"note":"', b"\\ud800", b'"}'),
    "rows of nothing": fill(b"[", b"[],", b"[]]"),
    "rows by the column": json.dumps({"inputs": {"temperature": [1] * 80_000}}).encode(),
    "rows by the table": fill(b'{"dataframe_split":{"columns":["temperature"],"data":[', b"[1],", b"[1]]}}"),
    "labels of nothing": fill(b'{"labels":[', b"{},", b"{}]}"),
    "a tensor of many rows": tensor(f"[{HALF - 99}]", f"[{'0,' * (HALF - 100)}0]"),
    "a tensor of many columns": tensor(f"[1,{HALF - 99}]", f"[{'0,' * (HALF - 100)}0]"),
    "a shape beyond all": tensor(f"[1,{'9' * 4_000}]", "[1]"),
    "sides beyond all": tensor(f"[1,{'9' * 4_000},{'9' * 4_000}]", "[1]"),
    "a shape of many sides": tensor(f"[{'1,' * 100_000}1]", "[1]"),
    "a tensor of deep lists": tensor("[1]", "[" * 100_000 + "]" * 100_000),
    "tensors of nothing": fill(b'{"inputs":[', b"{},", b"{}]}"),
    "commas": fill(b"", b","),
    "lines": fill(b"temperature\n", b"1\n"),
    "ends of lines": fill(b"", b"\n"),
    "an open quote": fill(b'"', b"x"),
    "nothing but zeros": bytes(SIZE),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one model."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path_factory.mktemp("log")) as served:
        yield served


def ask(served: Served, body: bytes) -> list[int]:
    """The statuses that a body is answered with at every door."""
    return [served.client.post(path, content=body, headers={"content-type": kind}).status_code for path, kind in DOORS]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_made_to_hurt_is_refused_soon(served: Served, name: str) -> None:
    """At the doors with readers of their own, with time of the processor for one request in bounds."""
    assert len(BODIES[name]) <= SIZE
    for path, kind in READERS:
        start_s = time.process_time()
        response = served.client.post(path, content=BODIES[name], headers={"content-type": kind})
        assert time.process_time() - start_s < MOST_CPU_S, path
        assert response.status_code in (400, 422), path
        assert len(response.content) < 2_000  # what is wrong is not sent back


@pytest.mark.parametrize(
    ("name", "path", "kind"),
    [
        ("rows of nothing", "/predict/demand", JSON),
        ("rows by the table", "/invocations", JSON),
        ("lines", "/invocations", CSV),
        ("a tensor of many rows", "/v2/models/demand/infer", JSON),
    ],
)
def test_a_body_that_is_made_to_hurt_takes_bounded_memory(served: Served, name: str, path: str, kind: str) -> None:
    """Those with the most parts, where they are read to the end."""
    gc.collect()
    tracemalloc.start()
    try:
        served.client.post(path, content=BODIES[name], headers={"content-type": kind})
        assert tracemalloc.get_traced_memory()[1] < MOST_TIMES * SIZE
    finally:
        tracemalloc.stop()


WORDS = [
    "inputs",
    "outputs",
    "instances",
    "dataframe_split",
    "dataframe_records",
    "columns",
    "data",
    "params",
    "name",
    "datatype",
    "shape",
    "parameters",
    "id",
    "entity",
    "time",
    "temperature",
    "hour",
    "weather",
    "labels",
    "events",
    "prediction_id",
    "value",
    "model",
    "ready",
    "binary_data_size",
    "binary_data",
]

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(WORDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
"""Anything that JSON can hold, and NaN, in the words of the protocols."""


@settings(suppress_health_check=list(HealthCheck), max_examples=80, deadline=None)
@given(value=VALUES)
def test_whatever_json_comes_is_answered_or_refused(served: Served, value: object) -> None:
    """At every door."""
    assert set(ask(served, json.dumps(value).encode())) <= {200, 400, 404, 422}


@settings(suppress_health_check=list(HealthCheck), max_examples=40, deadline=None)
@given(body=st.binary(max_size=200))
def test_whatever_bytes_come_are_answered_or_refused(served: Served, body: bytes) -> None:
    """At every door."""
    assert set(ask(served, body)) <= {200, 400, 404, 422}
