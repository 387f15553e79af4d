"""A folder that was just made of blobs is remembered, so that the first look at it reads none of its files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kairos.store.folders import Entries
from kairos.store.hallmarks import has_hallmark
from kairos.store.index import IndexWriter
from kairos.store.walking import settled_ns, stamp_of
from kairos.values import Digest

__all__ = ["remembered"]

_LONGEST_WAIT_NS = 100_000_000


@contextmanager
def remembered(index: Path, folder: Path, listing: Iterable[Entries], digest: Digest) -> Iterator[None]:
    """Keeps in mind what a folder's files are, if what is done within ends well: that shows them to everybody.

    Before that it waits until a change of any of them would show in its stamp.

    Args:
        index: Where it is kept.
        folder: Where they are, where nobody else works.
        listing: Which.
        digest: That of all of them together.
    """
    latest_ns = size_bytes = 0
    with IndexWriter(index) as writer:
        for names, digests in listing:
            told = [os.stat(f"{folder}/{name}") for name in names]
            stamps = [stamp_of(each) for each in told]
            sure: list[str | None] = list(digests)
            now_ns = time.time_ns()
            for at, stamp in enumerate(stamps):
                at_ns = settled_ns(stamp)
                is_owned = told[at].st_nlink == 1 or has_hallmark(digests[at], told[at], now_ns / 1e9)
                if not is_owned or at_ns > now_ns + _LONGEST_WAIT_NS:  # others may write to it, or it says so too late
                    sure[at] = None
                elif at_ns > latest_ns:
                    latest_ns = at_ns
            size_bytes += sum(stamp.size_bytes for stamp in stamps)
            writer.add(names, stamps, sure)
        writer.end(digest.removesuffix(".dir"), size_bytes)
        time.sleep(max(0, min(latest_ns - time.time_ns(), _LONGEST_WAIT_NS)) / 1e9)
        yield
