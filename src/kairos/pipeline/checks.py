"""What can be said about a step before it runs: defaults that change by themselves, results that cannot be stored."""

from __future__ import annotations

import ast
import collections.abc
import inspect
import io
import linecache
import typing
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from kairos.errors import GraphError, UsageError
from kairos.pipeline.declare import REQUIRED, StepSpec
from kairos.pipeline.enums import with_names
from kairos.pipeline.hints import hints_of
from kairos.pipeline.typed import ACCEPTED, typed

__all__ = ["check_defaults", "check_redefinitions", "check_result", "result_fields"]

STORABLE = "a polars or pandas DataFrame, a numpy array, JSON-like values, text, bytes, or the Path of a file or folder"
_FIXED_CALLS = {"date", "datetime", "timedelta", "tuple", "frozenset"}
_PASSING = (
    collections.abc.AsyncIterable,
    collections.abc.Awaitable,
    collections.abc.Callable,
    collections.abc.Generator,
    collections.abc.Iterator,
    io.IOBase,
    ModuleType,
)
_PASSING_NAMES = {
    ("_thread", "allocate_lock"),
    ("_thread", "lock"),
    ("_thread", "RLock"),
    ("threading", "Lock"),
    ("threading", "RLock"),
    ("threading", "Thread"),
    ("socket", "socket"),
    ("sqlite3", "Connection"),
}


def check_defaults(spec: StepSpec) -> None:
    """Refuses defaults of params that are no JSON-like values, or that a call computes anew in each process.

    Raises:
        GraphError: names the step, the param, the expression.
    """
    for name, default in spec.params.items():
        if default is REQUIRED:
            continue
        try:
            typed(with_names(spec, {name: default}))
        except UsageError:
            raise GraphError(
                f"Param {name!r} of step {spec.name!r} has a default that cannot be written down.",
                given=type(default).__name__,
                accepted=ACCEPTED,
            ) from None
    arguments = _arguments(spec.function) if spec.params or spec.takes_seed else None
    if arguments is None:
        return
    for argument, default_node in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        for call in [] if default_node is None else _calls(default_node):
            raise GraphError(
                f"Param {argument.arg!r} of step {spec.name!r} has a default that is computed when the file is read, "
                "so it can differ from run to run.",
                given=ast.unparse(call),
                accepted="a literal, a constant, or date(...), datetime(...), timedelta(...)",
            )


def check_redefinitions(module: ModuleType) -> None:
    """Refuses two steps of one name in one file: the second would hide the first.

    Raises:
        GraphError: names the step and both lines.
    """
    seen: dict[str, int] = {}
    for node in _module_body(module):
        for name, line in _declared(node):
            if name in seen:
                raise GraphError(
                    f"Step {name!r} is defined twice in {module.__name__}.py, in lines {seen[name]} and {line}.",
                    hint="Rename one of them: a step is known by its function's name.",
                )
            seen[name] = line


def check_result(spec: StepSpec) -> None:
    """Refuses a step whose result is used up by reading it, or lives only in its process.

    Raises:
        GraphError: names the step and the annotation.
    """
    if inspect.isgeneratorfunction(spec.function) or inspect.isasyncgenfunction(spec.function):
        raise GraphError(f"Step {spec.name!r} yields; a step returns its result.", accepted=STORABLE)
    if inspect.iscoroutinefunction(spec.function):
        raise GraphError(f"Step {spec.name!r} is 'async'; a step is a plain function.", accepted="def")
    if spec.kind == "model":
        return
    annotation = _result_annotation(spec.function)
    fields = result_fields(spec)
    names = getattr(spec.function, "__globals__", {})
    hints = [hints_of(annotation, names).read.get(field) for field in fields] if fields else [annotation]
    for hint in hints:
        if _is_lazy_frame(hint):
            raise GraphError(
                f"Step {spec.name!r} returns a LazyFrame, which is a plan and no data.", hint="Return frame.collect()."
            )
        if _is_passing(hint):
            raise GraphError(
                f"Step {spec.name!r} returns something that cannot be stored.", given=_name(hint), accepted=STORABLE
            )


def result_fields(spec: StepSpec) -> tuple[str, ...]:
    """Names of the artifacts of a step annotated with a ``NamedTuple``; empty for a single result."""
    annotation = _result_annotation(spec.function)
    if isinstance(annotation, type) and issubclass(annotation, tuple):
        fields = getattr(annotation, "_fields", ())
        if isinstance(fields, tuple):
            return fields
    return ()


def _result_annotation(function: Callable[..., Any]) -> Any:
    annotation = inspect.get_annotations(function).get("return")
    if not isinstance(annotation, str):
        return annotation
    try:  # a name that only the type checker knows stays unknown
        return eval(annotation, dict(inspect.getclosurevars(function).nonlocals), getattr(function, "__globals__", {}))
    except Exception:
        return None


def _is_passing(hint: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    if origin in (typing.IO, typing.TextIO, typing.BinaryIO):
        return True
    if not isinstance(origin, type):
        return (getattr(origin, "__module__", ""), getattr(origin, "__name__", "")) in _PASSING_NAMES
    if issubclass(origin, typing.IO) or (origin.__module__, origin.__name__) in _PASSING_NAMES:
        return True
    if any(origin is kind for kind in _PASSING):
        return True
    passing = (collections.abc.Generator, collections.abc.Iterator, collections.abc.Awaitable, io.IOBase, ModuleType)
    return issubclass(origin, passing)


def _is_lazy_frame(hint: Any) -> bool:
    return getattr(hint, "__name__", "") == "LazyFrame" and str(getattr(hint, "__module__", "")).startswith("polars")


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _arguments(function: Callable[..., Any]) -> ast.arguments | None:
    """The parameters as they are written; ``None`` for what was typed into a console: there is no file to read."""
    function = inspect.unwrap(function)
    code = function.__code__
    lines = linecache.getlines(code.co_filename, getattr(function, "__globals__", {}))
    try:
        return _functions(code.co_filename, "".join(lines)).get((code.co_name, code.co_firstlineno))
    except SyntaxError:
        return None


@lru_cache(maxsize=4)
def _functions(file: str, text: str) -> dict[tuple[str, int], ast.arguments]:
    """All functions of a file by name and first line, which is that of the first decorator."""
    found = {}
    for node in ast.walk(ast.Module(body=_parse(file, text), type_ignores=[])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name, min([node.lineno, *(each.lineno for each in node.decorator_list)])] = node.args
    return found


def _calls(default: ast.expr) -> Iterator[ast.AST]:
    for node in ast.walk(default):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in _FIXED_CALLS:
                yield node
        elif isinstance(node, ast.Lambda | ast.Await | ast.Yield | ast.NamedExpr):
            yield node


def _module_body(module: ModuleType) -> list[ast.stmt]:
    file = getattr(module, "__file__", None)
    if file is None:
        return []
    return _parse(file, inspect.getsource(module))


@lru_cache(maxsize=16)
def _parse(file: str, text: str) -> list[ast.stmt]:
    return ast.parse(text, file).body


def _declared(node: ast.stmt) -> Iterator[tuple[str, int]]:
    """Names that a top-level statement declares as steps."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] in ("source", "step", "model"):
                yield node.name, node.lineno
