"""Tables of Polars as blobs: Parquet whose bytes depend on the table alone."""

from __future__ import annotations

import io

import polars as pl

from kairos.errors import StoreError, UsageError
from kairos.store.blobs import Store
from kairos.values import Digest

__all__ = ["parquet_bytes", "read_table", "write_table"]


def write_table(store: Store, frame: pl.DataFrame) -> Digest:
    """Stores a table and returns its digest; equal tables have equal digests with the same release of Polars.

    Equal means the same columns in the same order, types and values; how the table came about does not matter.

    Raises:
        UsageError: a column holds Python objects, which Parquet cannot.
    """
    return store.put_bytes(parquet_bytes(frame))


def read_table(store: Store, digest: Digest) -> pl.DataFrame:
    """The table of that digest; its bytes are verified first.

    Raises:
        BlobMissing: the store does not hold it.
        BlobDamaged: its bytes do not match the digest.
        StoreError: the blob is sound but not a table.
    """
    data = store.get_bytes(digest, verify=True)
    try:
        return pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise StoreError("A blob is not a table.", given=digest, accepted="the digest of a Parquet file") from error


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The table as Parquet, compressed with zstd.

    Raises:
        UsageError: a column holds Python objects, which Parquet cannot.
    """
    for name, dtype in frame.schema.items():
        if dtype == pl.Object:
            raise UsageError("A column cannot be stored as Parquet.", given=name, accepted="any type but Object")
    buffer = io.BytesIO()
    # One chunk: Parquet's pages would otherwise follow the chunks that the table was put together from.
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=3, statistics=True)
    return buffer.getvalue()
