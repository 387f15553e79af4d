"""The three decorators of a project: ``source``, ``step`` and ``model``.

A decorated function stays the same function: call it in a test or a notebook as if the decorator were not there.
What was declared is kept on it as ``__kairos__``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from kairos.errors import GraphError, UsageError
from kairos.pipeline.limits import LimitOptions, Limits, read_limits
from kairos.values import parse_duration

if TYPE_CHECKING:
    from kairos.pipeline.origins.declared import Origin

__all__ = ["REQUIRED", "Kind", "StepSpec", "find_spec", "model", "source", "step"]

Kind = Literal["source", "step", "model"]
F = TypeVar("F", bound=Callable[..., Any])


class _Required:
    """Marks a param that has no default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """What a decorator declared and what the function's signature says."""

    name: str
    kind: Kind
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    """Names of upstream artifacts, in the order of the positional parameters; empty for a source."""
    takes_window: bool
    takes_seed: bool
    params: Mapping[str, Any]
    """Keyword-only parameters and their defaults; ``REQUIRED`` where there is none. ``seed`` is not among them."""
    seed: int
    varies: bool = False
    """Whether other seeds of a run are for this step: a model, or a step that has a parameter ``seed`` or says
    ``seed=``; of a source the data stay as they are."""
    limits: Limits = field(default_factory=Limits)
    every: timedelta | None = None
    """Length of the aligned partitions that a source is pulled in."""
    files: tuple[str, ...] = ()
    """Files or folders, relative to the project, that a source reads."""
    settles_after: timedelta | None = None
    """How long after its end a partition may still change."""
    reads: Origin | None = None
    """Where the rows that a source is given come from."""
    target: str | None = None
    """Of several the first."""
    targets: tuple[str, ...] = ()
    """All of them, if there are several."""
    drop: tuple[str, ...] = ()


def find_spec(thing: object) -> StepSpec | None:
    """What was declared on ``thing``, or ``None`` if it is not a decorated function."""
    spec = getattr(thing, "__kairos__", None) if inspect.isfunction(thing) else None
    return spec if isinstance(spec, StepSpec) else None


@overload
def source(function: F, /) -> F: ...
@overload
def source(
    *,
    every: str | None = None,
    files: Sequence[str] = (),
    settles_after: str | None = None,
    reads: Origin | None = None,
    seed: int | None = None,
    **limits: Unpack[LimitOptions],
) -> Callable[[F], F]: ...
def source(
    function: F | None = None,
    /,
    *,
    every: str | None = None,
    files: Sequence[str] = (),
    settles_after: str | None = None,
    reads: Origin | None = None,
    seed: int | None = None,
    **limits: Unpack[LimitOptions],
) -> F | Callable[[F], F]:
    """Declares a step with no inputs that pulls raw data for a window of time.

    Its only positional parameter, if any, is ``window``; or ``rows``, if ``reads`` says where they come from. What it
    returned is reused only if ``files`` names what it reads (the files' digests then decide), if the watermark of what
    it ``reads`` is the same, or if it was pulled ``settles_after`` after the window's end or later; otherwise it is
    pulled again in each run. Steps after it still run only if the data differ.

    Args:
        every: Pull in partitions of this length (``"7d"``), each reused on its own; the tables are concatenated.
        files: Files or folders it reads, relative to the project's folder.
        settles_after: How long after its end a window may still change (``"1d"``).
        reads: The origin whose rows it is given: ``Files``, ``Sql``, ``Http``, ``Dlt``, ``Delta`` or ``Iceberg``.
        seed: Seed of ``random``, ``numpy.random`` and PyTorch, and of a keyword-only parameter ``seed``.
        **limits: What it may use and how often it is tried: see ``LimitOptions``.
    """
    options: dict[str, Any] = {
        "every": _duration(every),
        "files": (files,) if isinstance(files, str) else tuple(files),
        "settles_after": _duration(settles_after),
        "reads": reads,
    }
    return _decorate(function, "source", limits=limits, seed=seed, options=options)


@overload
def step(function: F, /) -> F: ...
@overload
def step(*, seed: int | None = None, **limits: Unpack[LimitOptions]) -> Callable[[F], F]: ...
def step(
    function: F | None = None, /, *, seed: int | None = None, **limits: Unpack[LimitOptions]
) -> F | Callable[[F], F]:
    """Declares a function from artifacts to artifacts.

    Positional parameters name upstream artifacts (a step, or a field of a step that returns a ``NamedTuple``);
    keyword-only parameters are params, with values that JSON can hold.

    Args:
        seed: Seed of ``random``, ``numpy.random`` and PyTorch, and of a keyword-only parameter ``seed``.
        **limits: What it may use and how often it is tried: see ``LimitOptions``.

    >>> @step
    ... def doubled(rentals: int, *, times: int = 2) -> int:
    ...     return rentals * times
    >>> doubled(4)
    8
    """
    return _decorate(function, "step", limits=limits, seed=seed, options={})


