"""Opening packages and tables that the store holds, by the facts that name them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.app.facts import artifact_digest
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.settings.values import Pickles
from kairos.errors import PackageError
from kairos.models.package import FILES, Package, read_package
from kairos.store.blobs import Store
from kairos.store.checkouts import told_of
from kairos.values import Digest, Json

if TYPE_CHECKING:
    import polars as pl

__all__ = ["holdout_table", "open_allowed", "open_stored", "open_version", "read_stored"]


_MEND = "Nothing of it was loaded. What a remote has comes back with: kairos store verify --fetch"


@lru_cache(maxsize=8)
def open_stored(store: Store, digest: Digest, *, allow_pickle: bool = False, seal: str | None = None) -> Package:
    """Opens a package in the store; every file is verified before the model is loaded, so damaged bytes are refused.

    Args:
        store: Has it.
        digest: Its folder's.
        allow_pickle: Whether its runner may load a pickle, which runs code.
        seal: SHA-256 that its list of files must have; ``None``: whatever it has.

    Raises:
        PackageError: a file is missing from the package.
        BlobDamaged: a file's bytes are not those that were stored; ``facts['file']`` is its name in the package.
        BlobMissing: the store lacks the package.
    """
    files = store.listing(digest)

    def read(name: str) -> bytes:
        if name not in files:
            raise PackageError(f"A model package lacks {name!r}.", given=digest)
        with told_of(name):
            data = store.get_bytes(files[name], verify=True)
        if name == FILES and seal is not None and hashlib.sha256(data).hexdigest() != seal:
            raise PackageError(f"The file {name!r} of a model package is not the one that was signed.", file=name)
        return data

    def locate(name: str) -> Path | None:
        if name not in files:
            return None
        with told_of(name):
            return store.path(files[name])

    return read_package(read, locate=locate, listed=lambda: files, hint=_MEND, allow_pickle=allow_pickle)


def open_version(project: Project, digest: Digest, model: ModelSettings) -> Package:
    """Opens a package of a model; code in it may be loaded as the model's settings say.

    Raises:
        KairosError: as ``open_allowed``.
    """
    return open_allowed(project, digest, model.allow_pickle)


def open_allowed(project: Project, digest: Digest, allow_pickle: Pickles) -> Package:
    """Opens a package in a project's store.

    Args:
        project: Whose store, ledger and keys.
        digest: Of the package's folder.
        allow_pickle: Whether its runner may load a pickle. With ``signed`` a package that has code is opened only if a
            signature by one of the project's keys holds for every byte of it.

    Raises:
        PackageError: as ``open_stored``; or it has code and is not signed.
    """
    if allow_pickle != "signed":
        return open_stored(project.store, digest, allow_pickle=allow_pickle)
    package = open_stored(project.store, digest)
    if not package.runs_code:
        return package
    from kairos.app.signing import seal_of

    return open_stored(project.store, digest, allow_pickle=True, seal=seal_of(project, digest))


def holdout_table(project: Project, model: ModelSettings, run: Json) -> pl.DataFrame:
    """The rows that a run kept back to judge its models on."""
    return read_stored(project.store, artifact_digest(run, model.holdout))


@lru_cache(maxsize=8)
def read_stored(store: Store, digest: Digest) -> pl.DataFrame:
    """A table in the store; the last eight are kept in memory.

    Raises:
        StoreError: as ``store.tables.read_table``.
    """
    from kairos.store.tables import read_table

    return read_table(store, digest)
