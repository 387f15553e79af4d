"""A fitted estimator as one ONNX graph: what comes before the last step by skl2onnx, trees and linear models by us.

skl2onnx writes trees and linear classifiers with operators whose sums are float32; ours are doubles from end to end.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from kairos.models.compiled import MISSING_TEXT, Layout
from kairos.models.compiling.boosters import read_booster
from kairos.models.compiling.category_nodes import CODED, code_nodes
from kairos.models.compiling.forests import read_forest
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.tree_nodes import ensemble_nodes
from kairos.models.compiling.trees import Coding, Ensemble, Link
from kairos.models.compiling.wide import all_trees, read_wide, wide_nodes
from kairos.models.outputs import width_of
from kairos.models.signature import Signature
from kairos.models.spec import Method

__all__ = ["convert", "read_ensemble"]

_OPSETS = {"": 21, "ai.onnx.ml": 5}
_IR_VERSION = 10
"""Of these operator sets; ONNX Runtime reads it from 1.20 on."""

_ANSWER = "answer"
_LINEAR: dict[type, Link] = {
    LinearRegression: "identity",
    Ridge: "identity",
    Lasso: "identity",
    ElasticNet: "identity",
    PoissonRegressor: "exp",
    GammaRegressor: "exp",
    LogisticRegression: "sigmoid",
}


def read_ensemble(estimator: Any, signature: Signature) -> Ensemble | None:
    """Returns the trees of an estimator, or of the last step of a pipeline; ``None`` if it is none of trees.

    Of a model of more numbers than one chance and its rest they are those of all numbers.

    Raises:
        NotCompiled: its trees are of a kind that is not written.
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if is_wide(signature):
        wide = read_wide(last)
        return None if wide is None else all_trees(wide)
    found = read_forest(last)
    return read_booster(last) if found is None else found


def convert(estimator: Any, signature: Signature, *, layout: Layout, method: Method) -> bytes:
    """Returns the ONNX file of a fitted estimator, equal bytes for equal estimators.

    Args:
        estimator: Fitted; it is not changed.
        signature: Of the model.
        layout: How the file takes its inputs.
        method: Of the estimator, that answers.

    Raises:
        NotCompiled: it cannot be written.
    """
    is_class = method == "predict" and is_classifier(estimator)
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    before = estimator[:-1] if isinstance(estimator, Pipeline) and len(estimator.steps) > 1 else None
    wide = read_wide(last) if is_wide(signature) else None
    ensemble = read_ensemble(estimator, signature)
    if ensemble is None and type(last) not in _LINEAR:
        if is_class:
            raise NotCompiled("It answers with a class, and is neither of trees nor a logistic regression.")
        model = _by_skl2onnx(estimator, signature, layout)
        return _sealed(model, model.graph.output[-1].name, [])
    coding = None if ensemble is None else ensemble.coding
    if before is not None:
        if coding is not None:
            raise NotCompiled("Its trees ask about sets of categories that come from another step.")
        model = _by_skl2onnx(before, signature, layout)
    elif coding is not None:
        model = _coded_inputs(coding, signature, layout)
    else:
        model = _inputs_only(signature, layout)
    source = model.graph.output[-1].name
    if model.graph.output[-1].type.tensor_type.elem_type != TensorProto.DOUBLE:
        model.graph.node.append(helper.make_node("Cast", [source], ["features"], to=TensorProto.DOUBLE))
        source = "features"
    target = "score" if is_class else _ANSWER
    if wide is not None:
        return _sealed(model, _ANSWER, wide_nodes(wide, source, _ANSWER), width=width_of(signature.outputs))
    if ensemble is None:
        nodes = _linear(last, source, target, link="identity" if is_class else _LINEAR[type(last)])
    else:
        nodes = ensemble_nodes(_score(ensemble) if is_class else ensemble, source, target)
    if is_class:
        is_share = ensemble is not None and ensemble.link != "sigmoid"
        nodes += _class_nodes(last, target, cut=0.5 if is_share else 0.0)
    return _sealed(model, _ANSWER, nodes, width=1 if ensemble is not None else _width(last))


