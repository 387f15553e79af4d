"""Folders as DVC writes them: a sorted JSON list of ``{"md5", "relpath"}``, named by its MD5 and ``.dir``."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kairos.errors import BlobDamaged, UsageError
from kairos.store.files import write_all
from kairos.values import Digest

__all__ = [
    "Entries",
    "ListingWriter",
    "check_digest",
    "is_folder",
    "listing_bytes",
    "parse_listing",
    "read_listing",
]

_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_FILE = re.compile(r"[0-9a-f]{32}")
_HEX = re.compile(r"[0-9a-f]*")
_SPECIAL = re.compile(r'["\\\x00-\x1f]')
_OPENS, _PARTS, _CLOSES = '[{"md5": "', '"}, {"md5": "', '"}]'
_BETWEEN = '", "relpath": "'
_NAME_AT = 32 + len(_BETWEEN)
_PIECE_BYTES = 1 << 20


class Entries(NamedTuple):
    """Some files of a listing that follow each other."""

    names: list[str]
    """Their paths inside the folder, ascending."""
    digests: Sequence[str]
    """One for each."""


def check_digest(text: str) -> Digest:
    """Returns ``text`` as a digest.

    Raises:
        UsageError: it is not 32 lower-case hexadecimal digits, with or without ``.dir``.
    """
    if _DIGEST.fullmatch(text) is None:
        raise UsageError(
            "A digest cannot be read.", given=text, accepted="32 lower-case hexadecimal digits, '.dir' for a folder"
        )
    return Digest(text)


def is_folder(digest: Digest) -> bool:
    """Whether the digest names a folder rather than a file."""
    return digest.endswith(".dir")


def listing_bytes(files: Mapping[str, Digest]) -> bytes:
    """Writes a folder's listing, byte for byte as DVC does.

    Args:
        files: Digest of each file by its path inside the folder, with ``/`` between names.

    >>> listing_bytes({"a": Digest("60b725f10c9c85c70d97880dfe8191b3")})
    b'[{"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "a"}]'
    """
    return json.dumps([{"md5": files[name], "relpath": name} for name in sorted(files)]).encode()


class ListingWriter:
    """Writes a folder's listing piece by piece, to a temporary file.

    Args:
        folder: Where that is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pieces: list[str] = []
        self._is_first = True

    def __enter__(self) -> ListingWriter:
        self._handle, self._path = tempfile.mkstemp(prefix="listing-", dir=self._folder)
        os.fchmod(self._handle, 0o444)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)
        with suppress(FileNotFoundError):  # it has got its name
            os.unlink(self._path)

    def add(self, names: Sequence[str], digests: Sequence[str]) -> None:
        """Adds files; names have to come in ascending order."""
        text = "".join(names)
        if not (text.isascii() and text.isprintable()) or '"' in text or "\\" in text:
            names = [json.dumps(name)[1:-1] for name in names]
        self._pieces += [f'{{"md5": "{md5}", "relpath": "{name}"}}' for name, md5 in zip(names, digests, strict=True)]
        if len(self._pieces) >= 1_000:
            self._write(", ".join(self._pieces))

    def end(self) -> tuple[str, str]:
        """Ends it; returns where it is, and its MD5."""
        self._write(", ".join(self._pieces) + "]")
        return self._path, self._md5.hexdigest()

    def _write(self, text: str) -> None:
        data = (("[" if self._is_first else ", " if self._pieces else "") + text).encode()
        self._is_first, self._pieces = False, []
        self._md5.update(data)
        write_all(self._handle, data)


def parse_listing(data: bytes, digest: Digest) -> dict[str, Digest]:
    """Reads a folder's listing, written by Kairos or by DVC, all of it at once.

    Args:
        data: The listing's bytes.
        digest: The listing's own digest, for messages.

    Raises:
        BlobDamaged: the bytes are no listing, or name a path that leaves the folder.
    """
    return {name: Digest(md5) for name, md5 in _parse(data, digest)}


