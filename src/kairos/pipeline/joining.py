"""Partitions of one source put below each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import polars as pl

from kairos.errors import BlobDamaged, DataRefused
from kairos.pipeline.artifacts import Artifact, decode, encode
from kairos.pipeline.frames import concatenate, unfit
from kairos.pipeline.origins.rows import Rows
from kairos.store import Store

__all__ = ["join"]

_MANY_ROWS = 1_000_000
"""From here on, partitions are read piece by piece and never held together."""


def join(store: Store, parts: Sequence[Artifact], *, name: str, workdir: Path) -> Artifact:
    """Puts partitions below each other, in their order.

    One without rows says nothing if it has no columns, or only some of the others': an origin that gave no row may know
    those only that were declared. It is left out.

    Raises:
        OutputError: they are no tables, or their columns differ.
    """
    full = next((set(part.meta["columns"]) for part in parts if part.meta.get("rows")), set())
    told = [part for part in parts if not _says_nothing(part, full)] or parts[:1]
    is_polars = all(part.kind == "table/polars" for part in told)
    if not is_polars or sum(part.meta["rows"] for part in told) < _MANY_ROWS:
        return encode(store, concatenate([decode(store, part, workdir=workdir) for part in told], name=name), name=name)
    try:
        return encode(store, Rows(lambda: _batches(store, told)), name=name)
    except DataRefused as error:
        raise unfit(name, str(error.given)) from error


def _says_nothing(part: Artifact, full: Set[str]) -> bool:
    columns = part.meta.get("columns")
    return columns == [] or (columns is not None and not part.meta.get("rows") and set(columns) < full)


def _batches(store: Store, parts: Sequence[Artifact]) -> Iterator[pl.DataFrame]:
    for part in parts:
        for damage in store.verify([part.digest]):
            raise BlobDamaged(f"A partition of {part.name!r} is not what it was.", given=str(damage))
        frame = pl.scan_parquet(store.path(part.digest), glob=False)
        is_empty = True
        for batch in frame.collect_batches(chunk_size=50_000, maintain_order=True):
            is_empty = False
            yield batch
        if is_empty:
            yield pl.DataFrame(schema=frame.collect_schema())
