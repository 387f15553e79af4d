"""Hallmarks: how a blob says that its bytes were read, or written, under its digest, and that nobody wrote to it since.

The hallmark is in the time of its last change: whole seconds say about when it was read, and nanoseconds are a number
that only its digest, its size and its inode give together. Whoever writes to it, through whichever of its places, sets
that time anew and so takes it off; a copy or a restored backup has another inode. So nothing has to be kept beside
the blobs, and what was lost with it is not missed.

It is trusted for a week, since what a disk loses by itself leaves it as it is. It does not stand up to people who set
times on purpose: neither does MD5.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import zlib
from contextlib import suppress
from pathlib import Path

from kairos.values import Digest

__all__ = ["TRUSTED_S", "has_hallmark", "holds_bytes", "set_hallmark"]

TRUSTED_S = 7 * 86_400
"""How long a hallmark is trusted, in seconds."""

_SECOND_NS = 1_000_000_000


def has_hallmark(digest: str, told: os.stat_result, now_s: float) -> bool:
    """Whether a blob's bytes were read lately, and nobody wrote to it since.

    Args:
        digest: The blob's, with ``.dir`` or without.
        told: What the system says of it.
        now_s: The time, in seconds since 1970.
    """
    at_s, mark = divmod(told.st_mtime_ns, _SECOND_NS)
    return (
        now_s - TRUSTED_S < at_s <= now_s
        and mark == _mark(digest, told)
        and told.st_mode & 0o222 == 0
        and stat.S_ISREG(told.st_mode)
    )


def set_hallmark(handle: int | str, digest: str, told: os.stat_result) -> None:
    """Says of a file that its bytes are known to be those of the digest; where that is not allowed it stays as it is.

    Args:
        handle: The file, open or by its path.
        digest: The blob's.
        told: What the system says of it.
    """
    at_ns = (int(time.time()) - 1) * _SECOND_NS + _mark(digest, told)  # never ahead of its time, which nobody trusts
    with suppress(OSError):  # somebody else's blob, or a disk that is only read: it is read again next time
        os.utime(handle, ns=(at_ns, at_ns))


def holds_bytes(path: Path, digest: Digest) -> bool:
    """Whether a blob's bytes, all of which are read, are those of its digest.

    If so, it gets its hallmark, unless it has one that is young.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if md5 != digest.removesuffix(".dir"):
            return False
        after = os.fstat(file.fileno())
        is_untouched = (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
        if is_untouched and not has_hallmark(digest, after, time.time() + TRUSTED_S / 2):  # a change that others see
            set_hallmark(file.fileno(), digest, after)
    return True


def _mark(digest: str, told: os.stat_result) -> int:
    """Nanoseconds, from 1 on: a file system that knows whole seconds only keeps no hallmark."""
    return zlib.crc32(f"{digest[:32]} {told.st_size} {told.st_ino}".encode()) % (_SECOND_NS - 1) + 1
