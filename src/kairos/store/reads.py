"""One file read and named by its bytes, which are written at the same time to where they wait for their name."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from kairos.store.files import write_all
from kairos.store.hallmarks import set_hallmark
from kairos.store.large_files import take_in_pieces
from kairos.store.walking import Stamp, stamp_of

__all__ = ["Read", "take"]

_WHOLE_BYTES = 4 << 20
"""Files up to this are held in memory."""
_PIECE_BYTES = 1 << 20


class Read(NamedTuple):
    """A file that was read."""

    digest: str
    """MD5 of its bytes, hexadecimal."""
    stamp: Stamp | None
    """Before and after it was read; ``None``: it changed meanwhile."""
    size_bytes: int
    """As many as were read."""
    temporary: str | None
    """Where its bytes lie; ``None``: the store holds them already."""
    read_ns: int
    """When, in nanoseconds since 1970."""


def take(path: str, temporary: str, blobs: str, name_for: Callable[[str], str | None] = lambda digest: None) -> Read:
    """Reads a file and writes its bytes to ``temporary``, unless the store holds them as they should be.

    Args:
        path: The file.
        temporary: A name that does not exist, in a folder that does.
        blobs: The store's folder of blobs.
        name_for: Gives another such name for a digest, where the store does not hold it; a file that has that name
            already holds it.
    """
    read_ns = time.time_ns()
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = os.fstat(handle)
        if before.st_size <= _WHOLE_BYTES:
            digest, size, temporary, is_kept = _take_whole(handle, before.st_size, temporary, blobs, name_for)
        else:
            digest, size = take_in_pieces(handle, temporary)
            is_kept = _holds(f"{blobs}/{digest[:2]}/{digest[2:]}", digest, size, None)
            if is_kept:
                os.unlink(temporary)
        is_same = stamp_of(os.fstat(handle)) == stamp_of(before)
    finally:
        os.close(handle)
    return Read(digest, stamp_of(before) if is_same else None, size, None if is_kept else temporary, read_ns)


def _take_whole(
    handle: int, size: int, temporary: str, blobs: str, name_for: Callable[[str], str | None]
) -> tuple[str, int, str, bool]:
    data = os.read(handle, size + 1)
    if len(data) != size:  # it is being written to
        while more := os.read(handle, _PIECE_BYTES):
            data += more
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    name = name_for(digest)
    if name is None and _holds(f"{blobs}/{digest[:2]}/{digest[2:]}", digest, len(data), data):
        return digest, len(data), temporary, True
    temporary = name or temporary
    try:
        target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    except FileExistsError:
        if name is None:
            raise
        return digest, len(data), temporary, True
    try:
        write_all(target, data)
        set_hallmark(target, digest, os.fstat(target))
    finally:
        os.close(target)
    return digest, len(data), temporary, False


def _holds(place: str, digest: str, size: int, data: bytes | None) -> bool:
    """Whether the blob is there with the right bytes; so a damaged one is healed by what has the same bytes."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    with os.fdopen(handle, "rb") as blob:
        if os.fstat(handle).st_size != size:
            return False
        if data is not None:
            return blob.read() == data
        return hashlib.file_digest(blob, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == digest
