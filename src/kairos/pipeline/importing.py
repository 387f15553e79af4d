"""Imports that come from what was captured of a project, whatever the disk holds by then.

The folders of a project are found as Python finds any: by their place on ``sys.path``, or in a package's ``__path__``.
So ``src`` folders, packages without ``__init__.py`` and what is installed in editable mode are as they are elsewhere;
only the bytes are those of the moment at which they were captured. A Python file that appeared after it is not there.
Files keep their real names, so tracebacks, ``__file__`` and breakpoints are as if each had been loaded from its place.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType

from kairos.pipeline.captured import SKIPPED, Captured

__all__ = ["CapturedFinder", "installed_finders", "is_own"]

_INSTALLED = ("site-packages", "dist-packages")
"""Names of folders of what counts by its version."""


class CapturedFinder:
    """Answers for the folders of a project, and those that were captured with it, in the place of the disk.

    Args:
        root: The project's folder.
        code: What was captured.
        stands_for: A folder whose imports are answered from ``root`` as well, as what is installed in editable mode
            from the project leads to the project, also where its code of then is in a folder of its own.
    """

    def __init__(self, root: Path, code: Captured, *, stands_for: Path | None = None) -> None:
        self._root = str(root)
        self._real_root = os.path.realpath(root)
        others = [] if stands_for is None else [str(stands_for), os.path.realpath(stands_for)]
        self._roots = [self._root, self._real_root, *others]
        """Which are one folder; its own come first, as they may be inside of the others."""
        self.path_before: list[str] | None = None
        """``sys.path`` when it was installed."""
        self._loaded_before: set[str] = set()
        self.files: dict[str, bytes] = {}
        """By absolute path."""
        self.folders: dict[str, set[str]] = {self._root: set()}
        """Names of what was captured in each folder, by its absolute path."""
        for name, data in code.python.items():
            path = f"{self._root}{os.sep}{name}"
            path = os.path.normpath(path) if name.startswith("../") else path
            self.files[path] = data
            folder, _, own = path.rpartition(os.sep)
            while own not in (known := self.folders.setdefault(folder, set())):
                known.add(own)
                if folder == self._root or not folder:
                    break
                folder, _, own = folder.rpartition(os.sep)

    def install(self, folders: Sequence[str]) -> None:
        """Goes before what looks at the disk, with these folders as the first of ``sys.path``."""
        self.path_before, self._loaded_before = list(sys.path), set(sys.modules)
        sys.path[:] = [*folders, *(folder for folder in sys.path if folder not in folders)]
        sys.path_hooks.insert(0, self.hook)
        place = next((i for i, each in enumerate(sys.meta_path) if each is PathFinder), len(sys.meta_path) - 1)
        sys.meta_path.insert(place + 1, self)
        self._forget_folders()

    def remove(self) -> None:
        """Undoes ``install``, and what the project's code put on ``sys.path``."""
        if self.path_before is not None:
            sys.path[:], self.path_before = self.path_before, None
            self._loaded_before = set()
        sys.path_hooks[:] = [hook for hook in sys.path_hooks if getattr(hook, "__self__", None) is not self]
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        self._forget_folders()

    def hook(self, path: str) -> _Folder:
        """As ``sys.path_hooks`` are called: finds in one folder.

        Raises:
            ImportError: it is none of the project's.
        """
        folder = self.own(path)
        if folder is None:
            raise ImportError(f"No folder of the project: {path}", path=path)
        return _Folder(self, folder)

    def own(self, path: str) -> str | None:
        """A file or folder of the project, by its place below ``root``; ``None`` if it is none, or none that counts."""
        path = os.path.abspath(path)
        if path in self.folders or path in self.files:
            return path
        for start in self._roots:
            if path == start or path.startswith(f"{start}{os.sep}"):
                rest = path[len(start) :]
                place = f"{self._root}{rest}"
                if place in self.folders or place in self.files:
                    return place
                parts = rest.split(os.sep)
                is_skipped = any(part.startswith(".") or part in SKIPPED for part in parts)
                # a link to a folder of another place was not captured
                return None if is_skipped or os.path.realpath(place) != f"{self._real_root}{rest}" else place
        return None

    def is_inside(self, path: str) -> bool:
        """Whether a place is in the project's folder, not beside it."""
        return path == self._root or path.startswith(f"{self._root}{os.sep}")

    def has(self, place: Path) -> bool:
        """Whether a file, or anything of a folder, was captured."""
        return str(place) in self.files or str(place) in self.folders

    def modules(self, root: Path | None = None) -> dict[str, ModuleType]:
        """What is loaded of captured files, and was loaded of folders that the project put on ``sys.path``; by name.

        Only what was loaded since it was installed; of all, if it is not. A process may have loaded thousands of
        modules, and each run asks, so they are gone through once.

        Args:
            root: Modules of this folder are named as well.
        """
        starts = tuple(f"{folder}{os.sep}" for folder in self.added())
        inside = () if root is None else f"{root}{os.sep}"
        found = {}
        for name, module in sys.modules.copy().items():
            if name in self._loaded_before:
                continue
            for place in _places(module):
                if (
                    place in self.files
                    or place in self.folders
                    or place.startswith(starts)
                    or (root is not None and place.startswith(inside) and is_own(root, place))
                ):
                    found[name] = module
        return found

    def added(self) -> list[str]:
        """Folders beside the project's that its code put on ``sys.path``."""
        if self.path_before is None:
            return []
        known = {os.path.abspath(folder) for folder in self.path_before}
        new = [place for folder in sys.path if (place := os.path.abspath(folder)) not in known]
        beside = [folder for folder in new if not self.is_inside(self.own(folder) or folder)]
        return [folder for folder in beside if Path(folder).name not in _INSTALLED]

    def spec(self, name: str, file: str) -> ModuleSpec | None:
        """A module of one captured file; ``None`` if there is no such file."""
        if file not in self.files:
            return None
        loader = _Loader(name, file, self.files[file])
        is_package = os.path.basename(file) == "__init__.py"
        inside = [os.path.dirname(file)] if is_package else None
        return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=inside)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks for what is not on its path: a package in editable mode may have a finder.

        Raises:
            ModuleNotFoundError: there is such a file by now, but there was not.
        """
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            found = finder.find_spec(name, path, target)
            if found is not None:
                file = self.own(found.origin) if type(found.loader) is SourceFileLoader and found.origin else None
                return (file and self.spec(name, file)) or found
        for entry in sys.path if path is None else path:
            folder = self.own(entry) if isinstance(entry, str) else None
            place = f"{folder}{os.sep}{name.rpartition('.')[2]}"
            for file in (f"{place}.py", f"{place}{os.sep}__init__.py"):
                if folder is not None and self.is_inside(folder) and os.path.isfile(file):
                    raise ModuleNotFoundError(
                        f"No module named {name!r}: {file} appeared after the project's files were captured, "
                        "and a run uses them as they were when it began",
                        name=name,
                    )
        return None

    def _forget_folders(self) -> None:
        """Makes Python ask again who answers for a folder."""
        starts = tuple(f"{root}{os.sep}" for root in self._roots)
        for path in list(sys.path_importer_cache):
            if path in self._roots or path in self.folders or path.startswith(starts):
                del sys.path_importer_cache[path]


def is_own(root: Path, file: str) -> bool:
    """Whether a file is one of a project's folder that counts."""
    if not file.startswith(f"{root}{os.sep}"):
        return False
    return not any(part.startswith(".") or part in SKIPPED for part in Path(file).relative_to(root).parts[:-1])


