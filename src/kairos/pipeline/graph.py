"""The graph of a project's steps, from the names of their parameters. All its errors come before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import ModuleType

from kairos.errors import GraphError, UsageError, did_you_mean
from kairos.pipeline.checks import check_defaults, check_redefinitions, check_result, result_fields
from kairos.pipeline.declare import StepSpec, find_spec
from kairos.pipeline.hints import check_hints

__all__ = ["Graph", "Node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step in its graph."""

    spec: StepSpec
    outputs: tuple[str, ...]
    """Names of its artifacts: ``("features",)``, or ``("split.train", "split.holdout")``."""
    inputs: Mapping[str, str]
    """Parameter to artifact: ``{"train": "split.train"}``."""

    @property
    def name(self) -> str:
        """The step's name."""
        return self.spec.name

    @property
    def upstream(self) -> frozenset[str]:
        """Names of the steps whose artifacts it reads."""
        return frozenset(artifact.partition(".")[0] for artifact in self.inputs.values())


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps by name, each after everything it reads; among equals in the order of their names."""

    nodes: Mapping[str, Node]

    @classmethod
    def from_module(cls, module: ModuleType) -> Graph:
        """The graph of all decorated functions that a module defines or imports.

        Raises:
            GraphError: the graph cannot run as written.
        """
        check_redefinitions(module)
        specs = [spec for thing in vars(module).values() if (spec := find_spec(thing)) is not None]
        unique = {id(spec.function): spec for spec in specs}
        if not unique:
            raise GraphError(
                f"{module.__name__}.py declares no steps.", hint="Put @source, @step or @model above a function."
            )
        return cls.from_specs(unique.values())

    @classmethod
    def from_specs(cls, specs: Iterable[StepSpec]) -> Graph:
        """The graph of some steps; their order does not matter.

        Raises:
            GraphError: the graph cannot run as written.
        """
        by_name: dict[str, StepSpec] = {}
        for spec in specs:
            if spec.name in by_name:
                raise GraphError(
                    f"Two functions declare the step {spec.name!r}.",
                    given=" and ".join(sorted(_place(each) for each in (by_name[spec.name], spec))),
                    hint="Rename one of them: a step is known by its function's name.",
                )
            by_name[spec.name] = spec
        for spec in by_name.values():
            check_defaults(spec)
            check_result(spec)
            check_hints(spec)
        outputs = {name: _outputs(spec) for name, spec in by_name.items()}
        names = _by_name(outputs)
        nodes = {name: _node(spec, outputs, names) for name, spec in by_name.items()}
        return cls({name: nodes[name] for name in _ordered(nodes)})

    def node(self, name: str) -> Node:
        """The step of that name.

        Raises:
            UsageError: there is none; the nearest name is in the message.
        """
        if name not in self.nodes:
            raise UsageError(
                f"There is no step {name!r}.", accepted=", ".join(self.nodes), hint=did_you_mean(name, self.nodes)
            )
        return self.nodes[name]

    def artifact(self, name: str) -> str:
        """The full name of an artifact: ``train`` is ``split.train`` if only one step has such a field.

        Raises:
            UsageError: there is none, or several.
        """
        names = _by_name({node.name: node.outputs for node in self.nodes.values()})
        found = names.get(name, [])
        if len(found) != 1:
            raise UsageError(
                f"{name!r} names {'no artifact' if not found else 'several artifacts'}.",
                given=", ".join(found) or None,
                accepted=", ".join(output for node in self.nodes.values() for output in node.outputs),
                hint=None if found else did_you_mean(name, names),
            )
        return found[0]


def _outputs(spec: StepSpec) -> tuple[str, ...]:
    fields = result_fields(spec) if spec.kind == "step" else ()
    return tuple(f"{spec.name}.{field}" for field in fields) or (spec.name,)


def _by_name(outputs: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Every name that a parameter may use, with the artifacts it could mean."""
    names: dict[str, list[str]] = {}
    for artifact in (artifact for step in sorted(outputs) for artifact in outputs[step]):
        names.setdefault(artifact, []).append(artifact)
        if "." in artifact:
            names.setdefault(artifact.partition(".")[2], []).append(artifact)
    return names


def _node(spec: StepSpec, outputs: Mapping[str, tuple[str, ...]], names: Mapping[str, list[str]]) -> Node:
    inputs: dict[str, str] = {}
    for parameter in spec.inputs:
        found = names.get(parameter, [])
        if len(found) > 1:
            raise GraphError(
                f"Input {parameter!r} of step {spec.name!r} could be {' or '.join(found)}.",
                hint="Rename one of the fields or steps.",
            )
        if not found:
            raise _unknown(spec, parameter, outputs, names)
        inputs[parameter] = found[0]
    return Node(spec=spec, outputs=outputs[spec.name], inputs=inputs)


def _unknown(
    spec: StepSpec, parameter: str, outputs: Mapping[str, tuple[str, ...]], names: Mapping[str, list[str]]
) -> GraphError:
    what = f"Step {spec.name!r} reads {parameter!r}, which no step makes."
    fields = ", ".join(artifact.partition(".")[2] for artifact in outputs.get(parameter, ()))
    if fields:
        what = f"Step {spec.name!r} reads {parameter!r}, which makes several artifacts."
        return GraphError(what, accepted=fields, hint="Name the one that is needed.")
    usable = sorted(name for name in names if "." not in name and name != spec.name)
    hint = did_you_mean(parameter, usable)
    if parameter == "window":
        hint = "Only a @source receives the window."
    elif hint is None:
        hint = f"If it is a param, put '*' before it: def {spec.name}(..., *, {parameter})."
    return GraphError(what, accepted=", ".join(usable) or None, hint=hint)


def _ordered(nodes: Mapping[str, Node]) -> list[str]:
    sorter = TopologicalSorter({name: sorted(node.upstream) for name, node in nodes.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = list(error.args[1])
        raise GraphError("The steps go round in a circle.", given=" -> ".join(_from_least(circle))) from None
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered


def _from_least(circle: list[str]) -> list[str]:
    ring = circle[:-1]
    least = ring.index(min(ring))
    turned = ring[least:] + ring[:least]
    return [*turned, turned[0]]


def _place(spec: StepSpec) -> str:
    code = spec.function.__code__
    return f"{spec.function.__module__}.py line {code.co_firstlineno}"
