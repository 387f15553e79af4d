"""A project's own files as they were at one moment.

A run captures them when it begins; what it fingerprints, and what its workers load on whichever machine, is that.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kairos.store import Store
from kairos.store.folders import listing_bytes
from kairos.values import Digest

__all__ = ["SKIPPED", "Captured", "capture", "fetch", "is_own_folder", "module_name"]

SKIPPED = {"__pycache__", "site-packages", "node_modules"}
"""Folders whose files are never a project's own; nor are those of hidden folders and virtual environments."""

_LOOKS = 20
_BESIDE = ".beside"
"""Where files from outside of the project's folder are kept; no file of its own is in a hidden folder."""


@dataclass(frozen=True)
class Captured:
    """Bytes of a project's own Python and TOML files."""

    files: Mapping[str, bytes] = field(repr=False)
    """By path relative to the project's folder, with ``/`` between names; sorted."""

    @cached_property
    def python(self) -> Mapping[str, bytes]:
        """Those that hold code."""
        return {name: data for name, data in self.files.items() if name.endswith(".py")}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the paths and bytes of all Python files, hexadecimal."""
        sha = hashlib.sha256()
        for name, data in self.python.items():
            sha.update(f"{name}\0{len(data)}\0".encode())
            sha.update(data)
        return sha.hexdigest()

    def keep(self, store: Store) -> Digest:
        """Stores the files as a folder and returns its digest; nothing is written if it is there already."""
        stored = sorted((_stored(name), data) for name, data in self.files.items())
        listing = listing_bytes({name: Digest(_md5(data)) for name, data in stored})
        digest = Digest(f"{_md5(listing)}.dir")
        if self.files and store.has(digest):
            return digest
        with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
            _write(Path(folder), stored)
            return store.put_folder(Path(folder))

    @property
    def depth(self) -> int:
        """How many folders above the project's the highest one is that holds any of them."""
        return max((name.count("../") for name in self.files if name.startswith("../")), default=0)

    def write(self, folder: Path) -> None:
        """Writes the files as the project's in a folder; those beside it lie ``depth`` folders above at most."""
        _write(folder, self.files.items())


def capture(root: Path, *also: Path) -> Captured:
    """Reads a project's own files, so that all of them are of one moment.

    Args:
        root: The project's folder.
        also: Python files, and folders of which the Python files, that belong to it from elsewhere.
    """
    for _ in range(_LOOKS):
        folders = dict.fromkeys([root, *also])
        paths = {_name(root, path): path for folder in folders for path in _own_files(folder, root)}
        before = _states(paths.values())
        files = {name: path.read_bytes() for name, path in sorted(paths.items()) if path in before}
        if _states(paths.values()) == before:
            break
    return Captured(files)


def fetch(store: Store, digest: Digest) -> Captured:
    """The files that ``Captured.keep`` stored.

    Raises:
        BlobMissing: the store does not hold one of them.
        BlobDamaged: bytes are not what they were.
    """
    listing = store.listing(digest)
    return Captured({_unstored(name): store.get_bytes(leaf, verify=True) for name, leaf in sorted(listing.items())})


def module_name(path: str) -> str:
    """The name under which a file is imported, from its path relative to a folder of ``sys.path``.

    >>> module_name("pack/tools.py"), module_name("pack/__init__.py")
    ('pack.tools', 'pack')
    """
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _write(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    for name, data in files:
        path = Path(os.path.normpath(folder / name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _stored(name: str) -> str:
    """A name that no folder is left by; ``_unstored`` undoes it.

    >>> _stored("../common/a.py"), _stored("b.py")
    ('.beside/1/common/a.py', 'b.py')
    """
    ups = name.count("../") if name.startswith("../") else 0
    return f"{_BESIDE}/{ups}/{name[3 * ups :]}" if ups else name


def _unstored(name: str) -> str:
    if not name.startswith(f"{_BESIDE}/"):
        return name
    _, ups, rest = name.split("/", 2)
    return "../" * int(ups) + rest


def is_own_folder(root: Path, folder: str) -> bool:
    """Whether a folder is the project's own, such as its ``src``; its root is, a virtual environment in it is not."""
    if not Path(folder).is_absolute() or not Path(folder).is_relative_to(root):
        return False
    place = root
    for name in Path(folder).relative_to(root).parts:
        if _is_skipped(str(place), name):
            return False
        place /= name
    return True


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _name(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _own_files(folder: Path, root: Path) -> Iterator[Path]:
    """Python files, and TOML files that lie directly in the project's folder."""
    if folder.is_file():
        yield folder
    start = str(folder)
    for place, folders, files in os.walk(start):
        folders[:] = sorted(name for name in folders if not _is_skipped(place, name))
        for name in files:
            if name.endswith(".py") or (place == str(root) and name.endswith(".toml")):
                yield Path(place, name)


def _states(paths: Iterable[Path]) -> dict[Path, tuple[int, int, int]]:
    states = {}
    for path in paths:
        try:
            facts = path.stat()
        except FileNotFoundError:  # gone meanwhile, or a link to nothing
            continue
        states[path] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return states


def _is_skipped(folder: str, name: str) -> bool:
    return name.startswith(".") or name in SKIPPED or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