def is_wide(signature: Signature) -> bool:
    """Whether more has to be written than one number: of two classes the second's chance tells the first's."""
    first = signature.outputs[:1]
    return bool(first) and not (first[0].kind == "class" and len(first[0].classes) == 2)


def _score(ensemble: Ensemble) -> Ensemble:
    """The sum before it becomes a chance: whether it is above 0 is the class."""
    return replace(ensemble, link="identity", factor=None) if ensemble.link == "sigmoid" else ensemble


def _class_nodes(estimator: Any, source: str, *, cut: float) -> list[NodeProto]:
    """The second class where the score is above ``cut``, else the first."""
    classes = np.asarray(estimator.classes_)
    if len(classes) != 2 or classes.dtype.kind not in "iufb":
        raise NotCompiled("It tells other than two classes apart.")
    values = {"cut": cut, "first": float(classes[0]), "second": float(classes[1])}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array([value]), name))
        for name, value in values.items()
    ]
    nodes.append(helper.make_node("Greater", [source, "cut"], ["is_second"]))
    nodes.append(helper.make_node("Where", ["is_second", "second", "first"], [_ANSWER]))
    return nodes


def _sealed(model: ModelProto, output: str, nodes: list[NodeProto], *, width: int = 1) -> bytes:
    """Adds the last nodes, and takes out what says who made the file and when."""
    graph = model.graph
    graph.node.extend(nodes)
    if nodes:
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info(output, TensorProto.DOUBLE, [None, width]))
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in _OPSETS.items())
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version, model.doc_string, graph.doc_string = "kairos", "", "", ""
    del model.metadata_props[:]
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _inputs_only(signature: Signature, layout: Layout) -> ModelProto:
    """A graph that gives its inputs as one matrix of doubles."""
    double, width = TensorProto.DOUBLE, len(signature.columns)
    if layout == "matrix":
        inputs = [helper.make_tensor_value_info("X", double, [None, width])]
        graph = helper.make_graph([], "model", inputs, [helper.make_tensor_value_info("X", double, [None, width])])
        return helper.make_model(graph)
    if any(column.kind in ("category", "text") for column in signature.columns):
        raise NotCompiled("It takes text without an encoder, in a data type of its table.")
    names = [f"c{index}" for index in range(width)]
    inputs = [helper.make_tensor_value_info(name, double, [None, 1]) for name in names]
    output = helper.make_tensor_value_info("joined", double, [None, width])
    node = helper.make_node("Concat", names, ["joined"], axis=1)
    return helper.make_model(helper.make_graph([node], "model", inputs, [output]))


def _coded_inputs(coding: Coding, signature: Signature, layout: Layout) -> ModelProto:
    """A graph that gives categories as codes, for trees that ask about sets of them."""
    types = {True: TensorProto.STRING, False: TensorProto.DOUBLE}
    inputs = [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, len(signature.columns)])]
    if layout == "columns":
        inputs = [
            helper.make_tensor_value_info(f"c{i}", types[column.kind in ("category", "text")], [None, 1])
            for i, column in enumerate(signature.columns)
        ]
    output = helper.make_tensor_value_info(CODED, TensorProto.DOUBLE, [None, None])
    nodes = code_nodes(coding, signature, layout)
    return helper.make_model(helper.make_graph(nodes, "model", inputs, [output]))


def _linear(estimator: Any, source: str, target: str, *, link: Link) -> list[NodeProto]:
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    width = len(coefficients)
    if width > 1 and link == "sigmoid" and getattr(estimator, "solver", "liblinear") == "liblinear":
        raise NotCompiled("It tells more than two classes apart, each from all others.")
    levels = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (width,))
    weights = numpy_helper.from_array(np.ascontiguousarray(coefficients.T), "weights")
    level = numpy_helper.from_array(np.array(levels), "level")
    last = target if link == "identity" else "linear"
    nodes = [
        helper.make_node("Constant", [], ["weights"], value=weights),
        helper.make_node("Constant", [], ["level"], value=level),
        helper.make_node("MatMul", [source, "weights"], ["product"]),
        helper.make_node("Add", ["product", "level"], [last]),
    ]
    if link == "sigmoid" and width > 1:
        nodes.append(helper.make_node("Softmax", [last], [target], axis=1))
    elif link != "identity":
        nodes.append(helper.make_node("Exp" if link == "exp" else "Sigmoid", [last], [target]))
    return nodes


