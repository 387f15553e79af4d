"""The code that a step reaches: the function and every project function, class and constant it uses, transitively.

Found by reading the files, never by running them. What counts is the syntax tree without comments, docstrings and the
decorators of this package. Not seen: names made at run time (``getattr``, ``importlib``, ``exec``), and what other
modules change in this one.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kairos.pipeline.captured import Captured, module_name
from kairos.pipeline.modules import Module, modules_elsewhere, modules_renamed
from kairos.pipeline.names import Import, Names, names_of, text_of
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.ranges import without_range

__all__ = ["CodeIndex", "Reached", "normalised"]

_OWN_DECORATORS = {"source", "step", "model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What one step reaches."""

    code: Mapping[str, str]
    """Project definition (``"pipeline.features"``) to SHA-256 of its normalised source."""
    libraries: Mapping[str, str]
    """Third-party distribution to version, with ``python`` itself."""


class CodeIndex:
    """All definitions of a project's files.

    Args:
        source: The project.
        code: Its files as they were captured; ``None``: as they are now.
        folders: Those of ``sys.path`` in it, first the one that is looked at first, relative to its own.
    """

    def __init__(self, source: PipelineSource, code: Captured | None = None, folders: Sequence[str] = ()) -> None:
        self._modules: dict[str, Module] = {}
        code = code or source.capture()
        for folder in dict.fromkeys([source.path.parent, source.root]):
            start = "" if folder == source.root else f"{Path(os.path.relpath(folder, source.root)).as_posix()}/"
            for file, data in code.python.items():
                if file.startswith(start) and (start or not file.startswith("../")):
                    path = file.removeprefix(start)
                    name = module_name(path)
                    self._modules.setdefault(name, Module(name, path, data))
        for above in [folder for folder in folders if folder.startswith("..")]:
            for file, data in code.python.items():
                path = file.removeprefix(f"{above}/")
                if path != file and not path.startswith("../"):
                    self._modules.setdefault(name := module_name(path), Module(name, path, data))
        self._elsewhere = modules_elsewhere(self._modules, folders, _first(source, folders))
        roots = [folder for folder in (source.root, source.stands_for) if folder is not None]
        for name, module in modules_renamed(code.python, roots).items():
            if name.partition(".")[0] not in self._modules:
                self._elsewhere.setdefault(name, module)

    def reached(self, module: str, function: str) -> Reached:
        """What ``function`` of ``module`` reaches; a function of an installed package counts by its version."""
        walk = _Walk({**self._modules, **self._elsewhere})
        if module in walk.modules:
            walk.definition(module, function)
        else:
            walk.libraries.add(module.partition(".")[0])
        walk.libraries |= {name.partition(".")[0] for name in walk.seen & self._elsewhere.keys()}
        return Reached(code=dict(sorted(walk.code.items())), libraries=_versions(walk.libraries))


