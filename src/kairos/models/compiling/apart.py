"""A compiled form in two files, if it is large: the graph, and its weights where they can be mapped."""

from __future__ import annotations

from pathlib import Path

from kairos.models.compiled import COMPILED_FILE
from kairos.models.weights import LARGE_BYTES, WEIGHTS_FILE

__all__ = ["apart"]

_PAGE = 4096
"""Where a weight begins, in bytes: what is mapped is mapped in pages."""
_SMALL = 1024
"""Bytes of a weight that stays in the graph."""


def apart(data: bytes) -> dict[str, bytes]:
    """Returns the files by name: none if there is no compiled form, one, or two as ONNX's *external data*."""
    if len(data) < LARGE_BYTES:
        return {COMPILED_FILE: data} if data else {}
    from onnx import ModelProto, TensorProto, numpy_helper  # loaded only where a model is compiled
    from onnx.external_data_helper import set_external_data

    model = ModelProto.FromString(data)
    weights = bytearray()
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.STRING:
            continue
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))  # its numbers as bytes
        raw = tensor.raw_data
        if len(raw) < _SMALL:
            continue
        weights.extend(bytes(-len(weights) % _PAGE))
        set_external_data(tensor, Path(WEIGHTS_FILE).name, offset=len(weights), length=len(raw))
        weights.extend(raw)
        tensor.ClearField("raw_data")
    if not weights:  # trees are attributes of their node, which cannot lie apart
        return {COMPILED_FILE: data}
    return {COMPILED_FILE: model.SerializeToString(deterministic=True), WEIGHTS_FILE: bytes(weights)}
