"""What of a file or folder is other than a digest says; nothing is stored, and what did not change is not read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from kairos.store.blobs import Store
from kairos.store.folders import Entries, is_folder
from kairos.store.index import IndexReader
from kairos.store.walking import Batch, walk
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
    index = IndexReader(store.index(path))
    batches = walk(path) if path.is_dir() else iter(())
    looked: Iterator[tuple[Batch, list[str | None]]] = ((batch, index.find(*batch)) for batch in batches)
    same = 0  # so many files, from the first one on, are as the index, and so the listing, has them
    if index.whole is not None and index.whole.listing == digest and store.holds(digest):
        for batch, known in looked:
            if None in known or index.passed != same + len(known):
                looked = chain([(batch, known)], looked)
                break
            same += len(known)
        else:
            if same == index.whole.files:
                return
    yield from _merged(path, looked, islice(_flat(store.entries(digest)), same, None))


def _merged(
    path: Path, looked: Iterable[tuple[Batch, list[str | None]]], before: Iterator[tuple[str, str]]
) -> Iterator[Change]:
    """Compares what lies there with what was, both in the order of their names."""
    name, was = next(before, (None, None))
    for batch, known in looked:
        for found, remembered in zip(batch.names, known, strict=True):
            while name is not None and name < found:
                yield Change(name, "removed", None)
                name, was = next(before, (None, None))
            now = Digest(remembered) if remembered is not None else _digest(path / found)
            if name != found:
                if now is not None:
                    yield Change(found, "added", now)
                continue
            if now != was:
                yield Change(found, "removed" if now is None else "changed", now)
            name, was = next(before, (None, None))
    while name is not None:
        yield Change(name, "removed", None)
        name, was = next(before, (None, None))


def _flat(listing: Iterable[Entries]) -> Iterator[tuple[str, str]]:
    return chain.from_iterable(zip(names, digests, strict=True) for names, digests in listing)


def _digest(path: Path) -> Digest | None:
    """The MD5 of a file; ``None``: there is none any more."""
    try:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            return Digest(md5.hexdigest())
    except FileNotFoundError:
        return None
