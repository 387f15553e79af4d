"""Folders as DVC writes them: a sorted JSON list of ``{"md5", "relpath"}``, named by its MD5 and ``.dir``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from kairos.errors import BlobDamaged, StoreError, UsageError
from kairos.values import Digest

__all__ = ["check_digest", "is_folder", "listing_bytes", "parse_listing", "walk_files"]

_DIGEST = re.compile(r"^[0-9a-f]{32}(\.dir)?$")


def check_digest(text: str) -> Digest:
    """Returns ``text`` as a digest.

    Raises:
        UsageError: it is not 32 lower-case hexadecimal digits, with or without ``.dir``.
    """
    if _DIGEST.match(text) is None or text.endswith("\n"):
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


def parse_listing(data: bytes, digest: Digest) -> dict[str, Digest]:
    """Reads a folder's listing, written by Kairos or by DVC.

    Args:
        data: The listing's bytes.
        digest: The listing's own digest, for messages.

    Raises:
        BlobDamaged: the bytes are no listing, or name a path that leaves the folder.
    """
    try:
        entries = [(str(entry["relpath"]), str(entry["md5"])) for entry in json.loads(data)]
    except (ValueError, TypeError, KeyError) as error:
        raise BlobDamaged(f"The folder listing {digest} cannot be read.", digest=digest) from error
    files: dict[str, Digest] = {}
    for name, md5 in entries:
        parts = name.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "\0" in name or not _DIGEST.match(md5) or md5.endswith(".dir"):
            raise BlobDamaged(
                f"The folder listing {digest} holds an entry that is refused.",
                given=f"{name!r}, {md5!r}",
                accepted="a path inside the folder, and the digest of a file",
                digest=digest,
            )
        files[name] = Digest(md5)
    return files


def walk_files(folder: Path) -> dict[str, Path]:
    """Lists every file below ``folder`` by its path inside it, sorted; links to files count as files.

    Empty folders have no place in DVC's format and are left out.

    Raises:
        StoreError: something that cannot be stored: a link to a folder, a broken link, a socket, a name not in UTF-8.
    """
    found: dict[str, Path] = {}
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file() and _is_text(entry.name):
                    found[path.relative_to(folder).as_posix()] = path
                else:
                    raise StoreError(
                        f"The folder {folder.name!r} holds something that cannot be stored.",
                        given=path.relative_to(folder).as_posix(),
                        accepted="files, links to files, and folders, with names in UTF-8",
                    )
    return {name: found[name] for name in sorted(found)}


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