def _parse(data: bytes, digest: Digest) -> list[tuple[str, str]]:
    try:
        entries = [(str(entry["relpath"]), str(entry["md5"])) for entry in json.loads(data)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BlobDamaged(f"The folder listing {digest} cannot be read.", digest=digest) from error
    for name, md5 in entries:
        parts = name.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in name or not _FILE.fullmatch(md5):
            raise BlobDamaged(
                f"The folder listing {digest} holds an entry that is refused.",
                given=f"{name!r}, {md5!r}",
                accepted="a path inside the folder, and the digest of a file",
                digest=digest,
            )
    return entries


def read_listing(file: BinaryIO, digest: Digest) -> Iterator[Entries]:
    """Reads a folder's listing some thousand files at a time, in the order of their paths.

    What ``parse_listing`` refuses, this refuses; what is before it may have been given by then. A listing that is
    written otherwise than DVC writes it is read all at once, from where it is.

    Args:
        file: The listing, at its start.
        digest: Its own digest, for messages.

    Raises:
        BlobDamaged: the bytes are no listing, name a path that leaves the folder, or name a path twice or out of order
            behind the first million of bytes.
    """
    last, given = "", 0
    try:
        for entries in _read_ours(file):
            if entries.names[0] <= last and given:
                raise _OddError
            yield entries
            last, given = entries.names[-1], given + len(entries.names)
    except _OddError:
        file.seek(0)
        found = _parse(file.read(), digest)
        files = dict(found)
        names = sorted(files)
        if given and (len(files) < len(found) or names[given - 1 : given] != [last]):
            raise BlobDamaged(f"The folder listing {digest} is out of order.", digest=digest) from None
        if names[given:]:
            yield Entries(names[given:], [files[name] for name in names[given:]])


class _OddError(Exception):
    """The listing is not written as DVC writes it."""


def _read_ours(file: BinaryIO) -> Iterator[Entries]:
    """Reads what is written exactly as DVC does: ``[{"md5": "…", "relpath": "…"}, …]``."""
    text = _ascii(file.read(_PIECE_BYTES))
    if text == "[]":
        return
    if not text.startswith(_OPENS):
        raise _OddError
    rest = text[len(_OPENS) :]
    while piece := file.read(_PIECE_BYTES):
        if len(rest) > 2 * _PIECE_BYTES:
            raise _OddError  # no path is so long
        # what parts entries cannot be inside of a name: there a quote has a backslash before it
        *whole, rest = rest.split(_PARTS)
        if whole:
            yield _entries(whole)
        rest += _ascii(piece)
    if not rest.endswith(_CLOSES):
        raise _OddError
    yield _entries(rest[: -len(_CLOSES)].split(_PARTS))


def _entries(pieces: Sequence[str]) -> Entries:
    digests = [piece[:32] for piece in pieces]
    names = [piece[_NAME_AT:] for piece in pieces]
    if {piece[32:_NAME_AT] for piece in pieces} != {_BETWEEN} or set(map(len, digests)) != {32}:
        raise _OddError
    if not _HEX.fullmatch("".join(digests)):
        raise _OddError
    if _SPECIAL.search("".join(names)):
        names = [_unquoted(name) if _SPECIAL.search(name) else name for name in names]
    inside = f"/{'/'.join(names)}/"
    if "//" in inside or "/./" in inside or "/../" in inside or "\0" in inside:
        raise _OddError  # it is refused by name
    if not all(map(operator.lt, names, names[1:])):
        raise _OddError
    return Entries(names, digests)


def _unquoted(name: str) -> str:
    try:
        found = json.loads(f'"{name}"')
    except ValueError:
        raise _OddError from None
    assert isinstance(found, str)
    return found


def _ascii(piece: bytes) -> str:
    try:
        return piece.decode("ascii")
    except UnicodeDecodeError:
        raise _OddError from None