@overload
def model(function: F, /) -> F: ...
@overload
def model(
    *,
    target: str | Sequence[str] | None = None,
    drop: Sequence[str] = (),
    seed: int | None = None,
    **limits: Unpack[LimitOptions],
) -> Callable[[F], F]: ...
def model(
    function: F | None = None,
    /,
    *,
    target: str | Sequence[str] | None = None,
    drop: Sequence[str] = (),
    seed: int | None = None,
    **limits: Unpack[LimitOptions],
) -> F | Callable[[F], F]:
    """Declares a step that returns an estimator; it is fitted if it is not yet, checked, and packaged.

    Args:
        target: The column to predict, or a list of columns, which are predicted together.
        drop: Columns that are not features.
        seed: Seed of ``random``, ``numpy.random`` and PyTorch, and of a keyword-only parameter ``seed``.
        **limits: What it may use and how often it is tried: see ``LimitOptions``.
    """
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    if len(set(targets)) < len(targets) or target == []:
        raise UsageError("@model has no targets, or one twice.", given=list(targets), accepted="different columns")
    options: dict[str, Any] = {
        "target": targets[0] if targets else None,
        "targets": targets if len(targets) > 1 else (),
        "drop": (drop,) if isinstance(drop, str) else tuple(drop),
    }
    return _decorate(function, "model", limits=limits, seed=seed, options=options)


def _decorate(
    function: F | None, kind: Kind, *, limits: LimitOptions, seed: int | None, options: Mapping[str, Any]
) -> F | Callable[[F], F]:
    allowed = read_limits(kind, limits)

    def attach(target: F) -> F:
        target.__kairos__ = _read(target, kind, limits=allowed, seed=seed, options=options)  # type: ignore[attr-defined]
        return target

    if function is None:
        return attach
    if not inspect.isfunction(function):
        raise UsageError(
            f"@{kind} takes its options by name.", given=function, hint=f"Write @{kind} or @{kind}(option=...)."
        )
    return attach(function)


def _read(
    function: Callable[..., Any], kind: Kind, *, limits: Limits, seed: int | None, options: Mapping[str, Any]
) -> StepSpec:
    name = getattr(function, "__name__", repr(function))
    if not inspect.isfunction(function) or not name.isidentifier():
        raise GraphError(f"@{kind} takes a function.", given=function, accepted="def NAME(...): at the top of a module")
    positional: list[str] = []
    params: dict[str, Any] = {}
    for typed_parameter in inspect.signature(function).parameters.values():
        parameter = typed_parameter.replace(annotation=inspect.Parameter.empty)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise GraphError(
                f"Step {name!r} has the parameter {str(parameter)!r}, so its inputs and params cannot be known.",
                accepted="named parameters only",
            )
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        if parameter.kind is parameter.KEYWORD_ONLY:
            params[parameter.name] = default
        elif default is not REQUIRED:
            raise GraphError(
                f"Step {name!r} gives the positional parameter {parameter.name!r} a default.",
                given=str(parameter),
                accepted="positional parameters name upstream artifacts; params are keyword-only",
                hint=f"Put '*' before it: def {name}(..., *, {parameter}).",
            )
        else:
            positional.append(parameter.name)
    takes_seed = "seed" in params
    own_seed = params.pop("seed", None)
    takes_window = kind == "source" and positional == ["window"]
    if kind == "source":
        _check_source(name, positional, options)
    return StepSpec(
        name=name,
        kind=kind,
        function=function,
        inputs=() if kind == "source" else tuple(positional),
        takes_window=takes_window,
        takes_seed=takes_seed,
        params=params,
        seed=seed if seed is not None else own_seed if isinstance(own_seed, int) else 0,
        varies=kind == "model" or (kind == "step" and (takes_seed or seed is not None)),
        limits=limits,
        **options,
    )


def _check_source(name: str, positional: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuses a source whose parameters do not fit what it reads."""
    reads = options["reads"]
    if reads is not None and positional != ["rows"]:
        raise GraphError(
            f"Source {name!r} reads an origin, so it has one positional parameter, 'rows'.",
            given=", ".join(positional) or "none",
            hint=f"Write: def {name}(rows: Rows, ...).",
        )
    if reads is None and positional not in ([], ["window"]):
        raise GraphError(
            f"Source {name!r} may have one positional parameter, 'window'.",
            given=", ".join(positional),
            hint="Write @source(reads=Files(...)) to be given rows."
            if positional == ["rows"]
            else "A function of upstream artifacts is a @step; a setting of a source is keyword-only.",
        )
    if reads is not None and options["files"]:
        raise GraphError(f"Source {name!r} has both reads= and files=.", accepted="one of them")
    if reads is not None and options["every"] is not None and not reads.is_windowed:
        raise GraphError(
            f"Source {name!r} is pulled in partitions, and its origin gives all rows to each of them.",
            accepted="a column of times (time=...), or times in the names ({date}) or params ({start}, {end})",
        )


def _duration(text: str | None) -> timedelta | None:
    return None if text is None else parse_duration(text)
