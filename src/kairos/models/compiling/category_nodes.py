"""Columns of categories as columns of sets, in ONNX: one look-up answers for all sets that trees ask about.

``TreeEnsemble``'s own question about sets has crashed ONNX Runtime (microsoft/onnxruntime#25400).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from kairos.models.compiled import Layout
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.trees import Coding
from kairos.models.signature import Signature

__all__ = ["CODED", "code_nodes"]

Array = np.ndarray[Any, Any]
CODED = "coded"
"""Name of what ``code_nodes`` gives: all numbers, then the columns of sets."""


def code_nodes(coding: Coding, signature: Signature, layout: Layout) -> list[NodeProto]:
    """Nodes that give ``CODED`` from the file's inputs; a category never seen is a missing one.

    Raises:
        NotCompiled: categories are neither text nor whole numbers.
    """
    nodes: list[NodeProto] = []
    found = [_source(int(index), layout, nodes) for index in np.flatnonzero(~coding.is_category)]
    for index, known, table in zip(np.flatnonzero(coding.is_category), coding.known, coding.tables, strict=True):
        if not table.shape[1]:
            continue  # no tree asks about it
        source = _source(int(index), layout, nodes)
        is_text = signature.columns[index].kind in ("category", "text")
        nodes += _looked_up(known, table, source, is_text=is_text)
        found.append(f"{source}_sets")
    nodes.append(helper.make_node("Concat", found, [CODED], axis=1))
    return nodes


def _source(index: int, layout: Layout, nodes: list[NodeProto]) -> str:
    """Name of one column of shape (n, 1)."""
    if layout == "columns":
        return f"c{index}"
    place = numpy_helper.from_array(np.array([index]), "place")
    nodes.append(helper.make_node("Constant", [], [f"place{index}"], value=place))
    nodes.append(helper.make_node("Gather", ["X", f"place{index}"], [f"x{index}"], axis=1))
    return f"x{index}"


def _looked_up(known: Sequence[Any], table: Array, source: str, *, is_text: bool) -> list[NodeProto]:
    nodes, asked = [], source
    keys: dict[str, Any] = {"keys_strings": list(known)}
    if not is_text:
        if any(isinstance(value, (str, bool)) or float(value) != int(value) for value in known):
            raise NotCompiled("It knows categories that are neither text nor whole numbers.")
        keys, asked = {"keys_int64s": [int(value) for value in known]}, f"{source}_whole"
        nodes.append(helper.make_node("Cast", [source], [asked], to=TensorProto.INT64))
    values = numpy_helper.from_array(table, "table")
    shape = numpy_helper.from_array(np.array([-1, table.shape[1]]), "shape")
    return [
        *nodes,
        helper.make_node("Constant", [], [f"{source}_table"], value=values),
        helper.make_node("Constant", [], [f"{source}_shape"], value=shape),
        # A code of -1 is the last row of the table.
        helper.make_node(
            "LabelEncoder", [asked], [f"{source}_code"], domain="ai.onnx.ml", values_int64s=list(range(len(known))),
            default_int64=-1, **keys,
        ),
        helper.make_node("Gather", [f"{source}_table", f"{source}_code"], [f"{source}_rows"], axis=0),
        helper.make_node("Reshape", [f"{source}_rows", f"{source}_shape"], [f"{source}_sets"]),
    ]  # fmt: skip
