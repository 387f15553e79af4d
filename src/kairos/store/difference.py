"""What of a file or folder is other than a digest says; nothing is stored, and what did not change is not read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from kairos.store.blobs import Store
from kairos.store.folders import is_folder
from kairos.store.index import IndexReader
from kairos.store.walking import walk
from kairos.values import Digest

__all__ = ["Change", "changes"]


class Change(NamedTuple):
    """A file that is other than it was."""

    name: str
    """Its path inside the folder; of a single file nothing."""
    how: Literal["added", "removed", "changed"]
    now: Digest | None
    """Of what lies there now."""


def changes(store: Store, path: Path, digest: Digest) -> Iterator[Change]:
    """How what lies at ``path`` differs from what the digest names, in the order of the names.

    Raises:
        BlobMissing: the store does not hold the listing of the folder.
        StoreError: the folder holds something that cannot be stored.
    """
    if not is_folder(digest):
        now = _digest(path) if path.is_file() else None
        if now != digest:
            yield Change("", "removed" if now is None else "changed", now)
        return
    before = iter(store.listing(digest).items())
    name, known = next(before, (None, None))
    index = IndexReader(store.index(path))
    for found, stamp in walk(path) if path.is_dir() else ():
        while name is not None and name < found:
            yield Change(name, "removed", None)
            name, known = next(before, (None, None))
        remembered = index.find(found, stamp)
        now = Digest(remembered.hex()) if remembered is not None else _digest(path / found)
        if name != found:
            if now is not None:
                yield Change(found, "added", now)
            continue
        if now != known:
            yield Change(found, "removed" if now is None else "changed", now)
        name, known = next(before, (None, None))
    while name is not None:
        yield Change(name, "removed", None)
        name, known = next(before, (None, None))


def _digest(path: Path) -> Digest | None:
    """The MD5 of a file; ``None``: there is none any more."""
    try:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            return Digest(md5.hexdigest())
    except FileNotFoundError:
        return None
