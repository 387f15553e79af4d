"""The files of a project as modules, under the names by which they may be imported."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path
from typing import Any

from kairos.pipeline.captured import module_name
from kairos.pipeline.names import top_level

__all__ = ["Module", "modules_elsewhere", "modules_renamed"]

_USUAL = (BuiltinImporter, FrozenImporter, PathFinder)
_IMPORTS = re.compile(r"(?:^|[;:])[ \t]*(?:from[ \t]+|import[ \t]+)([^\n#;]+)", re.MULTILINE)
_NO_INSTALLERS = {"kairos", "_distutils_hack", "six"}
"""Where finders come from that are no installer's."""
_FIRST = re.compile(r"(?:^|,)\s*([^\W\d]\w*)")


class Module:
    """One file, parsed when first needed."""

    def __init__(self, name: str, path: str, data: bytes) -> None:
        self.name = name
        self.path = path
        self.data = data
        self._definitions: dict[str, list[ast.stmt]] | None = None
        self.tree = ast.Module(body=[], type_ignores=[])

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]

    def split(self, length: int) -> tuple[str, str]:
        """A folder, and the path from there if the module's name has so many parts there."""
        parts = self.path.split("/")
        place = len(parts) - length - self.path.endswith("__init__.py")
        return "/".join(parts[:place]), "/".join(parts[place:])

    @property
    def definitions(self) -> dict[str, list[ast.stmt]]:
        """Name to the top-level statements that bind or change it."""
        if self._definitions is None:
            try:
                self.tree = ast.parse(self.data, self.path)
            except SyntaxError:  # a file that cannot be imported cannot be reached either
                self.tree = ast.Module(body=[], type_ignores=[])
            self._definitions = top_level(self.tree)
        return self._definitions


def modules_elsewhere(modules: Mapping[str, Module], folders: Sequence[str], first: Sequence[str]) -> dict[str, Module]:
    """Modules of folders that a project puts on ``sys.path`` by itself, or installs from, such as ``src``.

    They count by their code, and, since another release may be installed that goes before them, by its version as well.
    Of several files that may be meant the one counts whose folder comes first in ``folders``; if none is known to be on
    ``sys.path``, all do.

    Args:
        modules: Those of the project's own folders.
        folders: What is on ``sys.path``, as paths.
        first: Those of them that go before the project's own.
    """
    found: dict[str, tuple[int, Module]] = {}
    for name, module in sorted(modules.items()):
        above, rest = name.partition(".")[::2]
        place = above
        while rest and place not in modules:  # a folder without __init__.py
            folder, path = module.split(len(rest.split(".")))
            if folder in first or (rest not in modules and rest.partition(".")[0] not in sys.stdlib_module_names):
                rank = folders.index(folder) if folder in folders else len(folders)
                if rest not in found or rank < found[rest][0]:
                    found[rest] = rank, Module(rest, path, module.data)
                elif rank == len(folders) == found[rest][0]:
                    found[rest] = rank, Module(rest, path, found[rest][1].data + b"\n" + module.data)
            above, rest = rest.partition(".")[::2]
            place = f"{place}.{above}"
    return {name: module for name, (_, module) in found.items()}


def modules_renamed(files: Mapping[str, bytes], roots: Sequence[Path]) -> dict[str, Module]:
    """Modules of packages in editable mode whose folder has another name, as a finder of their installer knows it.

    Only names that the files import are asked for, and only if there is such a finder.

    Args:
        files: The project's Python files, by path relative to its folder.
        roots: The project's folder, and one that it stands for.
    """
    others = [each for each in sys.meta_path if each not in _USUAL]
    finders = [each for each in others if getattr(each, "__module__", "").partition(".")[0] not in _NO_INSTALLERS]
    if not finders:
        return {}
    names = {name for data in files.values() for name in _imported(data)}
    found: dict[str, Module] = {}
    for name in sorted(names - sys.stdlib_module_names):
        place = _place(name, finders, roots)
        if place in files:
            found[name] = Module(name, place, files[place])
        folder = f"{place.removesuffix('/__init__.py')}/"
        for file in files if place.endswith("/__init__.py") else ():
            if file.startswith(folder):
                path = file.removeprefix(folder)
                own = module_name(f"{name}/{path}")
                found[own] = Module(own, path, files[file])
    return found


def _imported(data: bytes) -> set[str]:
    """First parts of names that may be imported; a few that are not do no harm."""
    lines = _IMPORTS.findall(data.decode("utf-8", "replace"))
    return {name for line in lines for name in _FIRST.findall(line)}


def _place(name: str, finders: Sequence[Any], roots: Sequence[Path]) -> str:
    """The file of a module as these finders know it, relative to the project's folder; empty if it is none of its."""
    for finder in finders:
        try:
            spec = finder.find_spec(name, None)
        except (ImportError, AttributeError):
            continue
        origin = str(getattr(spec, "origin", None) or "")
        for root in roots:
            if Path(origin).is_relative_to(root):
                return Path(origin).relative_to(root).as_posix()
        if spec is not None:
            return ""
    return ""
