"""The range of a param: from what its declaration says, or from what somebody typed. Nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from kairos.errors import UsageError
from kairos.experiments.space import Choices, Number, Range, same
from kairos.pipeline.declare import REQUIRED, StepSpec
from kairos.pipeline.enums import enums_of, name_in
from kairos.pipeline.hints import hints_of
from kairos.pipeline.ranges import Between
from kairos.pipeline.typed import typed

__all__ = ["Param", "declared_range", "how_to_say", "parse_range", "read_param"]

_GRAMMAR = "LOW..HIGH, LOW..HIGH:log, LOW..HIGH:step=S, or A,B,C"


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A keyword-only param as it is declared."""

    name: str
    """``STEP.PARAM``."""
    kind: type | None
    """``int``, ``float``, ``bool``, ``str`` or another; ``None``: nothing says."""
    default: Any
    bounds: Between | None = None
    choices: tuple[Any, ...] = ()
    """Of a ``Literal``; of an ``Enum`` the names of its members."""
    enum: type[Enum] | None = None


def read_param(spec: StepSpec, param: str) -> Param:
    """What a declaration says of a param: by its annotation, or else by its default."""
    default = spec.params[param]
    hint = hints_of(spec.function, annotated=True).read.get(param)
    extras: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        extras = tuple(rest)
    bounds = next((each for each in extras if isinstance(each, Between)), None)
    if get_origin(hint) in (Union, UnionType):  # of `float | None` the number is searched
        parts = [part for part in get_args(hint) if part is not NoneType]
        hint = parts[0] if len(parts) == 1 else None
    literals = get_args(hint) if get_origin(hint) is Literal else ()
    kind = get_origin(hint) or hint
    if literals:
        kind = type(literals[0]) if len({type(each) for each in literals}) == 1 else None
    elif not isinstance(kind, type) or kind is Any:
        kind = None if default is REQUIRED or default is None else type(default)
    enum = enums_of(spec).get(param)
    if enum is not None:
        kind, literals = str, tuple(each.name for each in literals or enum if each is not None)
        default = default.name if isinstance(default, Enum) else default
    return Param(name=f"{spec.name}.{param}", kind=kind, default=default, bounds=bounds, choices=literals, enum=enum)


def declared_range(param: Param) -> Range | None:
    """The range that a declaration gives: ``Between``, ``Literal``, or a truth value; ``None``: it gives none.

    Raises:
        UsageError: it cannot be searched as it is written.
    """
    if param.bounds is not None:
        return _between(param, param.bounds)
    if len(param.choices) > 1:
        return Choices(values=param.choices)
    return Choices(values=(False, True)) if param.kind is bool else None


def parse_range(param: Param, text: str) -> Range:
    """Reads what was typed, for the type that the param has.

    Raises:
        UsageError: it is no range, or not one of such values.
    """
    low, dots, rest = text.partition("..")
    if dots and not text.lstrip().startswith("["):
        return _parse_number(param, text, low, rest)
    return _parse_choices(param, text)


def how_to_say(param: Param) -> str:
    """What to type for a param that has no range."""
    if len(param.choices) > 1:
        return f"--space {param.name}={','.join(map(str, param.choices))}"
    if param.kind in (int, float) and isinstance(param.default, int | float):
        low, high = (
            (param.default / 4, param.default * 4) if param.default > 0 else (param.default - 10, param.default + 10)
        )
        shown = (f"{low:.0f}", f"{high:.0f}") if param.kind is int else (f"{low:g}", f"{high:g}")
        if shown[0] != shown[1]:
            return f"--space {param.name}={shown[0]}..{shown[1]}"
    if param.kind in (list, tuple, dict):
        return f"--space '{param.name}=[{json.dumps(param.default)}, …]'"
    return f"--space {param.name}=A,B,C"


def _between(param: Param, bounds: Between) -> Number:
    if param.kind not in (int, float):
        raise _unfit(param, f"Between({bounds.low:g}, {bounds.high:g})", "Between is for int and float")
    return _number(param, bounds.low, bounds.high, bounds.log, bounds.step, str(bounds))


