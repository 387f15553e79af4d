"""What a folder's files were when they were last read: so that one that did not change costs a look, and no reading.

A file of blocks, each checksummed: stamps, digests and names by column, in the order of the walk; and at its end what
all of them are together. It is read and written a block at a time, so memory does not grow with the number of files.
What of it cannot be read is as if it were not there: it makes things quick, and nothing depends on it.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

from kairos.store.files import make_folder
from kairos.store.walking import Stamp
from kairos.values import Digest

__all__ = ["IndexReader", "IndexWriter", "Whole"]

_MAGIC = b"kairos index 3\n"
_HEAD, _COUNT = struct.Struct(">II"), struct.Struct("<I")
_END, _CHECKSUM = struct.Struct(">16sQQ"), struct.Struct(">I")
_UNKNOWN = "0" * 32
_BLOCK_FILES = 4_096


class _Block(NamedTuple):
    names: list[str]
    stamps: list[tuple[int, ...]]
    digests: list[str | None]


class Whole(NamedTuple):
    """What all files of an index are together."""

    listing: Digest
    """Their folder's digest."""
    files: int
    size_bytes: int


class IndexReader:
    """Finds the digests of files that are asked for in the order of the walk.

    Args:
        path: The index; if there is none, nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self.whole = _whole(path)
        """The listing of all files that are in it, if it knows every one; see ``Whole``."""
        self._blocks = _blocks(path)
        self.passed = 0
        """How many of its files were found, or come before those that were asked for."""
        self._block = _NOTHING
        self._at = 0

    def find(self, names: Sequence[str], stamps: Sequence[Stamp]) -> list[str | None]:
        """The digests of files with these stamps, hexadecimal; ``None``: that file has to be read.

        Names have to be asked for in ascending order, from one call to the next, too.
        """
        found: list[str | None] = []
        while len(found) < len(names):
            if self._at == len(self._block.names):
                self._block, self._at = next(self._blocks, _NOTHING), 0
                if self._block is _NOTHING:
                    return found + [None] * (len(names) - len(found))
            start, at = len(found), self._at
            count = min(len(names) - start, len(self._block.names) - at)
            if self._block.names[at : at + count] == names[start : start + count]:
                self._at += count
                self.passed += count
                digests = self._block.digests[at : at + count]
                known, asked = self._block.stamps[at : at + count], stamps[start : start + count]
                if known != asked:
                    both = zip(digests, known, asked, strict=True)
                    digests = [digest if one == other else None for digest, one, other in both]
                found += digests
            else:
                self._find_one_by_one(names, stamps, found, count)
        return found

    def _find_one_by_one(
        self, names: Sequence[str], stamps: Sequence[Stamp], found: list[str | None], count: int
    ) -> None:
        """Adds what is known of some names; ends early with the block."""
        known, at, end = self._block.names, self._at, len(self._block.names)
        for asked in range(len(found), len(found) + count):
            name = names[asked]
            while at < end and known[at] < name:
                at += 1
            if at == end:
                break
            if known[at] != name:
                found.append(None)
                continue
            found.append(self._block.digests[at] if self._block.stamps[at] == stamps[asked] else None)
            at += 1
        self.passed += at - self._at
        self._at = at


class IndexWriter:
    """Writes an index in place of the one that is there; nobody sees a part of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: BinaryIO | None = None
        self._names: list[str] = []
        self._stamps: list[Stamp] = []
        self._digests: list[str | None] = []
        self._files = 0
        self._is_whole = True
        self._end = bytes(_END.size)

    def __enter__(self) -> IndexWriter:
        make_folder(self._path.parent)
        self._file = self._temporary.open("wb")
        self._file.write(_MAGIC)
        return self

    def add(self, names: Sequence[str], stamps: Sequence[Stamp], digests: Sequence[str | None]) -> None:
        """Adds files; names have to come in ascending order.

        Args:
            names: Their paths inside the folder.
            stamps: As they were before they were read.
            digests: Hexadecimal; ``None``: not to be trusted.
        """
        self._names += names
        self._stamps += stamps
        self._digests += digests
        if len(self._names) >= _BLOCK_FILES:
            self._flush()

    def end(self, listing: str, size_bytes: int) -> None:
        """Says what all files are together; without it the index knows each of them only.

        Args:
            listing: The MD5 of their listing, hexadecimal.
            size_bytes: Of all files.
        """
        self._flush()
        if self._is_whole:
            self._end = _END.pack(bytes.fromhex(listing), self._files, size_bytes)

    def _flush(self) -> None:
        assert self._file is not None
        if not self._names:
            return
        self._is_whole = self._is_whole and None not in self._digests
        payload = _packed(self._names, self._stamps, self._digests)
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        self._files += len(self._names)
        self._names, self._stamps, self._digests = [], [], []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            if kind is None:
                self._flush()
                self._file.write(self._end + _CHECKSUM.pack(zlib.crc32(self._end)))
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)


def _blocks(path: Path) -> Iterator[_Block]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return
        rest = os.fstat(file.fileno()).st_size - len(_MAGIC) - _END.size - _CHECKSUM.size
        while rest > 0 and len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            rest -= _HEAD.size + size
            if rest < 0:
                return
            payload = file.read(size)
            if len(payload) < size or zlib.crc32(payload) != checksum:
                return
            if (block := _block(payload)) is None:
                return
            yield block


def _packed(names: Sequence[str], stamps: Sequence[Stamp], digests: Sequence[str | None]) -> bytes:
    """A block: how many files, sizes, times and inodes of 8 bytes, digests of 16 bytes, and names with NUL between."""
    columns = [array("Q", column) for column in zip(*stamps, strict=True)]
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    told = bytes.fromhex("".join(digest or _UNKNOWN for digest in digests))
    return b"".join([_COUNT.pack(len(names)), *(c.tobytes() for c in columns), told, "\0".join(names).encode()])


def _block(payload: bytes) -> _Block | None:
    (count,) = _COUNT.unpack_from(payload)
    columns, at = list[list[int]](), _COUNT.size
    for _ in range(3):
        column = array("Q")
        column.frombytes(payload[at : at + 8 * count])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column.tolist())
        at += 8 * count
    text = payload[at : at + 16 * count].hex()
    digests: list[str | None] = [text[at : at + 32] for at in range(0, len(text), 32)]
    if _UNKNOWN in digests:
        digests = [None if digest == _UNKNOWN else digest for digest in digests]
    names = payload[at + 16 * count :].decode().split("\0")
    if not len(names) == len(digests) == len(columns[2]) == count:
        return None
    return _Block(names, list(zip(*columns, strict=True)), digests)


def _whole(path: Path) -> Whole | None:
    try:
        with path.open("rb") as file:
            file.seek(-_END.size - _CHECKSUM.size, os.SEEK_END)
            end, checksum = file.read(_END.size), file.read()
    except OSError:  # there is none, or it is too short
        return None
    if not any(end) or _CHECKSUM.pack(zlib.crc32(end)) != checksum:
        return None
    listing, files, size_bytes = _END.unpack(end)
    return Whole(Digest(f"{listing.hex()}.dir"), files, size_bytes)


_NOTHING = _Block([], [], [])
