"""Params that are typed as an ``Enum``: written down by a member's name, and a member again where the step is called.

So facts, fingerprints, MLflow and `-p` have text, as of a ``Literal``: nobody needs the project's code to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from kairos.errors import UsageError, did_you_mean
from kairos.pipeline.declare import StepSpec
from kairos.pipeline.hints import hints_of

__all__ = ["enums_of", "name_in", "with_members", "with_names"]


def enums_of(spec: StepSpec) -> dict[str, type[Enum]]:
    """The ``Enum`` of each param that is typed so, by its annotation or else by its default."""
    if not spec.params:
        return {}
    read = hints_of(spec.function).read
    found = {name: _enum_in(read.get(name), default) for name, default in spec.params.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def with_names(spec: StepSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as they are written down: names of members in the place of members, or of their values.

    Raises:
        UsageError: a value is no member of its ``Enum``.
    """
    enums = enums_of(spec)
    return {
        name: name_in(enums[name], value, param=f"{spec.name}.{name}") if name in enums and value is not None else value
        for name, value in params.items()
    }


def with_members(spec: StepSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as the step is given them; undoes ``with_names``."""
    enums = enums_of(spec)
    return {
        name: enums[name][value] if name in enums and value is not None else value for name, value in params.items()
    }


def name_in(kind: type[Enum], value: object, *, param: str) -> str:
    """The name of the member that is meant: by itself, by its name, or else by its value.

    >>> from enum import Enum
    >>> Kernel = Enum("Kernel", {"RBF": "rbf", "POLY": "poly"})
    >>> name_in(Kernel, Kernel.POLY, param="fit.kernel"), name_in(Kernel, "rbf", param="fit.kernel")
    ('POLY', 'RBF')

    Raises:
        UsageError: there is no such member, or several have this value's text.
    """
    if isinstance(value, Enum):
        value = value.name
    if isinstance(value, str) and value in kind.__members__:
        return str(kind[value].name)
    named = [each.name for each in kind if type(each.value) is type(value) and each.value == value]
    named = named or [each.name for each in kind if str(each.value) == str(value)]
    if len(named) != 1:
        raise UsageError(
            f"{param} is a {kind.__name__}.",
            given=value,
            accepted=", ".join(kind.__members__),
            hint=did_you_mean(str(value), list(kind.__members__)),
        )
    return str(named[0])


def _enum_in(hint: Any, default: object) -> type[Enum] | None:
    parts = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = {kind for part in parts for kind in (map(type, get_args(part)) if get_origin(part) is Literal else (part,))}
    kinds -= {NoneType}
    kind = kinds.pop() if len(kinds) == 1 else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return type(default) if isinstance(default, Enum) else None