def _parse_number(param: Param, text: str, low: str, rest: str) -> Number:
    high, *options = rest.split(":")
    log, step = False, None
    try:
        ends = [_numeral(low), _numeral(high)]
        for option in options:
            name, _, value = option.strip().partition("=")
            if name == "log" and not value:
                log = True
            elif name == "step" and value:
                step = _numeral(value)
            else:
                raise ValueError(option)
        found = Between(ends[0], ends[1], log=log, step=step)
    except ValueError as error:
        told = error if isinstance(error, UsageError) else None
        accepted = told.accepted if told is not None else _GRAMMAR
        raise UsageError(f"The range of {param.name} cannot be read.", given=text, accepted=accepted) from None
    return _number(param, found.low, found.high, found.log, found.step, text)


def _number(param: Param, low: float, high: float, log: bool, step: float | None, given: str) -> Number:
    whole = all(isinstance(each, int) for each in (low, high, *([] if step is None else [step])))
    if param.kind is None and not param.choices:  # nothing says, so what was typed does
        return Number(low=low, high=high, is_whole=whole, log=log, step=step)
    if param.kind not in (int, float) or param.choices:
        raise _unfit(param, given, "A,B,C")
    if param.kind is int and not whole:
        raise _unfit(param, given, "whole numbers, as in 10..200")
    is_whole = param.kind is int
    ends = (int(low), int(high)) if is_whole else (float(low), float(high))
    return Number(low=ends[0], high=ends[1], is_whole=is_whole, log=log, step=step)


def _parse_choices(param: Param, text: str) -> Choices:
    try:
        words: Sequence[Any] = json.loads(text) if text.lstrip().startswith("[") else text.split(",")
    except ValueError:
        raise UsageError(
            f"The choices of {param.name} cannot be read.",
            given=text,
            accepted="a JSON list, as in [[1, 24], [1, 168]]",
        ) from None
    values = tuple(_value(param, word, text) for word in words)
    if len(values) < 2:
        raise UsageError(
            f"{param.name} has nothing to choose from.", given=text, accepted=f"two values at least: {_GRAMMAR}"
        )
    twice = [each for place, each in enumerate(values) if any(same(each, other) for other in values[:place])]
    if twice:
        raise UsageError(f"{param.name} has a choice twice.", given=twice[0])
    return Choices(values=values)


def _value(param: Param, word: Any, text: str) -> Any:
    """One choice, as a value of the param's type."""
    value = word
    if isinstance(word, str) and param.kind is not str and not text.lstrip().startswith("["):
        try:
            value = json.loads(word)
        except ValueError:
            value = word.strip()
    elif isinstance(word, str):
        value = word.strip()
    if param.choices and param.default is None and value in (None, "null") and "null" not in param.choices:
        return None
    if param.enum is not None:
        value = name_in(param.enum, value, param=param.name)
    if param.choices:
        known = [each for each in param.choices if same(each, value) or str(each) == str(value)]
        if not known:
            raise _unfit(param, str(word), ", ".join(map(str, param.choices)))
        return known[0]
    if param.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if param.kind is tuple and isinstance(value, list):
        return value  # as `-p` gives it, so that a run with the winner's params is this trial's
    if value is None and param.default is None:
        return None
    if param.kind in (bool, int, float, str, tuple, list, dict) and type(value) is not param.kind:
        raise _unfit(param, str(word), _WORDS[param.kind])
    typed(value)
    return value


_WORDS: dict[type | None, str] = {
    bool: "true,false",
    int: "whole numbers",
    float: "numbers",
    str: "texts",
    tuple: "JSON lists, as in [[1, 24], [1, 168]]",
    list: "JSON lists, as in [[1, 24], [1, 168]]",
    dict: "JSON objects in a list",
}


_KINDS: dict[type | None, str] = {bool: "a truth value", int: "a whole number", float: "a number", str: "a text"}


def _numeral(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _unfit(param: Param, given: str, accepted: str) -> UsageError:
    kind = _KINDS.get(param.kind, f"a {param.kind.__name__}" if param.kind is not None else "of any type")
    kind = "one of its choices" if param.choices else kind
    return UsageError(f"{param.name} is {kind}; its range cannot be so.", given=given, accepted=accepted)
