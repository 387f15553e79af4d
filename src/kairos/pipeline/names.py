"""Names in a piece of Python: what it defines, what it imports, and which outer names it uses."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kairos.pipeline.changers import Changers

__all__ = ["Import", "Names", "names_of", "text_of", "top_level"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One name that an import statement binds."""

    bound: str
    """The name; ``"*"`` for a star."""
    module: str
    """Module as written, ``""`` in ``from . import x``."""
    name: str | None
    """What is taken from the module; ``None`` for ``import module``."""
    level: int
    """Dots of a relative import."""
    renamed: bool
    """``import a.b as c`` binds ``a.b``; without ``as`` it binds ``a``."""
    inside: bool
    """Whether it stands within a function or class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The outer names that a statement uses."""

    chains: Mapping[str, frozenset[tuple[str, ...]]]
    """Name to the attributes read from it: ``np.random.seed`` is ``{"np": {("random", "seed")}}``."""
    imports: tuple[Import, ...]


def top_level(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Name to the top-level statements that bind or change it; stars are under ``"*"``.

    What stands under an ``if`` is bound by its condition, too. A statement that calls a function of this module, also
    as a decorator, changes what that function changes.
    """
    found: dict[str, list[ast.stmt]] = {}
    statements = list(_flat(tree.body))
    changers = Changers([statement for statement, _ in statements])
    for statement, conditions in statements:
        for name in dict.fromkeys([*_bound_or_changed(statement), *changers.changed_by(statement)]):
            known = found.setdefault(name, [])
            known += [condition for condition in conditions if condition not in known]
            known.append(statement)
    return found


def names_of(statement: ast.stmt) -> Names:
    """The outer names that a top-level statement uses, and its imports."""
    known = getattr(statement, "_kairos_names", None)  # parsed once, asked for often
    if isinstance(known, Names):
        return known
    imports = tuple(_imports(statement))
    inside = {made.bound for made in imports if made.inside}
    free = _free_names(statement) | inside
    collector = _Chains()
    collector.visit(statement)
    chains = {name: frozenset(found) for name, found in collector.found.items() if name in free and name not in inside}
    chains_inside = {name: frozenset(found) for name, found in collector.found.items() if name in inside}
    names = Names(chains={**chains, **chains_inside}, imports=imports)
    statement._kairos_names = names  # type: ignore[attr-defined]
    return names


def text_of(statement: ast.stmt) -> str:
    """A statement as text in one form, whatever its quotes, brackets and blanks were."""
    known = getattr(statement, "_kairos_text", None)  # written once, asked for often
    if known is None:
        known = statement._kairos_text = ast.unparse(statement)  # type: ignore[attr-defined]
    return str(known)


def _flat(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, tuple[ast.stmt, ...]]]:
    """Top-level statements; those under ``if``, ``try`` and the like too when they define or import, with the
    conditions under which they do. What only runs in a script of its own is none of the module."""
    for statement in body:
        test = statement.test if isinstance(statement, ast.If) else None
        if test is not None and ast.unparse(test) == "__name__ == '__main__'":
            continue
        yield statement, ()
        conditions = () if test is None or _is_for_types(test) else (_condition(statement, test),)
        for inner in _bodies(statement):
            for each, under in _flat(inner):
                if isinstance(
                    each, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
                ):
                    yield each, (*conditions, *under)


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a statement that is no definition."""
    if isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With | ast.For | ast.While | ast.Match):
        for field in ("body", "orelse", "finalbody"):
            yield getattr(statement, field, [])
        for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
            yield part.body


def _is_for_types(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def _condition(statement: ast.stmt, test: ast.expr) -> ast.stmt:
    return ast.copy_location(ast.If(test=test, body=[ast.Pass()], orelse=[]), statement)


def _bound_or_changed(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (made.bound for made in _imports(statement))
    else:
        for node in _at_once(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                yield node.id
            elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                yield from _root(node)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_bare(statement):
                yield from _root(node.func)  # TABLE.update(...) as a statement of its own


def _at_once(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without those within the functions and classes that it defines."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _is_bare(statement: ast.stmt) -> bool:
    return not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _imports(statement: ast.stmt) -> Iterator[Import]:
    for node in ast.walk(statement):
        inside = node is not statement
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield Import(
                    bound=bound,
                    module=alias.name,
                    name=None,
                    level=0,
                    renamed=alias.asname is not None,
                    inside=inside,
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(
                    bound=alias.asname or alias.name,
                    module=node.module or "",
                    name=alias.name,
                    level=node.level,
                    renamed=False,
                    inside=inside,
                )


def _free_names(statement: ast.stmt) -> set[str]:
    """Names that some scope of the statement looks up outside itself; annotations count as uses."""
    table = symtable.symtable(text_of(statement), "<statement>", "exec")
    free = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    scopes = list(table.get_children())
    while scopes:
        scope = scopes.pop()
        free |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        if scope.get_type() == "class":  # what it binds is looked up outside until then: ``limit = limit``
            free |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_referenced()}
        scopes += scope.get_children()
    return free


class _Chains(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: dict[str, set[tuple[str, ...]]] = {}

    def visit_Name(self, node: ast.Name) -> None:
        self.found.setdefault(node.id, set()).add(())

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self.found.setdefault(inner.id, set()).add(tuple(reversed(chain)))
        else:
            self.visit(inner)
