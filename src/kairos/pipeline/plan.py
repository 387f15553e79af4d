"""What a run will do, worked out from values alone: which steps, with which params, under which fingerprints."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kairos import __version__
from kairos.errors import UsageError, did_you_mean
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.code import Reached
from kairos.pipeline.declare import REQUIRED, StepSpec
from kairos.pipeline.enums import with_names
from kairos.pipeline.fingerprint import Fingerprint, fingerprint
from kairos.pipeline.graph import Graph, Node
from kairos.pipeline.typed import ACCEPTED, typed
from kairos.values import Digest, Json, Window, canonical_json

__all__ = [
    "Setting",
    "and_after",
    "can_be_reused",
    "code_digest",
    "fingerprint_of",
    "partitions",
    "select",
    "settings_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A step with its params settled."""

    node: Node
    params: Mapping[str, Any]
    seed: int


def select(graph: Graph, targets: Sequence[str] | None, given: Collection[str] = ()) -> list[Node]:
    """The steps that ``targets`` (steps or artifacts) need, in an order in which they can run.

    Args:
        graph: All steps.
        targets: ``None``: all, except those that only steps that are ``given`` need.
        given: Steps whose results are there, so that nothing before them is needed.

    Raises:
        UsageError: there is no such step or artifact.
    """
    if targets is None:
        read = {step for node in graph.nodes.values() for step in node.upstream}
        targets = [name for name in graph.nodes if name not in read or not given]
    wanted = [name if name in graph.nodes else graph.artifact(name).partition(".")[0] for name in targets]
    needed: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed.add(name)
            wanted += [] if name in given else sorted(graph.node(name).upstream)
    return [node for node in graph.nodes.values() if node.name in needed]


def and_after(graph: Graph, steps: Collection[str]) -> frozenset[str]:
    """Some steps and all that read, directly or not, what they give.

    Raises:
        UsageError: there is no such step.
    """
    found = {graph.node(name).name for name in steps}
    for node in graph.nodes.values():  # each after everything it reads
        if node.upstream & found:
            found.add(node.name)
    return frozenset(found)


def settings_of(
    graph: Graph, nodes: Sequence[Node], params: Mapping[str, Mapping[str, Any]], force: Collection[str]
) -> dict[str, Setting]:
    """The params of every step: what was given, else the defaults.

    Raises:
        UsageError: a step or param is unknown (the nearest is named), or a param has no value.
    """
    for name in (*params, *force):
        graph.node(name)
    return {node.name: _setting(node, params.get(node.name, {})) for node in nodes}


def partitions(spec: StepSpec, window: Window) -> list[Window]:
    """The windows that a source is pulled in: aligned partitions, or the window as a whole."""
    if spec.kind != "source" or spec.every is None or not (spec.takes_window or spec.reads):
        return [window]
    return list(window.split(spec.every)) or [window]


def can_be_reused(
    spec: StepSpec, window: Window, pulled_at: datetime | None, *, now: datetime, is_marked: bool = False
) -> bool:
    """Whether an earlier result may stand for this call.

    A source's may if it names the files it reads, if its origin's watermark is the same, or if its window was settled
    when it was pulled: what was pulled sooner may lack rows, however long ago that was. Every other step's may.

    Args:
        spec: The step.
        window: What it is asked for.
        pulled_at: When the earlier result was pulled; ``None`` if that is not known.
        now: The present; what was pulled later than that was pulled when a clock was wrong.
        is_marked: Whether the fingerprint holds a watermark.
    """
    if spec.kind != "source" or spec.files or is_marked:
        return True
    if spec.settles_after is None or pulled_at is None or pulled_at > now:
        return False
    return pulled_at - window.end >= spec.settles_after  # a sum would overflow for a window up to the year 9999


def fingerprint_of(
    setting: Setting,
    *,
    code: Reached,
    inputs: Mapping[str, Artifact],
    files: Mapping[str, Digest],
    window: Window | None,
    mark: str | None = None,
    finish: Json = None,
) -> Fingerprint:
    """The name of one call of a step.

    Args:
        setting: The step.
        code: What the step reaches.
        inputs: Artifact by parameter.
        files: Digests of the files that a source reads, by path.
        window: For a source that takes one.
        mark: For a source that reads an origin: the watermark.
        finish: For a model: what its finishing depends on.
    """
    spec = setting.node.spec
    options: dict[str, Any] = {"kind": spec.kind}
    libraries = dict(code.libraries)
    if spec.reads is not None:
        options["reads"] = spec.reads.facts()
    if spec.kind == "model":
        options |= {"target": spec.target, "drop": list(spec.drop), "finish": finish}
        libraries["kairos-ml"] = __version__
    return fingerprint(
        setting.node.name,
        code=code.code,
        params=setting.params,
        inputs={name: artifact.identity for name, artifact in inputs.items()}
        | {f"file:{path}": digest for path, digest in files.items()}
        | ({} if mark is None else {"rows": mark}),
        libraries=libraries,
        options=options,
        seed=setting.seed,
        window=None if window is None else str(window),
    )


def code_digest(made: Fingerprint) -> str:
    """One digest for all the code that a step reaches: SHA-256, hexadecimal."""
    return hashlib.sha256(canonical_json(made.code)).hexdigest()


def _check_kind(spec: StepSpec, name: str, default: Any, value: Any) -> None:
    """Refuses text for a number, and anything but a truth value for one: the text ``False`` is true.

    Only where the declaration says so and nothing else: a default of that type, and no annotation of another.
    """
    kind = type(default)
    parameter = inspect.signature(spec.function).parameters.get(name)
    if parameter is None or kind not in (bool, int, float):
        return
    if parameter.annotation not in (inspect.Parameter.empty, kind, kind.__name__):
        return
    if value is not None and (isinstance(value, str) or (kind is bool and not isinstance(value, bool))):
        raise UsageError(
            f"The param {name!r} of step {spec.name!r} is {_KINDS[kind]}.",
            given=value,
            accepted="true or false" if kind is bool else f"a number, as in {spec.name}.{name}={default}",
        )


_KINDS = {bool: "a truth value", int: "a whole number", float: "a number"}


def _setting(node: Node, given: Mapping[str, Any]) -> Setting:
    spec = node.spec
    known = {**spec.params, **({"seed": spec.seed} if spec.takes_seed else {})}
    for name in given:
        if name not in known:
            raise UsageError(
                f"Step {spec.name!r} has no param {name!r}.",
                accepted=", ".join(known) or "it has none",
                hint=did_you_mean(name, known),
            )
    for name, default in spec.params.items():
        if name in given:
            _check_kind(spec, name, default, given[name])
    params = {**known, **given}
    missing = [name for name, value in params.items() if value is REQUIRED]
    if missing:
        raise UsageError(
            f"Step {spec.name!r} needs a value for {missing[0]!r}.", hint=f"Type: -p {spec.name}.{missing[0]}=VALUE"
        )
    params = with_names(spec, params)
    try:
        typed(params)
    except UsageError as error:
        raise UsageError(
            f"A param of step {spec.name!r} cannot be written down.", given=error.given, accepted=ACCEPTED
        ) from None
    seed = params.pop("seed", spec.seed) if spec.takes_seed else spec.seed
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise UsageError(f"The seed of step {spec.name!r} is no whole number.", given=seed)
    return Setting(node=node, params=params, seed=seed)