def _width(estimator: Any) -> int:
    return len(np.atleast_2d(estimator.coef_))


def _by_skl2onnx(estimator: Any, signature: Signature, layout: Layout) -> ModelProto:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

    types: list[tuple[str, Any]] = [("X", DoubleTensorType([None, len(signature.columns)]))]
    if layout == "columns":
        types = [
            (f"c{i}", (StringTensorType if column.kind in ("category", "text") else DoubleTensorType)([None, 1]))
            for i, column in enumerate(signature.columns)
        ]
    own = _prepared(estimator, {column.name: f"c{i}" for i, column in enumerate(signature.columns)})
    options = {id(own): {"zipmap": False}} if hasattr(own, "predict_proba") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of skl2onnx, about versions; what it writes is proven
        model: ModelProto = convert_sklearn(
            own,
            "model",
            types,
            target_opset=_OPSETS,
            options=options,
            custom_conversion_functions={SimpleImputer: _impute},
            custom_shape_calculators={SimpleImputer: _imputed_shape},
        )
    return model


def _prepared(estimator: Any, places: dict[str, str]) -> Any:
    """A copy that knows its columns by the names of the file's inputs, and a missing text by a name."""
    own = copy.deepcopy(estimator)
    seen: set[int] = set()
    waiting = [own]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, (ColumnTransformer, OneHotEncoder, OrdinalEncoder)):
            _rename(item, places)
        if isinstance(item, BaseEstimator):
            waiting.extend(vars(item).values())
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
    return own


def _rename(item: Any, places: dict[str, str]) -> None:
    if isinstance(item, ColumnTransformer):
        item.transformers_ = [(name, inner, _places(columns, places)) for name, inner, columns in item.transformers_]
        return
    for levels in getattr(item, "categories_", ()):  # what a fitted encoder was made from is not fitted
        if levels.dtype == np.object_:
            levels[:] = [MISSING_TEXT if v is None or v != v else v for v in levels]


def _places(columns: Any, places: dict[str, str]) -> Any:
    if isinstance(columns, str):
        return [places[columns]]
    return [places[c] if isinstance(c, str) else c for c in columns] if isinstance(columns, list) else columns


def _imputed_shape(operator: Any) -> None:
    (source,) = operator.inputs
    operator.outputs[0].type = type(source.type)([None, source.type.shape[1]])


def _impute(scope: Any, operator: Any, container: Any) -> None:
    """skl2onnx's own uses an operator that ONNX Runtime lacks for doubles."""
    imputer, (source,), (target,) = operator.raw_operator, operator.inputs, operator.outputs
    filling, kind = np.asarray(imputer.statistics_), TensorProto.DOUBLE
    is_text = filling.dtype == np.object_
    if imputer.add_indicator or (not is_text and np.isnan(filling.astype(np.float64)).any()):
        raise NotCompiled("It marks missing values in columns of their own, or leaves empty columns out.")
    missing = scope.get_unique_variable_name("missing")
    if is_text:
        kind = TensorProto.STRING
        name = scope.get_unique_variable_name("none")
        container.add_initializer(name, kind, [1], [MISSING_TEXT.encode()])
        container.add_node("Equal", [source.full_name, name], [missing], op_version=19)
    elif imputer.missing_values != imputer.missing_values:
        container.add_node("IsNaN", [source.full_name], [missing], op_version=20)
    else:
        raise NotCompiled("It takes a number for a missing value, which is not compiled.")
    fill = scope.get_unique_variable_name("filling")
    values = [str(v).encode() for v in filling] if is_text else filling.astype(np.float64).tolist()
    container.add_initializer(fill, kind, [1, len(values)], values)
    container.add_node("Where", [missing, fill, source.full_name], [target.full_name], op_version=16)
