"""Whether how long a graph takes depends on its number of rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import ModelProto, NodeProto, load_from_string

from kairos.models.compiling.refusals import NotCompiled

__all__ = ["refuse_loops"]


def refuse_loops(data: bytes) -> None:
    """Refuses a graph that does something again until a value says that it is enough: nobody could give it up.

    Raises:
        NotCompiled: it does.
    """
    model: ModelProto = load_from_string(data)
    functions = (node for function in model.functions for node in function.node)
    if any(node.op_type == "Loop" for node in _nodes([*model.graph.node, *functions])):
        raise NotCompiled("It loops until a value says that it is enough, so that it might never end.")


def _nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """All nodes, with those inside of others."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)
