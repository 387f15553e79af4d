"""Partitions of one source put below each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import pairwise
from pathlib import Path

import polars as pl

from kairos.errors import BlobDamaged, DataRefused, OutputError
from kairos.pipeline.artifacts import Artifact, decode, encode
from kairos.pipeline.frames import concatenate, unfit
from kairos.pipeline.origins.rows import Rows
from kairos.store import Store
from kairos.values import Window

__all__ = ["join"]

_MANY_ROWS = 1_000_000
"""From here on, partitions are read piece by piece and never held together."""
_TOLD = 5
"""Columns that are named where partitions differ."""


def join(
    store: Store, parts: Sequence[Artifact], *, name: str, workdir: Path, windows: Sequence[Window] = ()
) -> Artifact:
    """Puts partitions below each other, in their order.

    One without rows says nothing if it has no columns, or only some of the others': an origin that gave no row may know
    those only that were declared. It is left out.

    Args:
        store: Has the partitions, and takes the whole.
        parts: The partitions.
        name: Of the artifact.
        workdir: For files on the way.
        windows: Of the partitions, to say of which one the columns differ.

    Raises:
        OutputError: they are no tables, or their columns differ.
    """
    full = next((set(part.meta["columns"]) for part in parts if part.meta.get("rows")), set())
    told = [at for at, part in enumerate(parts) if not _says_nothing(part, full)] or [0]
    try:
        return _joined(store, [parts[at] for at in told], name, workdir)
    except OutputError as error:
        if not windows or not all(part.kind.startswith("table/") for part in parts):
            raise
        schemas = {at: pl.read_parquet_schema(store.path(parts[at].digest)) for at in told}
        for before, after in pairwise(told):
            if differs := _difference(schemas[before], schemas[after]):
                raise unfit(name, f"in {windows[after]} {differs}") from error
        raise


def _joined(store: Store, told: Sequence[Artifact], name: str, workdir: Path) -> Artifact:
    is_polars = all(part.kind == "table/polars" for part in told)
    if not is_polars or sum(part.meta["rows"] for part in told) < _MANY_ROWS:
        return encode(store, concatenate([decode(store, part, workdir=workdir) for part in told], name=name), name=name)
    try:
        return encode(store, Rows(lambda: _batches(store, told)), name=name)
    except DataRefused as error:
        raise unfit(name, str(error.given)) from error


def _difference(before: Mapping[str, pl.DataType], after: Mapping[str, pl.DataType]) -> str:
    """What is otherwise in the columns of a partition than in those of the one before it; empty if nothing is."""
    if list(before.items()) == list(after.items()):
        return ""
    told = [f"{name!r} is not there" for name in before if name not in after]
    told += [f"{name!r} is new" for name in after if name not in before]
    both = [name for name in before if name in after]
    told += [f"{name!r} is {after[name]}, not {before[name]}" for name in both if after[name] != before[name]]
    return ", ".join(told[:_TOLD]) or "the columns are in another order"


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
