"""Annotations read one by one; one that cannot be read, and might be a contract, is refused."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import typing
from collections.abc import Mapping
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

from kairos.errors import GraphError
from kairos.pipeline.declare import StepSpec

__all__ = ["Hints", "check_hints", "hints_of"]


class Hints(NamedTuple):
    """The annotations of a function or a class, by parameter or field; of a result by ``return``."""

    read: Mapping[str, Any]
    unread: Mapping[str, str]
    """As they are written: they name what is not there when the code runs."""


def hints_of(thing: Any, names: Mapping[str, Any] | None = None, *, annotated: bool = False) -> Hints:
    """Reads each annotation for itself.

    Args:
        thing: A function, or a class such as a ``NamedTuple``.
        names: What the annotations of a class may name; ``None``: what its module has.
        annotated: Leave ``Annotated[...]`` as it is.
    """
    inside: Mapping[str, Any] = {}
    if not inspect.isclass(thing):
        thing = inspect.unwrap(thing)
        names = getattr(thing, "__globals__", {})
        inside = inspect.getclosurevars(thing).nonlocals if getattr(thing, "__closure__", None) else {}
    elif names is None:
        names = _names_at(thing) or {}
    read, unread = dict[str, Any](), dict[str, str]()
    for name, hint in inspect.get_annotations(thing).items():
        try:
            alone = SimpleNamespace(__annotations__={name: hint})
            read[name] = typing.get_type_hints(alone, dict(names or {}), dict(inside), annotated)[name]
        except Exception:  # whatever evaluating it raises
            unread[name] = hint if isinstance(hint, str) else getattr(hint, "__forward_arg__", str(hint))
    return Hints(read, unread)


def check_hints(spec: StepSpec) -> None:
    """Refuses annotations of a step that might be contracts and cannot be read, as they would not be checked.

    Fields of a class from another module are looked at only while that is loaded, as it is where steps run.

    Raises:
        GraphError: names the step, the parameter or field, and what to write.
    """
    function = inspect.unwrap(spec.function)
    names: Mapping[str, Any] = {**getattr(function, "__globals__", {}), **dict.fromkeys(function.__code__.co_freevars)}
    hints = hints_of(function)
    for name, text in hints.unread.items():
        if name in spec.inputs:
            _refuse(spec, f"The input {name!r}", text, names)
        elif name == "return" and spec.kind != "model":
            _refuse(spec, "The result", text, names)
    whole = hints.read.get("return")
    if inspect.isclass(whole) and hasattr(whole, "_fields"):
        around = names if whole.__module__ == function.__module__ else _names_at(whole)
        for name, text in (hints_of(whole, around).unread if around else {}).items():
            _refuse(spec, f"Field {name!r} of the result", text, around or {})


def _names_at(kind: type) -> Mapping[str, Any] | None:
    return vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else None


def _refuse(spec: StepSpec, place: str, text: str, names: Mapping[str, Any]) -> None:
    unknown = _might_be_contract(text, names)
    if unknown is not None:
        raise GraphError(
            f"{place} of step {spec.name!r} is annotated with what is not there when the code runs; "
            "if it is a contract, it could not be checked.",
            given=f"{text}, where {unknown!r} is not known",
            accepted="names that its file defines or imports when it is loaded",
            hint=f"Move what defines or imports {unknown} out of `if TYPE_CHECKING:`.",
        )


def _might_be_contract(text: str, names: Mapping[str, Any]) -> str | None:
    """The name that is not known, unless it is certain that no contract of Pandera is meant."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return None
    used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    unknown = [name for name in used if name not in names and not hasattr(builtins, name)]
    tables = [ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    if unknown and any(table.endswith("Frame") for table in tables):
        return unknown[0]
    if find_spec("pandera") is None:
        return None
    return next((name for name in unknown if not _is_of_library(name, str(names.get("__file__", "")))), None)


def _is_of_library(name: str, file: str) -> bool:
    """Whether the file imports the name, for the type checker only, from an installed library other than Pandera."""
    for node in ast.walk(ast.parse("".join(linecache.getlines(file)))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                if name == (alias.asname or alias.name.partition(".")[0]):
                    module = alias.name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
                    return _is_installed(module.partition(".")[0])
    return False


def _is_installed(top: str) -> bool:
    if top in ("", "pandera"):
        return False
    if top in sys.stdlib_module_names:
        return True
    found = find_spec(top)
    return found is not None and "site-packages" in str(found.origin)
