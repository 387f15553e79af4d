"""A graph that another exporter wrote, without what says who made it, when, and from which lines of whose code."""

from __future__ import annotations

from onnx import ModelProto, checker

__all__ = ["cleaned"]


def cleaned(model: ModelProto) -> bytes:
    """Returns the file, equal bytes for equal models.

    PyTorch's exporter keeps the lines of source that each node came from, with the paths of the machine.
    """
    model.producer_name, model.producer_version, model.doc_string = "kairos", "", ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name, graph.doc_string = "model", ""
    del graph.metadata_props[:]
    del graph.value_info[:]  # types between the nodes, which follow from them
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        each.doc_string = ""
        del each.metadata_props[:]
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = "rows"
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
