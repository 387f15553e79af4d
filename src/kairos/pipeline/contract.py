"""The contract of a model's data: which tables reach it, and in which form, as the pipeline declares them.

It is about what is declared, not about how it is made: another body of a step leaves it, another column type, target,
input or step changes it.
"""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Mapping
from typing import Any

from kairos.errors import without_addresses
from kairos.pipeline.declare import StepSpec
from kairos.pipeline.graph import Graph
from kairos.values import Json, canonical_json

__all__ = ["contract_digest"]


def contract_digest(graph: Graph, step: str, settings: Mapping[str, Json]) -> str:
    """SHA-256 over what a model step and all before it declare, hexadecimal.

    Args:
        graph: The pipeline's.
        step: The model step.
        settings: What the project's settings say about the model's columns.
    """
    wanted, seen = [step], dict[str, Json]()
    while wanted:
        node = graph.node(wanted.pop())
        if node.name in seen:
            continue
        seen[node.name] = {
            "inputs": dict(node.inputs),
            "outputs": list(node.outputs),
            "form": _form(node.spec),
            "target": node.spec.target,
            **({"targets": list(node.spec.targets)} if node.spec.targets else {}),
            "drop": list(node.spec.drop),
        }
        wanted += node.upstream
    return hashlib.sha256(canonical_json({"steps": seen, "settings": dict(settings)})).hexdigest()


def _form(spec: StepSpec) -> Json:
    """The annotations of a step, and the fields of the project's own classes that they name."""
    try:
        hints = typing.get_type_hints(spec.function)
    except Exception:  # a name that only a type checker knows: the text says as much as can be said
        hints = dict(spec.function.__annotations__)
    return {name: _told(hint, spec.function.__module__) for name, hint in sorted(hints.items())}


def _told(hint: Any, module: str) -> Json:
    text = hint if isinstance(hint, str) else without_addresses(inspect.formatannotation(hint))
    if not isinstance(hint, type) or hint.__module__ != module:
        return text
    fields = inspect.get_annotations(hint)
    return {"class": text, "fields": {name: _told(each, "") for name, each in fields.items()}}
