"""Functions of a module that change its names when they are called: what fills a registry, a table or a global."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Changers"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_CHANGING = frozenset(
    {*("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "register")}
    | {*("remove", "reverse", "setdefault", "sort", "update")}
)
"""Methods that change what they are called on; others, as those of a logger, are taken to only read it."""


class Changers:
    """What the statements of a module change by calling its own functions.

    Args:
        statements: All at the module's top level, also under ``if`` and the like.
    """

    def __init__(self, statements: Sequence[ast.stmt]) -> None:
        self._own = set(_own_names(statements))
        functions = {each.name: each for each in statements if isinstance(each, _Function)}
        self._changes = {name: set(self._changed_in(function)) for name, function in functions.items()}
        if any(self._changes.values()):
            self._hand_on(functions)

    def changed_by(self, statement: ast.stmt) -> list[str]:
        """The names that a statement changes through what it calls when the module is loaded."""
        found: set[str] = set()
        for function in _called_at_once(statement):
            found |= self._called(function)
        if isinstance(statement, _Definition):
            for decorator in statement.decorator_list:  # @table.register, @function.register
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                found |= {_root(called)} & self._own if isinstance(called, ast.Attribute) else set()
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            found |= {
                _root(each) for each in statement.value.args
            } & self._own  # fill(TABLE), setattr(Shape, "side", 3)
        return sorted(found)

    def _called(self, function: ast.expr) -> set[str]:
        return self._changes.get(function.id, set()) if isinstance(function, ast.Name) else set()

    def _changed_in(self, function: _Function) -> Iterator[str]:
        nodes = list(ast.walk(function))
        shared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        local = {node.arg for node in nodes if isinstance(node, ast.arg)}
        local |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - shared
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del) and node.id in shared:
                yield node.id
            elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                yield from {_root(node)} & self._own - local
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
                yield from {_root(node.func)} & self._own - local

    def _hand_on(self, functions: Mapping[str, _Function]) -> None:
        """Who calls a changer is one."""
        calls = {
            name: {
                node.func.id
                for node in ast.walk(each)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            for name, each in functions.items()
        }
        is_growing = True
        while is_growing:
            is_growing = False
            for name, called in calls.items():
                more = set().union(*(self._changes.get(each, set()) for each in called)) - self._changes[name]
                self._changes[name] |= more
                is_growing |= bool(more)


def _own_names(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """What a module binds itself, without what it imports."""
    for statement in statements:
        if isinstance(statement, _Definition):
            yield statement.name
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _called_at_once(statement: ast.stmt) -> Iterator[ast.expr]:
    """What is called when the statement runs, decorators too: not within functions, but within a class's body."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node.func
        if isinstance(node, _Definition):
            yield from (each for each in node.decorator_list if not isinstance(each, ast.Call))
        if isinstance(node, _Function | ast.Lambda):
            waiting += [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
            waiting += getattr(node, "decorator_list", [])
        else:
            waiting += ast.iter_child_nodes(node)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
