"""Blobs read again: which are missing, and which hold other bytes than their names say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from kairos.store.folders import is_folder
from kairos.store.shards import lacking
from kairos.values import Digest

if TYPE_CHECKING:
    from kairos.store.blobs import Store

__all__ = ["Damage", "verify", "verify_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A blob that cannot be used, as a reading of it found."""

    digest: Digest
    how: Literal["missing", "changed"]
    within: Digest | None = None
    """The folder that needs the blob, if it was found through one."""


def verify(store: Store, digests: Iterable[Digest]) -> list[Damage]:
    """What is wrong with these, and with the files of those that are folders."""
    found: dict[Digest, Damage] = {}
    for digest in digests:
        for damage in _check(store, digest):
            found.setdefault(damage.digest, damage)
    return list(found.values())


def verify_all(store: Store) -> list[Damage]:
    """What is wrong with all that the store holds, each blob read once, and what its folders lack."""
    found: dict[Digest, Damage] = {}
    folders = []
    for digest in store.digests():
        with suppress(FileNotFoundError):  # it was removed meanwhile
            if not store.is_intact(store.place(digest), digest):
                found[digest] = Damage(digest=digest, how="changed")
            elif is_folder(digest):
                folders.append(digest)
    for folder in folders:  # all files were read, so what is asked of them is only whether they are there
        leaves = store.leaves(folder)
        for leaf in lacking(store.files, leaves):
            found.setdefault(leaf, Damage(digest=leaf, how="missing", within=folder))
        for leaf in [leaf for leaf, damage in found.items() if damage.within is None and leaf in leaves]:
            found[leaf] = replace(found[leaf], within=folder)
    return list(found.values())


def _check(store: Store, digest: Digest) -> Iterator[Damage]:
    place = store.place(digest)
    if not place.is_file():
        yield Damage(digest=digest, how="missing")
    elif not store.is_intact(place, digest):
        yield Damage(digest=digest, how="changed")
    elif is_folder(digest):
        for _, leaves in store.leaves(digest):
            for leaf in leaves:
                for damage in _check(store, leaf):
                    yield replace(damage, within=digest)
