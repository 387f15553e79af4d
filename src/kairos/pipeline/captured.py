"""A project's own files as they were at one moment, and modules that come from them whatever the disk holds by then.

A run captures them when it begins; what it fingerprints, and what its workers load on whichever machine, is that. Files
keep their real names, so tracebacks, ``__file__`` and breakpoints are as if the file had been loaded from its place.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import linecache
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from kairos.store import Store
from kairos.store.folders import listing_bytes
from kairos.values import Digest

__all__ = ["SKIPPED", "Captured", "CapturedFinder", "capture", "fetch", "module_name"]

SKIPPED = {"__pycache__", "site-packages", "node_modules"}
"""Folders whose files are never a project's own; nor are those of hidden folders and virtual environments."""

_LOOKS = 20


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
        listing = listing_bytes({name: Digest(_md5(data)) for name, data in self.files.items()})
        digest = Digest(f"{_md5(listing)}.dir")
        if self.files and store.has(digest):
            return digest
        with tempfile.TemporaryDirectory(prefix="kairos-") as folder:
            self.write(Path(folder))
            return store.put_folder(Path(folder))

    def write(self, folder: Path) -> None:
        """Writes the files below a folder; a file outside of the project's folder stays out."""
        for name, data in self.files.items():
            if not name.startswith("../"):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def capture(root: Path, *also: Path) -> Captured:
    """Reads a project's own files, so that all of them are of one moment.

    Args:
        root: The project's folder.
        also: Other folders of which the Python files belong to it.
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
    return Captured({name: store.get_bytes(leaf, verify=True) for name, leaf in sorted(listing.items())})


def module_name(path: str) -> str:
    """The name under which a file is imported, from its path relative to a folder of ``sys.path``.

    >>> module_name("pack/tools.py"), module_name("pack/__init__.py")
    ('pack.tools', 'pack')
    """
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class CapturedFinder:
    """Finds a project's modules in what was captured, before anybody looks at the disk.

    Args:
        root: The project's folder.
        folders: What is put on ``sys.path`` for it, in that order, all below ``root``.
        code: What was captured.
    """

    def __init__(self, root: Path, folders: Sequence[Path], code: Captured) -> None:
        self._files: dict[str, tuple[Path, bytes]] = {}
        self._folders: dict[str, list[str]] = {}
        for folder in folders:
            start = "" if folder == root else f"{_name(root, folder)}/"
            for name, data in code.python.items():
                if name.startswith(start):
                    path = name.removeprefix(start)
                    self._files.setdefault(module_name(path), (root / name, data))
                    above = Path(path).parent
                    while above != Path():
                        found = self._folders.setdefault(".".join(above.parts), [])
                        found += [place] if (place := str(folder / above)) not in found else []
                        above = above.parent

    def install(self) -> None:
        """Goes before the one that looks at the disk."""
        place = next((i for i, each in enumerate(sys.meta_path) if each is PathFinder), len(sys.meta_path))
        sys.meta_path.insert(place, self)

    def remove(self) -> None:
        """Undoes ``install``."""
        sys.meta_path[:] = [each for each in sys.meta_path if each is not self]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks."""
        if name in self._files:
            file, data = self._files[name]
            locations = [str(file.parent)] if file.name == "__init__.py" else None
            loader = _Loader(name, str(file), data)
            return importlib.util.spec_from_file_location(
                name, file, loader=loader, submodule_search_locations=locations
            )
        if name not in self._folders:
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is not None and found.loader is not None and found.origin is not None:
            return None  # a package that is installed goes before a folder without __init__.py
        spec = ModuleSpec(name, None, is_package=True)
        elsewhere = [] if found is None else list(found.submodule_search_locations or ())
        spec.submodule_search_locations = list(dict.fromkeys([*self._folders[name], *elsewhere]))
        return spec


class _Loader(SourceFileLoader):
    """Loads bytes that were read before, without byte code of another time."""

    def __init__(self, name: str, path: str, data: bytes) -> None:
        super().__init__(name, path)
        self._data = data

    def get_data(self, path: str | bytes) -> bytes:
        """Its own bytes; anything else that a package brings along comes from the disk."""
        return self._data if path == self.path else Path(os.fsdecode(path)).read_bytes()

    def get_code(self, fullname: str) -> CodeType:
        """Compiled anew; tracebacks show the lines that run."""
        text = importlib.util.decode_source(self._data)
        linecache.cache[self.path] = (len(self._data), None, text.splitlines(keepends=True), self.path)
        code: CodeType = compile(self._data, self.path, "exec", dont_inherit=True)
        return code


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _name(root: Path, path: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _own_files(folder: Path, root: Path) -> Iterator[Path]:
    """Python files, and TOML files that lie directly in the project's folder."""
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
