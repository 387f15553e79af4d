"""Partitions of a source put below each other."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from kairos.errors import OutputError
from kairos.pipeline.artifacts import decode, encode
from kairos.pipeline.joining import join
from kairos.store import Store
from kairos.values import Window


def test_a_partition_without_rows_may_know_fewer_columns(tmp_path: Path) -> None:
    """An interface that gave no row tells only the columns that were declared; another type is still refused."""
    store = Store(tmp_path / "store")
    empty = pl.DataFrame(schema={"users": pl.Int64})
    full = pl.DataFrame({"users": [1], "at": ["x"]})
    parts = [encode(store, frame, name="a") for frame in (empty, full, empty)]
    joined = join(store, parts, name="a", workdir=tmp_path)
    assert decode(store, joined, workdir=tmp_path).equals(full)
    less = encode(store, full.select("users"), name="a")
    with pytest.raises(OutputError):
        join(store, [parts[1], less], name="a", workdir=tmp_path)
    windows = [Window.parse(f"2012-03-0{day}..2012-03-0{day}") for day in (1, 2, 3)]
    with pytest.raises(OutputError, match=r"in 2012-03-03T00:00:00Z\.\.2012-03-04T00:00:00Z 'at' is not there"):
        join(store, [parts[1], parts[0], less], name="a", workdir=tmp_path, windows=windows)
    other = encode(store, full.select("at", "users"), name="a")
    with pytest.raises(OutputError, match="the columns are in another order"):
        join(store, [parts[1], other], name="a", workdir=tmp_path, windows=windows)
