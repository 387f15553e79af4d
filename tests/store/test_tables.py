"""Tables as blobs: equal tables are one blob, and what cannot be stored or read is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import BlobDamaged, BlobMissing, StoreError, UsageError
from kairos.store import Store
from kairos.store.tables import parquet_bytes, read_table, write_table
from kairos.values import Digest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "cache")


MOMENT = datetime(2011, 1, 1, 5, tzinfo=UTC)
KINDS = {
    "integer": [1, None, -3],
    "float": [0.5, float("nan"), None],
    "text": ["é", "", None],
    "boolean": [True, None, False],
    "moment": [MOMENT, None, MOMENT + timedelta(microseconds=1)],
    "day": [date(2011, 1, 1), None, date(2012, 2, 29)],
    "list": [[1, 2], [], None],
    "struct": [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, None],
    "decimal": [Decimal("1.50"), None, Decimal("-2.25")],
    "nothing": [None, None, None],
}


def test_every_type_comes_back(store: Store) -> None:
    """Types, time zones, categories, missing values and NaN survive; so do tables without rows or columns."""
    levels = pl.Series("enum", ["b", "a", None], dtype=pl.Enum(["a", "b", "c"]))
    full = pl.DataFrame(KINDS).with_columns(levels, levels.cast(pl.Categorical).alias("category"))
    for frame in (full, full.head(0), pl.DataFrame()):
        back = read_table(store, write_table(store, frame))
        assert back.schema == frame.schema
        assert back.equals(frame)


ROWS = st.lists(st.tuples(st.none() | st.integers(-9, 9), st.none() | st.sampled_from(["a", "bb", "x" * 40])))


@given(ROWS, st.integers(0, 5), ROWS)
def test_bytes_depend_on_the_table_alone(
    rows: list[tuple[int | None, str | None]], cut: int, other: list[object]
) -> None:
    """Pieces put together, slices of larger tables, and tables made at once give the same bytes if they are equal."""
    schema = {"n": pl.Int64, "s": pl.String}
    whole = pl.DataFrame(rows, schema=schema, orient="row")
    pieces = pl.concat([whole[:cut], whole[cut:]], rechunk=False)
    beside = pl.DataFrame(other, schema=schema, orient="row")
    sliced = pl.concat([beside, whole, beside])[len(other) : len(other) + len(rows)]
    assert parquet_bytes(whole) == parquet_bytes(pieces) == parquet_bytes(sliced)
    assert (parquet_bytes(beside) == parquet_bytes(whole)) == beside.equals(whole)


def test_large_table_in_many_pieces_is_the_same_blob() -> None:
    """Neither the number of pieces nor the threads that compress them show in the bytes of a large table."""
    whole = pl.DataFrame({"a": range(300_000)}).with_columns((pl.col("a") % 97).cast(pl.String).alias("b"))
    pieces = pl.concat([whole[at : at + 7_000] for at in range(0, 300_000, 7_000)], rechunk=False)
    assert parquet_bytes(pieces) == parquet_bytes(whole)


@pytest.mark.parametrize(
    "other",
    [
        pl.DataFrame({"b": [1], "a": [2]}),
        pl.DataFrame({"a": [2], "b": [None]}),
        pl.DataFrame({"a": [2], "b": [1]}, schema={"a": pl.Int64, "b": pl.Int32}),
    ],
)
def test_different_tables_are_different_blobs(other: pl.DataFrame) -> None:
    """The order of the columns, a missing value and a narrower type each make another table."""
    assert parquet_bytes(other) != parquet_bytes(pl.DataFrame({"a": [2], "b": [1]}))


def test_what_parquet_cannot_hold_is_refused_by_name(store: Store) -> None:
    """A column of Python objects is an error that names it, and nothing is stored."""
    with pytest.raises(UsageError, match="odd"):
        write_table(store, pl.DataFrame({"odd": [object()]}, schema={"odd": pl.Object}))
    assert list(store.digests()) == []


def test_only_sound_tables_are_read(store: Store) -> None:
    """A missing blob, a damaged one and one that is no table are three different errors."""
    digest = write_table(store, pl.DataFrame({"a": [1]}))
    with pytest.raises(BlobMissing):
        read_table(store, Digest("0" * 32))
    with pytest.raises(StoreError, match="not a table"):
        read_table(store, store.put_bytes(b"hour,users\n1,2\n"))
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"x")
    with pytest.raises(BlobDamaged):
        read_table(store, digest)
