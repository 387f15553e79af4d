"""What of a file or folder is other than a digest says; nothing is stored, and what did not change is not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from kairos.store.blobs import Store
from kairos.store.folders import Entries, is_folder
from kairos.store.ignoring import Ignore
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


def changes(store: Store, path: Path, digest: Digest, ignore: Ignore | None = None) -> Iterator[Change]:
    """How what lies at ``path`` differs from what the digest names, in the order of the names.

    Args:
        store: Whose digest it is.
        path: A file or folder.
        digest: What should be there.
        ignore: What of a folder is not looked at.

    Raises:
        BlobMissing: the store does not hold the listing of the folder.
        StoreError: the folder holds something that cannot be stored.
    """
    if not is_folder(digest):
        now = _digest(store, path, digest) if path.is_file() else None
        if now != digest:
            yield Change("", "removed" if now is None else "changed", now)
        return
    index = IndexReader(store.index(path))
    batches = walk(path, ignore) if path.is_dir() else iter(())
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
    yield from _merged(store, path, looked, islice(_flat(store.entries(digest)), same, None))


def _merged(
    store: Store, path: Path, looked: Iterable[tuple[Batch, list[str | None]]], before: Iterator[tuple[str, str]]
) -> Iterator[Change]:
    """Compares what lies there with what was, both in the order of their names."""
    name, was = next(before, (None, None))
    for batch, known in looked:
        for found, remembered in zip(batch.names, known, strict=True):
            while name is not None and name < found:
                yield Change(name, "removed", None)
                name, was = next(before, (None, None))
            now = (
                Digest(remembered)
                if remembered is not None
                else _digest(store, path / found, was if name == found else None)
            )
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


def _digest(store: Store, path: Path, then: str | None) -> Digest | None:
    """The digest of a file: the one that it had, if that is one of its own; ``None``: there is none any more."""
    try:
        names = store.names_of(path)
    except FileNotFoundError:
        return None
    return Digest(then) if then in names else names[0]