class _Walk:
    """Follows names from definition to definition."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self.modules = modules
        self.code: dict[str, str] = {}
        self.libraries: set[str] = set()
        self._seen: set[tuple[str, str]] = set()

    @property
    def seen(self) -> set[str]:
        """Modules of which anything is used."""
        return {module for module, _ in self._seen}

    def definition(self, module_name: str, name: str) -> bool:
        """Adds a definition and all it uses; ``False`` if the module does not have it."""
        module = self.modules[module_name]
        statements = module.definitions.get(name)
        if statements is None:
            return self._starred(module, name)
        if (module_name, name) in self._seen:
            return True
        self._seen.add((module_name, name))
        own = [statement for statement in statements if not isinstance(statement, ast.Import | ast.ImportFrom)]
        if own:
            self.code[f"{module_name}.{name}"] = normalised(own)
            if given := [ast.Expr(each) for statement in own for each in _code_in_origin(statement)]:
                self.code[f"{module_name}.{name} reads"] = normalised(list(given))
        for statement in statements:
            self._follow(module, names_of(statement), bound=name)
        return True

    def _follow(self, module: Module, names: Names, bound: str | None = None) -> None:
        for made in names.imports:
            if bound is None or made.bound in (bound, "*") or made.inside:
                for chain in names.chains.get(made.bound, {()}) if made.inside else {()}:
                    self._import(module, made, chain)
        for name, chains in names.chains.items():
            for chain in sorted(chains):
                self._name(module, name, chain)

    def _name(self, module: Module, name: str, chain: tuple[str, ...]) -> None:
        statements = module.definitions.get(name)
        imports = [made for statement in statements or [] for made in names_of(statement).imports if made.bound == name]
        for made in imports:
            self._import(module, made, chain)
        if statements is None or len(imports) < len(statements):
            self.definition(module.name, name)

    def _starred(self, module: Module, name: str) -> bool:
        """Looks for a name in what the module imports with a star; the last one counts."""
        for statement in reversed(module.definitions.get("*", [])):
            for made in names_of(statement).imports:
                target = self._absolute(module, made)
                if target in self.modules and self.definition(target, name):
                    return True
                if target not in self.modules and not hasattr(builtins, name):
                    self.libraries.add(target.partition(".")[0])
        return False

    def _import(self, module: Module, made: Import, chain: tuple[str, ...]) -> None:
        target = self._absolute(module, made)
        if made.name is not None:  # from target import name
            if f"{target}.{made.name}" in self.modules:
                self._attribute(f"{target}.{made.name}", chain)
            elif target in self.modules:
                if not self.definition(target, made.name):
                    self._whole(target)
                self._reexported(target, made.name, chain)
            else:
                self.libraries.add(target.partition(".")[0])
        elif target.partition(".")[0] in self.modules or target in self.modules:
            self._attribute(target if made.renamed or not chain else target.partition(".")[0], chain)
        else:
            self.libraries.add(target.partition(".")[0])

    def _reexported(self, module_name: str, name: str, chain: tuple[str, ...]) -> None:
        """Follows attributes of a module that another module hands on."""
        if chain:
            module = self.modules[module_name]
            for statement in module.definitions.get(name, []):
                for made in names_of(statement).imports:
                    if made.bound == name:
                        self._import(module, made, chain)

    def _attribute(self, module_name: str, chain: tuple[str, ...]) -> None:
        """Follows ``module.a.b``; a module that is used as a value counts whole."""
        if not chain:
            self._whole(module_name)
            return
        if f"{module_name}.{chain[0]}" in self.modules:
            self._attribute(f"{module_name}.{chain[0]}", chain[1:])
        elif module_name in self.modules and module_name != "":
            self._name_or_whole(module_name, chain)

    def _name_or_whole(self, module_name: str, chain: tuple[str, ...]) -> None:
        module = self.modules[module_name]
        if chain[0] in module.definitions or "*" in module.definitions:
            self._name(module, chain[0], chain[1:])
        else:
            self._whole(module_name)

    def _whole(self, module_name: str) -> None:
        if module_name not in self.modules or (module_name, "") in self._seen:
            return
        self._seen.add((module_name, ""))
        module = self.modules[module_name]
        for name in module.definitions:
            self.definition(module_name, name)
        self.code[module_name] = normalised(module.tree.body)

    def _absolute(self, module: Module, made: Import) -> str:
        if not made.level:
            return made.module
        base = module.package.split(".") if module.package else []
        base = base[: len(base) - made.level + 1]
        return ".".join([*base, made.module] if made.module else base)


def _first(source: PipelineSource, folders: Sequence[str]) -> Sequence[str]:
    """The folders that are looked at before the project's own two."""
    own = [".", Path(os.path.relpath(source.path.parent, source.root)).as_posix()]
    return folders[: min([folders.index(folder) for folder in own if folder in folders], default=0)]


def normalised(statements: list[ast.stmt]) -> str:
    """SHA-256 of statements without comments, docstrings and this package's decorators, hexadecimal."""
    bare = [_Bare().visit(ast.parse(text_of(statement))) for statement in statements]
    return hashlib.sha256("\n".join(ast.dump(node) for node in bare).encode()).hexdigest()


class _Bare(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._bare(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._bare(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._bare(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        node.kind = None  # u"..." is "..."
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)  # a text that nobody reads is a docstring

    def _bare(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        node.decorator_list = [each for each in node.decorator_list if not is_own_decorator(each)]
        for argument in [] if isinstance(node, ast.ClassDef) else node.args.kwonlyargs:
            argument.annotation = argument.annotation and without_range(argument.annotation)
        return node


def _code_in_origin(statement: ast.stmt) -> list[ast.expr]:
    """What a source's decorator gives ``Dlt`` that is code itself, not the name of some: calls and functions.

    Other origins are told by their facts. Names are followed wherever they are.
    """
    decorators = getattr(statement, "decorator_list", [])
    calls = [each for each in decorators if isinstance(each, ast.Call) and is_own_decorator(each)]
    found = [word.value for call in calls for word in call.keywords if word.arg == "reads"]
    origins = [each for each in found if isinstance(each, ast.Call) and ast.unparse(each.func).split(".")[-1] == "Dlt"]
    given = [each for origin in origins for each in (*origin.args, *(word.value for word in origin.keywords))]
    return [each for each in given if any(isinstance(node, ast.Call | ast.Lambda) for node in ast.walk(each))]


def is_own_decorator(node: ast.expr) -> bool:
    """Whether a decorator is ``source``, ``step`` or ``model``."""
    called = node.func if isinstance(node, ast.Call) else node
    name = ast.unparse(called)
    return name in _OWN_DECORATORS or (name.startswith("kairos.") and name.rpartition(".")[2] in _OWN_DECORATORS)


def _versions(modules: set[str]) -> dict[str, str]:
    from importlib.metadata import version  # loads what a run of known code does without

    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for module in modules - set(sys.stdlib_module_names) - {"kairos"}:
        if module not in _distributions():
            found[module] = "unknown"  # importable, but installed by no package manager
        for distribution in _distributions().get(module, ()):
            found[distribution.lower().replace("_", "-")] = version(distribution)
    return dict(sorted(found.items()))


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions  # as above

    return packages_distributions()
