"""What a folder's files were when they were last read: so that one that did not change costs a look, and no reading.

A file of blocks, each checksummed: names, stamps and digests by column, in the order of the walk. It is read and
written a block at a time, so memory does not grow with the number of files. What of it cannot be read is as if it were
not there: it makes things quick, and nothing depends on it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from kairos.store.files import make_folder
from kairos.store.walking import Stamp

__all__ = ["IndexReader", "IndexWriter"]

_MAGIC = b"kairos index 1\n"
_HEAD = struct.Struct(">II")
_BLOCK_FILES = 4_096


class _Block(msgspec.Struct, array_like=True, gc=False):
    names: list[str]
    sizes: list[int]
    changed: list[int]
    inodes: list[int]
    digests: bytes
    """16 bytes a file; zeros where the digest is not to be trusted."""


class IndexReader:
    """Finds the digests of files that are asked for in the order of the walk.

    Args:
        path: The index; if there is none, nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self._blocks = _blocks(path)
        self._block: _Block | None = None
        self._at = 0

    def find(self, name: str, stamp: Stamp) -> bytes | None:
        """The digest, 16 bytes, of a file that has this stamp; ``None``: it has to be read.

        Names have to be asked for in ascending order.
        """
        while True:
            block = self._block
            if block is None or self._at == len(block.names):
                block = self._block = next(self._blocks, None)
                self._at = 0
                if block is None:
                    self._blocks = iter(())
                    return None
            at = self._at
            known = block.names[at]
            if known > name:
                return None
            self._at = at + 1
            if known == name:
                digest = block.digests[16 * at : 16 * at + 16]
                is_same = (block.sizes[at], block.changed[at], block.inodes[at]) == stamp
                return digest if is_same and any(digest) else None


class IndexWriter:
    """Writes an index in place of the one that is there; nobody sees a part of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: BinaryIO | None = None
        self._names: list[str] = []
        self._stamps: list[Stamp] = []
        self._digests = bytearray()

    def __enter__(self) -> IndexWriter:
        make_folder(self._path.parent)
        self._file = self._temporary.open("wb")
        self._file.write(_MAGIC)
        return self

    def add(self, name: str, stamp: Stamp, digest: bytes | None) -> None:
        """Adds a file; names have to come in ascending order.

        Args:
            name: Its path inside the folder.
            stamp: As it was before it was read.
            digest: 16 bytes; ``None``: they are not to be trusted.
        """
        self._names.append(name)
        self._stamps.append(stamp)
        self._digests += digest or bytes(16)
        if len(self._names) == _BLOCK_FILES:
            self._flush()

    def _flush(self) -> None:
        assert self._file is not None
        if not self._names:
            return
        sizes, changed, inodes = (list(column) for column in zip(*self._stamps, strict=True))
        block = _Block(self._names, sizes, changed, inodes, bytes(self._digests))
        payload = msgspec.msgpack.encode(block)
        self._file.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
        self._names, self._stamps, self._digests = [], [], bytearray()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            if kind is None:
                self._flush()
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
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            size, checksum = _HEAD.unpack(head)
            payload = file.read(size)
            if len(payload) < size or zlib.crc32(payload) != checksum:
                return
            block = _DECODER.decode(payload)
            if not _is_whole(block):
                return
            yield block


def _is_whole(block: _Block) -> bool:
    count = len(block.names)
    columns: Sequence[Sequence[object]] = (block.sizes, block.changed, block.inodes)
    return all(len(column) == count for column in columns) and len(block.digests) == 16 * count


_DECODER = msgspec.msgpack.Decoder(_Block)