def _places(module: object) -> Sequence[str]:
    """A module's file; of a package without ``__init__.py``, its folders."""
    if not isinstance(module, ModuleType):  # whatever a module put in its place
        file = getattr(module, "__file__", None)
        return (file,) if isinstance(file, str) else ()
    known = vars(module)
    file = known.get("__file__")
    if file is None:
        return [place for place in known.get("__path__") or () if isinstance(place, str)]
    return (file,) if isinstance(file, str) else ()


def installed_finders() -> list[CapturedFinder]:
    """All that are installed, whichever projects they are for; the latest first."""
    return [each for each in sys.meta_path if isinstance(each, CapturedFinder)]


class _Folder:
    """Finds modules in one folder: Python files as they were captured, anything else as it is.

    The disk is asked for modules that are no Python files, and for a link to a folder of another place. Outside of the
    project's folder, where only some of it was captured, it is asked for all others.
    """

    def __init__(self, finder: CapturedFinder, folder: str) -> None:
        self._finder = finder
        self._folder = folder
        binary = [(ExtensionFileLoader, EXTENSION_SUFFIXES), (SourcelessFileLoader, BYTECODE_SUFFIXES)]
        self._linked = FileFinder(folder, *binary, (SourceFileLoader, SOURCE_SUFFIXES))
        self._disk = FileFinder(folder, *binary) if finder.is_inside(folder) else self._linked

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """As the import system asks."""
        place = f"{self._folder}{os.sep}{name.rpartition('.')[2]}"
        for file in (f"{place}{os.sep}__init__.py", f"{place}.py"):
            if file in self._finder.files:
                return self._finder.spec(name, file)
        found = self._disk.find_spec(name)
        if found is not None and found.loader is not None:
            return found
        if place in self._finder.folders:  # a part of a package without __init__.py
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [place]
            return spec
        if found is None or self._disk is self._linked or self._finder.own(place) is None:
            return found and self._linked.find_spec(name)
        return None if os.path.isfile(f"{place}{os.sep}__init__.py") else found

    def invalidate_caches(self) -> None:
        """As the import system asks."""
        self._disk.invalidate_caches()
        self._linked.invalidate_caches()

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """As ``pkgutil`` asks: names of modules, and whether each is a package."""
        found: dict[str, bool] = {}
        for own in self._finder.folders.get(self._folder, ()):
            if f"{self._folder}{os.sep}{own}{os.sep}__init__.py" in self._finder.files:
                found[own] = True
            elif own.endswith(".py") and own != "__init__.py":
                found.setdefault(own.removesuffix(".py"), False)
        for name in sorted(found):
            yield f"{prefix}{name}", found[name]


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
