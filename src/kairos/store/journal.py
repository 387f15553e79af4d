"""An append-only file of checksummed frames. What ``append`` has returned from survives ``kill -9`` of the writer.

A frame is ``FF 4B``, the payload's length (u32, big-endian), the CRC-32 of that length and the payload (u32), and the
payload. ``FF`` never occurs in UTF-8, so text inside a payload is never taken for the start of a frame.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from kairos.errors import StoreError, UsageError
from kairos.store.files import make_folder, sync_folder, write_all

__all__ = ["JournalWriter", "read_journal"]

_MAGIC = b"\xffK"
_HEAD = struct.Struct(">2sII")
_LENGTH = struct.Struct(">I")
_LARGEST_BYTES = 1 << 30


class JournalWriter:
    """The one writer of a journal; safe from several threads. Opening a journal cuts off a torn last frame, no more.

    Raises:
        StoreError: another writer holds the file (``facts['is_held']``), a frame in it is damaged, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()  # protects the file's end: one append at a time
        try:
            make_folder(path.parent)
            self._handle = _open_locked(path)
            try:
                self._end = self._open_at_end()
            except BaseException:
                os.close(self._handle)
                raise
        except OSError as error:
            raise StoreError("A journal cannot be opened.", given=f"{path.name}: {error}") from error
        self._is_torn = False
        self.closed = False

    def append(self, payloads: Sequence[bytes]) -> int:
        """Appends one frame for each payload, all in one write, and returns the journal's length in bytes after it.

        Raises:
            StoreError: the disk is full or the journal is closed; none of the payloads is in the journal.
        """
        data = b"".join(_frame(payload) for payload in payloads)
        with self._lock:
            if self.closed:
                raise StoreError("The journal is closed.", given=self.path.name)
            try:
                if self._is_torn:
                    self._cut_back()
                self._is_torn = True
                write_all(self._handle, data)
                self._is_torn = False
            except OSError as error:
                with suppress(OSError):  # if this fails too, it is done before the next append; a reader skips the part
                    self._cut_back()
                raise StoreError(
                    "A journal cannot be written; nothing of this append was kept.", given=f"{self.path.name}: {error}"
                ) from error
            self._end += len(data)
            return self._end

    def sync(self) -> None:
        """Makes everything appended so far survive a power cut too; appends go on meanwhile.

        Raises:
            StoreError: the disk failed. What was appended since the last sync that went well may be lost then, even
                if a later sync raises nothing.
        """
        with self._lock:
            if self.closed:
                return
            handle = os.dup(self._handle)  # so that a close meanwhile takes nothing away
        try:
            os.fdatasync(handle)
        except OSError as error:
            raise self._unsynced(error) from error
        finally:
            os.close(handle)

    def close(self) -> None:
        """Syncs and closes; closing twice does nothing.

        Raises:
            StoreError: the disk failed; the journal is closed all the same.
        """
        with self._lock:
            if not self.closed:
                self.closed = True
                try:
                    self._sync()
                finally:
                    os.close(self._handle)

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _sync(self) -> None:
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise self._unsynced(error) from error

    def _unsynced(self, error: OSError) -> StoreError:
        return StoreError("A journal cannot be synced.", given=f"{self.path.name}: {error}")

    def _cut_back(self) -> None:
        """Removes what is left of an append that failed."""
        os.ftruncate(self._handle, self._end)
        self._is_torn = False

    def _open_at_end(self) -> int:
        end = max((end for end, _ in read_journal(self.path)), default=0)
        os.ftruncate(self._handle, end)
        sync_folder(self.path.parent)
        return end


def read_journal(
    path: Path, *, start: int = 0, on_damage: Callable[[int, int], None] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yields each frame's end offset and payload. Safe while a writer appends: a frame not yet whole is left out.

    The rest of the file is read into memory at the first step.

    Args:
        path: The journal.
        start: Where to begin: 0 or an end offset that this function gave.
        on_damage: Called with the first and last offset of a damaged stretch, which is then skipped.

    Raises:
        StoreError: a frame is damaged and ``on_damage`` is not given; ``facts['offset']`` is where it starts. A frame
            that the end of the file cuts short is not damage: it is the torn tail of a writer that was killed.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    at = 0
    while at < len(data):
        end = _frame_end(data, at)
        if end is not None:
            yield start + end, data[at + _HEAD.size : end]
            at = end
            continue
        after = _next_frame(data, at + 1)
        if after is None and _is_torn(data, at):
            return
        if on_damage is None:
            raise StoreError(
                f"The journal {path.name!r} is damaged at byte {start + at}.",
                hint="The frames before it can be read; what is behind it was not used.",
                path=path.name,
                offset=start + at,
            )
        if after is None:  # behind the damage there may be a frame that its writer has not finished yet
            after = next((place for place in _starts(data, at + 1) if _is_torn(data, place)), len(data))
        on_damage(start + at, start + after)
        at = after


def _open_locked(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
            os.close(handle)  # the file was replaced between opening and locking
        except FileNotFoundError:
            os.close(handle)  # the file was removed between opening and locking
        except BlockingIOError as error:
            os.close(handle)
            raise StoreError("Another writer holds the journal.", given=path.name, is_held=True) from error
        except OSError:
            os.close(handle)
            raise


def _frame(payload: bytes) -> bytes:
    if len(payload) > _LARGEST_BYTES:
        raise UsageError(
            "A frame is too large.", given=f"{len(payload)} bytes", accepted=f"up to {_LARGEST_BYTES} bytes"
        )
    return _HEAD.pack(_MAGIC, len(payload), _checksum(payload)) + payload


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))


def _frame_end(data: bytes, at: int) -> int | None:
    """Where the frame at ``at`` ends, or ``None`` if no whole, sound frame starts there."""
    if len(data) - at < _HEAD.size:
        return None
    magic, length, checksum = _HEAD.unpack_from(data, at)
    end = at + _HEAD.size + int(length)
    if magic != _MAGIC or end > len(data) or _checksum(data[at + _HEAD.size : end]) != checksum:
        return None
    return end


def _next_frame(data: bytes, at: int) -> int | None:
    return next((place for place in _starts(data, at) if _frame_end(data, place) is not None), None)


def _starts(data: bytes, at: int) -> Iterator[int]:
    while (at := data.find(_MAGIC, at)) >= 0:
        yield at
        at += 1


def _is_torn(data: bytes, at: int) -> bool:
    """Whether the bytes from ``at`` are what a cut write leaves: the start of a frame, or zeros after a power cut."""
    rest = data[at:]
    if not any(rest):
        return True
    if not rest.startswith(_MAGIC[: len(rest)]):
        return False
    return len(rest) < _HEAD.size or at + _HEAD.size + int(_HEAD.unpack_from(rest)[1]) > len(data)
