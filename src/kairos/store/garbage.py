"""Blobs that nothing needs: found by what is needed, and removed so that a crash leaves no folder without its files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from kairos.store.blobs import Store
from kairos.store.files import sync_all
from kairos.store.folders import is_folder
from kairos.store.shards import Digests
from kairos.store.walking import stamp_of
from kairos.values import Digest

__all__ = ["Waste", "closure", "remove", "sweep_desks", "unneeded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """A blob that nothing needs."""

    digest: Digest
    size_bytes: int
    changed_ns: int
    """When it was stored or last got another place, in nanoseconds since 1970."""


def closure(store: Store, roots: Iterable[Digest]) -> tuple[Digests, list[Digest]]:
    """All blobs that these need, with the files of folders; and the folders whose listings are not here.

    Raises:
        BlobDamaged: a listing that is needed cannot be read, so that nobody knows what it needs.
    """
    whole, unknown = Digests(), list[Digest]()
    for root in dict.fromkeys(roots):
        whole.add(root)
        if not is_folder(root):
            continue
        if store.holds(root):
            whole.files.update(store.leaves(root))
        else:
            unknown.append(root)
    return whole, unknown


def unneeded(store: Store, needed: Digests, *, before_ns: int) -> tuple[list[Waste], int]:
    """Blobs that are not among these and are old enough; and how many are too young.

    Args:
        store: Whose.
        needed: With the files of folders.
        before_ns: What changed later than that is too young: who makes it may not have said yet that it is needed.
    """
    found, young = [], 0
    for shard, digests in groupby(store.digests(), key=lambda digest: digest[:2]):
        known = {*needed.files.of(shard), *needed.folders}
        for digest in digests:
            if digest in known:
                continue
            told = store.path(digest).stat()
            changed_ns = told.st_ctime_ns  # the other time is a hallmark
            if changed_ns < before_ns:
                found.append(Waste(digest=digest, size_bytes=told.st_size, changed_ns=changed_ns))
            else:
                young += 1
    return found, young


def remove(store: Store, wastes: Iterable[Waste]) -> None:
    """Removes blobs, for good; the listings of folders before files, so that none is ever there without its files."""
    digests = [waste.digest for waste in wastes]
    for are_folders in (True, False):
        paths = [store.path(digest) for digest in digests if is_folder(digest) is are_folders and store.holds(digest)]
        for path in paths:
            path.unlink(missing_ok=True)
        if paths:
            sync_all(sorted({str(path.parent) for path in paths}), store.files)


def sweep_desks(store: Store, *, before_ns: int) -> int:
    """Removes what killed processes left where bytes wait for their names; returns how many there were."""
    swept = 0
    try:
        entries = list(os.scandir(store.root / "tmp"))
    except FileNotFoundError:
        return 0
    for entry in entries:
        if stamp_of(entry.stat(follow_symlinks=False)).changed_ns >= before_ns:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)
        swept += 1
    return swept
