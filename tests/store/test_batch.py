"""Predictions that are written together read as if each had been written alone."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace
from polars.testing import assert_frame_equal

from kairos.errors import StoreError, UsageError
from kairos.store.batch import Packed, Predictions
from kairos.store.frames import prediction_frame
from kairos.store.payloads import decode, decode_together, encode
from kairos.store.predictions import PredictionLog
from kairos.store.records import Prediction

AT = datetime(2012, 3, 3, 14, 0, 5, 123456, tzinfo=UTC)
NUMBERS = some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False)
SCALARS = some.none() | some.booleans() | NUMBERS | some.text()


def packed_of(values: list[float]) -> Packed:
    return Packed(kind="number", data=np.array(values, dtype="<f8").tobytes())


@some.composite
def batches(draw: Any) -> Predictions:
    """Rows with answers of one version, of several, or of none."""
    count = draw(some.integers(1, 5))
    rows = draw(some.lists(some.integers(0, count - 1), min_size=1, max_size=8))

    def each(values: Any, length: int = count) -> Any:
        return draw(some.lists(values, min_size=length, max_size=length))

    numbers, words = some.none() | some.floats(allow_nan=False), some.none() | some.text(max_size=5)
    return Predictions(
        model="demand",
        at=AT,
        share=draw(some.floats(0, 1)),
        ids=each(some.text(min_size=1, max_size=5)),
        keys=each(words),
        abouts=each(some.none() | some.just(AT)),
        inputs={
            **{name: each(SCALARS) for name in draw(some.sets(some.sampled_from("abc")))},
            **({"d": packed_of(each(some.floats(-9, 9)))} if draw(some.booleans()) else {}),
        },
        sparse=frozenset(draw(some.sets(some.sampled_from("abc")))),
        rows=rows,
        versions=each(some.integers(1, 9), len(rows)),
        roles=each(some.sampled_from(["champion", "challenger", "previous"]), len(rows)),
        answered=each(some.booleans(), len(rows)),
        raws=each(numbers, len(rows)),
        outputs=each(numbers, len(rows)),
        violations=each(words, len(rows)),
        actions=each(words, len(rows)),
        errors=each(words, len(rows)),
        latencies_us=each(some.integers(0, 10**9), len(rows)),
    )


@given(some.lists(batches(), min_size=1, max_size=3))
def test_batches_are_the_table_that_their_rows_are(several: list[Predictions]) -> None:
    """By column or row by row, beside each other: the same table, with the same types."""
    rows = [row for batch in several for row in batch]
    mixed: list[Prediction | Predictions] = [*several[:1], *(row for batch in several[1:] for row in batch)]
    expected = prediction_frame(rows)
    assert_frame_equal(prediction_frame(several), expected)
    assert_frame_equal(prediction_frame(mixed), expected)


@given(batches(), some.sampled_from(["ids", "keys", "roles", "raws", "latencies_us"]))
def test_columns_that_do_not_fit_are_damage(batch: Predictions, name: str) -> None:
    """A batch whose columns are of different lengths is never read, not even in part."""
    cut = replace(batch, **{name: getattr(batch, name)[:-1]})
    with pytest.raises(StoreError, match="cannot be read"):
        decode_together(encode(cut))


@given(
    some.lists(some.none() | some.integers(-(2**53), 2**53), min_size=1),
    some.lists(some.none() | some.floats(allow_nan=False, allow_infinity=False), min_size=1),
    some.lists(some.integers(-(2**63), 2**63 - 1), min_size=1),
)
def test_packed_numbers_are_those_that_were_packed(
    wholes: list[int | None], numbers: list[float | None], integers: list[int]
) -> None:
    """In the three kinds, with and without missing ones; types are those that single values would have."""
    told: list[tuple[Any, list[Any], str]] = [
        ("whole", wholes, "<f8"),
        ("number", numbers, "<f8"),
        ("integer", integers, "<i8"),
    ]
    for kind, values, dtype in told:
        array = np.array([np.nan if value is None else value for value in values], dtype=dtype)
        packed = Packed(kind=kind, data=array.tobytes())
        assert packed.values() == values == list(packed)
        assert [type(value) for value in packed] == [type(value) for value in values]
        assert len(packed) == len(values)


@given(batches())
def test_a_batch_is_what_its_rows_are(batch: Predictions) -> None:
    """Read back, each row is the one that was put in, and the same as if it had been written by itself."""
    rows = list(batch)
    assert list(decode(encode(batch))) == rows
    assert list(decode(encode(rows))) == rows
    assert len(batch) == len(rows)


def one(**changes: Any) -> Predictions:
    """A batch of one row."""
    told: dict[str, Any] = {
        "model": "demand",
        "at": AT,
        "share": 0.0,
        "ids": ["p1"],
        "keys": [None],
        "abouts": [None],
        "inputs": {"hour": [3], "note": [None]},
        "sparse": frozenset({"note"}),
        "rows": [0],
        "versions": [1],
        "roles": ["champion"],
        "answered": [True],
        "raws": [1.5],
        "outputs": [1.5],
        "violations": [None],
        "actions": [None],
        "errors": [None],
        "latencies_us": [7],
    }
    return Predictions(**{**told, **changes})


def test_a_log_holds_batches_and_single_rows(tmp_path: Path) -> None:
    """They are found and rolled alike."""
    log = PredictionLog(tmp_path)
    (row,) = one()
    assert row.inputs == {"hour": 3}
    with closing(log.writer("w")) as writer:
        writer.append(one())
        writer.append([row])
    assert log.find("p1") == [row, row]
    log.roll()
    assert [each.id for each in log.find("p1")] == ["p1", "p1"]


def test_what_cannot_be_stored_is_refused_before_anything_is_written() -> None:
    """A time without a zone, a model that is no folder, a number beyond 64 bits."""
    with pytest.raises(UsageError, match="without a zone"):
        one(at=AT.replace(tzinfo=None))
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        one(model="../x")
    with pytest.raises(UsageError, match="cannot be written"):
        encode(one(inputs={"hour": [2**64]}))


def test_a_batch_whose_columns_are_too_short_is_damage() -> None:
    """Its frame was sound and it still makes no rows: that is told as such."""
    with pytest.raises(StoreError, match="cannot be read"):
        decode(encode(one(ids=[])))


def test_nothing_is_a_batch_of_nothing() -> None:
    """Which is not written at all."""
    assert len(one(rows=[], versions=[], roles=[], answered=[])) == 0
    assert isinstance(next(iter(one())), Prediction)
