"""Opening packages and tables that the store holds, by the facts that name them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.app.facts import artifact_digest
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import PackageError
from kairos.models.package import Package, read_package
from kairos.store.blobs import Store
from kairos.values import Digest, Json

if TYPE_CHECKING:
    import polars as pl

__all__ = ["holdout_table", "open_stored"]


@lru_cache(maxsize=8)
def open_stored(store: Store, digest: Digest, *, allow_pickle: bool = False) -> Package:
    """Opens a package in the store; every file that is read is verified, so damaged bytes are refused.

    Raises:
        PackageError: a file is missing from the package.
        BlobDamaged: a file's bytes are not those that were stored.
        BlobMissing: the store lacks the package.
    """
    files = store.listing(digest)

    def read(name: str) -> bytes:
        if name not in files:
            raise PackageError(f"A model package lacks {name!r}.", given=digest)
        return store.get_bytes(files[name], verify=True)

    def locate(name: str) -> Path | None:
        return store.path(files[name]) if name in files else None

    return read_package(read, locate=locate, allow_pickle=allow_pickle)


def holdout_table(project: Project, model: ModelSettings, run: Json) -> pl.DataFrame:
    """The rows that a run kept back to judge its models on."""
    return _table(project.store, artifact_digest(run, model.holdout))


@lru_cache(maxsize=8)
def _table(store: Store, digest: Digest) -> pl.DataFrame:
    from kairos.store.tables import read_table

    return read_table(store, digest)
