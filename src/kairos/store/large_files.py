"""A large file named by its bytes while they are written to another place: one thread reads, and another one writes.

The system's cache is left out where that is possible: filling it with bytes that nobody reads soon takes longer than
the disk does, and drives out what is read.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
from contextlib import suppress
from queue import Queue
from threading import Thread

from kairos.store.files import start_writing, write_all
from kairos.store.hallmarks import set_hallmark

__all__ = ["take_in_pieces"]

_PIECE_BYTES, _PIECES = 4 << 20, 4
"""How much is read at once, and how many such pieces are held."""
_DIRECT_BYTES = 64 << 20
"""From this size on the cache is left out."""
_BEGUN_BYTES = 32 << 20
"""Where it is not, so much is on its way to the disk while the rest is read."""
_ALIGNED_BYTES = 4096
"""Without the cache, only whole blocks are written, from where a block may begin."""

_DIRECT = getattr(os, "O_DIRECT", 0)


def take_in_pieces(handle: int, temporary: str) -> tuple[str, int]:
    """Copies what is left to read of a file; returns the MD5 of what was read, hexadecimal, and how many bytes it was.

    Args:
        handle: The file.
        temporary: A name that does not exist, in a folder that does; it gets the hallmark.
    """
    is_direct = os.fstat(handle).st_size >= _DIRECT_BYTES
    free, pieces = Queue[mmap.mmap](), Queue[tuple[mmap.mmap, int] | None]()
    for _ in range(_PIECES):
        free.put(mmap.mmap(-1, _PIECE_BYTES))  # begins where a page does
    writer = _Writer(temporary, pieces, free, is_direct=is_direct)
    writer.start()
    md5, size = hashlib.md5(usedforsecurity=False), 0
    try:
        while count := _filled(handle, piece := free.get()):
            pieces.put((piece, count))
            with memoryview(piece) as view:
                md5.update(view[:count])
            size += count
    finally:
        pieces.put(None)
        writer.join()
    if writer.failed is not None:
        raise writer.failed
    set_hallmark(temporary, md5.hexdigest(), os.stat(temporary))
    return md5.hexdigest(), size


def _filled(handle: int, piece: mmap.mmap) -> int:
    """Reads until the piece is full or nothing is left; how many bytes."""
    count = 0
    with memoryview(piece) as view:
        while count < len(view) and (more := os.readv(handle, [view[count:]])):
            count += more
    return count


class _Writer(Thread):
    """Writes pieces to a new file, and gives each back when it is written.

    Raises:
        OSError: the file cannot be made; nothing was begun.
    """

    def __init__(
        self,
        path: str,
        pieces: Queue[tuple[mmap.mmap, int] | None],
        free: Queue[mmap.mmap],
        *,
        is_direct: bool,
    ) -> None:
        super().__init__(name="kairos-store", daemon=True)
        self._target = _made(path, _DIRECT if is_direct else 0)
        self._pieces, self._free = pieces, free
        self._written = self._begun = 0
        self.failed: OSError | None = None

    def run(self) -> None:
        """Until there is no more piece; after a failure pieces are only given back."""
        try:
            while (given := self._pieces.get()) is not None:
                piece, count = given
                if self.failed is None:
                    try:
                        with memoryview(piece) as view:
                            self._write(view[:count])
                    except OSError as error:
                        self.failed = error
                self._free.put(piece)
        finally:
            os.close(self._target)

    def _write(self, data: memoryview) -> None:
        if self._is_direct:
            whole = len(data) - len(data) % _ALIGNED_BYTES
            try:
                data = data[os.write(self._target, data[:whole]) if whole else 0 :]
            except OSError as error:
                if error.errno != errno.EINVAL:  # the file system wants larger blocks, or has a cache only
                    raise
            if not data:
                return
            fcntl.fcntl(self._target, fcntl.F_SETFL, fcntl.fcntl(self._target, fcntl.F_GETFL) & ~_DIRECT)
        write_all(self._target, data)
        self._written += len(data)
        if self._written - self._begun >= _BEGUN_BYTES:
            start_writing(self._target, 0, 0)
            self._begun = self._written

    @property
    def _is_direct(self) -> bool:
        return bool(_DIRECT and fcntl.fcntl(self._target, fcntl.F_GETFL) & _DIRECT)


def _made(path: str, direct: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags | direct, 0o444)
    except OSError as error:
        if error.errno != errno.EINVAL or not direct:
            raise
    with suppress(FileNotFoundError):  # it may have been made, and then not opened
        os.unlink(path)
    return os.open(path, flags, 0o444)
