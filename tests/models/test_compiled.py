"""A compiled form is kept only if it answers as the estimator does, wherever a conversion is known to go astray."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from kairos.models.compiled import Compilation, CompiledRunner, Proof
from kairos.models.compiling import graph, tree_nodes
from kairos.models.compiling import prove as proving
from kairos.models.compiling.boosters import catboost_trees
from kairos.models.compiling.graph import read_ensemble
from kairos.models.compiling.loops import refuse_loops
from kairos.models.compiling.prove import compile_model, prove
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.compiling.tree_nodes import ensemble_nodes
from kairos.models.compiling.trees import Ensemble, Tree
from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.ports import Runner
from kairos.models.score import score_columns
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.models.spec import TrainingForm
from kairos.stats.recalibration import Recalibration
from tests.models.trainings import finish, hours, seasons, to_pandas

NUMBERS = ModelOptions(time="hour", allow_pickle=True)
CHANCES = replace(NUMBERS, loss="log_loss")
BUSY = hours().with_columns(users=(pl.col("users") > 80).cast(pl.Int64))
THREE = hours().with_columns(users=pl.col("users") // 60)
FULL = hours().drop_nulls()


def levels(frame: pl.DataFrame) -> pl.DataFrame:
    """Text as a data type with fixed levels, of which trees ask in sets; sometimes missing."""
    season = pl.when(pl.int_range(pl.len()) % 7 > 0).then("season").cast(pl.Enum(["spring", "summer", "winter"]))
    return frame.with_columns(season=season, users=pl.col("users") + 40 * (pl.col("season") == "summer").cast(pl.Int64))


PANDAS_LEVELS = to_pandas(levels(seasons())).astype({"season": "category"})


def encoded(encoder: Any, estimator: Any) -> Any:
    """A pipeline for ``seasons``."""
    columns = make_column_transformer((encoder, ["season"]), ("passthrough", ["hour_of_day", "temperature"]))
    return make_pipeline(columns, estimator)


def made(folder: Path, returned: object, options: ModelOptions, train: Any, **inputs: Any) -> Package:
    """Finished, and opened in both forms."""
    return open_package(finish(folder, returned, options, train=train, **inputs), allow_pickle=True)


one_hot = OneHotEncoder(handle_unknown="ignore")
codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
EXACT: dict[str, tuple[Any, ModelOptions, Any]] = {
    "histograms": (HistGradientBoostingRegressor(max_iter=20), NUMBERS, hours()),
    "boosted": (GradientBoostingRegressor(n_estimators=20), NUMBERS, FULL),
    "forest": (RandomForestRegressor(20), NUMBERS, hours()),
    "forest of chances": (RandomForestClassifier(20), CHANCES, BUSY),
    "extra trees": (ExtraTreesRegressor(20), NUMBERS, hours()),
    "classes": (HistGradientBoostingClassifier(max_iter=20), NUMBERS, BUSY),
    "classes, boosted": (GradientBoostingClassifier(n_estimators=20), NUMBERS, BUSY.drop("weather")),
    "classes of a forest": (RandomForestClassifier(21), NUMBERS, BUSY),
    "classes of a line": (make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000)), NUMBERS, BUSY),
    "classes of lightgbm": (LGBMClassifier(n_estimators=9, verbose=-1), NUMBERS, BUSY),
    "classes of xgboost": (XGBClassifier(n_estimators=9), NUMBERS, BUSY),
    "one tree": (DecisionTreeRegressor(), NUMBERS, hours()),
    "one node": (DecisionTreeRegressor(max_depth=1), NUMBERS, hours()),
    "one leaf": (DecisionTreeRegressor(min_samples_leaf=390), NUMBERS, hours()),
    "scaled trees": (make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=20)), NUMBERS, hours()),
    "trees on one-hot text": (
        encoded(OneHotEncoder(handle_unknown="ignore", sparse_output=False), HistGradientBoostingRegressor()),
        NUMBERS,
        seasons(),
    ),
    "trees on codes of text": (encoded(codes, RandomForestRegressor(10)), NUMBERS, seasons()),
    "categories": (HistGradientBoostingRegressor(max_iter=20), NUMBERS, levels(seasons())),
    "categories of pandas": (HistGradientBoostingRegressor(max_iter=20), NUMBERS, PANDAS_LEVELS),
    "categories that are numbers": (
        HistGradientBoostingRegressor(max_iter=20, categorical_features=["hour_of_day"]), NUMBERS, hours(),
    ),
    "categories of lightgbm": (LGBMRegressor(n_estimators=9, min_data_per_group=5, verbose=-1), NUMBERS, PANDAS_LEVELS),
    "lightgbm": (LGBMRegressor(n_estimators=20, verbose=-1), NUMBERS, hours()),
    "lightgbm that parts negative numbers from zero": (
        LGBMRegressor(n_estimators=9, min_data_in_bin=1, verbose=-1), NUMBERS,
        hours().with_columns(temperature=pl.int_range(pl.len()) % 5 - 2.0, users=(pl.int_range(pl.len()) % 5 < 2) * 9),
    ),
    "xgboost": (XGBRegressor(n_estimators=20), NUMBERS, hours()),
}  # fmt: skip
CLOSE: dict[str, tuple[Any, ModelOptions, Any]] = {
    "histograms of counts": (HistGradientBoostingRegressor(loss="poisson", max_iter=20), NUMBERS, hours()),
    "histograms of chances": (HistGradientBoostingClassifier(max_iter=20), CHANCES, BUSY),
    "boosted chances": (GradientBoostingClassifier(n_estimators=9), CHANCES, BUSY.drop("weather")),
    "boosted, exponential loss": (
        GradientBoostingClassifier(loss="exponential", n_estimators=9), CHANCES, BUSY.drop("weather"),
    ),
    "a line": (LinearRegression(), NUMBERS, FULL),
    "ridge": (make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), NUMBERS, hours()),
    "logistic": (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), CHANCES, BUSY),
    "one-hot text": (encoded(one_hot, Ridge()), NUMBERS, seasons()),
    "one-hot text of pandas": (encoded(one_hot, Ridge()), NUMBERS, to_pandas(seasons())),
    "lightgbm of chances": (LGBMClassifier(n_estimators=20, verbose=-1), CHANCES, BUSY),
    "xgboost of chances": (XGBClassifier(n_estimators=20), CHANCES, BUSY),
    "xgboost of counts": (XGBRegressor(objective="count:poisson", n_estimators=20), NUMBERS, hours()),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_trees_agree_to_the_last_bit(tmp_path: Path, case: str) -> None:
    """On every row, on thresholds and beside them, with missing values and text never seen."""
    package = made(tmp_path, *EXACT[case])
    proof = package.compilation.proof
    assert proof is not None, package.compilation.why
    assert (proof.difference, proof.made_difference) == (0.0, 0.0)


@pytest.mark.parametrize("case", CLOSE)
def test_sums_and_links_agree_within_the_tolerance(tmp_path: Path, case: str) -> None:
    """Of doubles 1e-12 of the largest answer, of XGBoost's float32 1e-6."""
    package = made(tmp_path, *CLOSE[case])
    proof = package.compilation.proof
    assert proof is not None, package.compilation.why
    assert proof.difference <= proof.tolerance
    assert package.answering == "compiled"


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that no converter knows."""

    def fit(self, frame: object, target: object = None) -> Doubled:
        """Learns nothing."""
        self.fitted_ = True
        return self

    def transform(self, frame: Any) -> Any:
        """Twice of each."""
        return 2.0 * np.asarray(frame)


NUMBERED = LGBMRegressor(n_estimators=9, min_data_per_group=5, verbose=-1).fit(
    to_pandas(FULL.select("hour_of_day", "temperature")), FULL["users"].to_numpy(), categorical_feature=["hour_of_day"]
)
WITHOUT: dict[str, tuple[Any, ModelOptions, Any, str]] = {
    "own step": (make_pipeline(Doubled(), Ridge()), NUMBERS, FULL, "be converted, being of Doubled, Ridge: "),
    "trees inside another estimator": (
        make_pipeline(StandardScaler(), BaggingRegressor(DecisionTreeRegressor(), n_estimators=2)),
        NUMBERS,
        FULL,
        "be converted, being of StandardScaler, BaggingRegressor, DecisionTreeRegressor: ",
    ),
    "three classes": (HistGradientBoostingClassifier(max_iter=3), NUMBERS, THREE, "more than two"),
    "classes of neighbours": (KNeighborsClassifier(), NUMBERS, BUSY.drop("weather"), "answers with a class"),
    "categories that are numbers": (NUMBERED, NUMBERS, to_pandas(FULL), "no data type of its table"),
    "another start": (GradientBoostingRegressor(init=LinearRegression()), NUMBERS, FULL, "another estimator"),
    "dart": (XGBRegressor(booster="dart", n_estimators=3), NUMBERS, hours(), "booster 'dart'"),
    "linear leaves": (LGBMRegressor(linear_tree=True, n_estimators=3, verbose=-1), NUMBERS, FULL, "linear models"),
    "zero is missing": (LGBMRegressor(zero_as_missing=True, n_estimators=3, verbose=-1), NUMBERS, hours(), "0 for a"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_without_a_proof_the_package_says_why_and_answers_natively(tmp_path: Path, case: str) -> None:
    """In one sentence; the run goes on, and no file is kept."""
    *model, words = WITHOUT[case]
    package = made(tmp_path, *model)
    assert package.compilation.proof is None
    assert words in str(package.compilation.why)
    assert package.answering == "native"
    assert not (tmp_path / "package/kairos/compiled.onnx").exists()


def test_the_whole_holdout_is_compared(tmp_path: Path) -> None:
    """Where the step takes one; else all rows of training."""
    model = HistGradientBoostingRegressor(max_iter=3)
    with_one = made(tmp_path / "one", model, NUMBERS, hours(), holdout=hours(seed=1).head(123)).compilation.proof
    assert with_one is not None
    assert (with_one.rows, with_one.rows_from) == (123, "holdout")
    without = made(tmp_path / "none", model, NUMBERS, hours()).compilation.proof
    assert without is not None
    assert (without.rows, without.rows_from) == (400, "train")


def compiled_with(package: Package, table: Any, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> Compilation:
    """Compiles a package's estimator anew, its trees read wrongly as told."""
    estimator, spec = package.estimator(), package.spec
    found = read_ensemble(estimator, spec.signature)
    assert found is not None
    if changed.pop("turn_missing", False):
        changed["trees"] = tuple(replace(tree, missing_left=~tree.missing_left.astype(bool)) for tree in found.trees)
    monkeypatch.setattr(graph, "read_ensemble", lambda estimator, signature: replace(found, **changed))
    columns = score_columns(package, table)
    compilation, _ = compile_model(
        estimator, package.native_runner(), signature=spec.signature, form=spec.form, method=spec.method,
        train=columns, holdout=None,
    )  # fmt: skip
    return compilation


def test_thresholds_that_float32_cannot_hold_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers beside 2^24 are apart as doubles; written in float32 the same trees are refused, by a row."""
    random = np.random.default_rng(0)
    account = random.integers(2**24, 2**24 + 64, 600)
    table = pl.DataFrame({"account": account, "other": random.random(600), "users": account % 3 * 5.0})
    package = made(tmp_path, HistGradientBoostingRegressor(max_iter=20), ModelOptions(), table)
    assert compiled_with(package, table, monkeypatch).is_proven
    rounded = compiled_with(package, table, monkeypatch, precision="float32")
    assert re.search(r"answers row \d+ of the train with \S+ instead of", str(rounded.why))


@pytest.mark.parametrize("wrong", [{"below": "<"}, {"rounds_inputs": True}, {"turn_missing": True}])
def test_a_form_that_differs_at_thresholds_or_nulls_only_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """Rows are made there, as the holdout may hold none."""
    package = made(tmp_path, HistGradientBoostingRegressor(max_iter=20), NUMBERS, hours())
    found = compiled_with(package, hours(), monkeypatch, **wrong)
    assert not found.is_proven
    assert "instead of" in str(found.why)


class Guessing:
    """The native runner, but text never seen is taken for a level."""

    def __init__(self, native: Runner) -> None:
        self.native = native

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """As of the first level."""
        known = {"spring", "summer", "winter"}
        season = np.array([text if text in known else "spring" for text in columns["season"]], dtype=object)
        return self.native.predict({**columns, "season": season})


def test_a_form_that_differs_on_levels_never_seen_is_refused(tmp_path: Path) -> None:
    """No row of a holdout holds one."""
    package = made(tmp_path, encoded(one_hot, Ridge()), NUMBERS, seasons())
    native, columns = package.native_runner(), score_columns(package, seasons())
    with pytest.raises(NotCompiled, match=r"answers made row \d+ at its thresholds, nulls and levels"):
        prove(
            native, Guessing(native), signature=package.spec.signature, rows=columns, rows_from="train",
            train=columns, ensemble=None, relative=1e-12,
        )  # fmt: skip


def test_a_root_with_a_leaf_and_a_branch_of_one_number_is_no_leaf() -> None:
    """ONNX Runtime takes it for one; trees of both shapes behind each other meet all such numbers."""
    leaf_left = Tree(
        feature=np.array([0, 0, 1, 0, 0]), threshold=np.array([0.0, 0, 1, 0, 0]), left=np.array([1, 0, 3, 0, 0]),
        right=np.array([2, 0, 4, 0, 0]), missing_left=np.zeros(5), is_leaf=np.array([0, 1, 0, 1, 1], dtype=bool),
        value=np.array([0.0, 1, 0, 2, 4]),
    )  # fmt: skip
    leaf_right = replace(leaf_left, left=leaf_left.right, right=leaf_left.left)
    rows = np.random.default_rng(0).normal(size=(50, 2))
    for count in range(1, 8):
        grown = tuple(leaf_left if n % 3 else leaf_right for n in range(count))
        nodes = ensemble_nodes(Ensemble(trees=grown), "X", "answer")
        answers = np.ravel(session(nodes).run(None, {"X": rows})[0])
        x, y = rows.T
        one = np.where(x <= 0, 1.0, np.where(y <= 1, 2.0, 4.0))
        other = np.where(x > 0, 1.0, np.where(y > 1, 2.0, 4.0))
        np.testing.assert_array_equal(answers, sum(one if n % 3 else other for n in range(count)))


def session(nodes: list[Any]) -> Any:
    """A graph of these nodes, loaded."""
    value = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, None]) for name in ("X", "answer")]
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    made_graph = helper.make_graph(nodes, "trees", value[:1], value[1:])
    model = helper.make_model(made_graph, opset_imports=imports, ir_version=10)
    return InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_forests_too_large_for_a_file_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is not kept waiting for a file that no server would want to load."""
    monkeypatch.setattr(tree_nodes, "MOST_NODES", 50)
    package = made(tmp_path, RandomForestRegressor(10), NUMBERS, hours())
    assert re.search(r"trees have [\d,]+ nodes, and more than 50 ", str(package.compilation.why))


def test_trees_of_catboost_are_read_as_it_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its JSON and its answers lie in the tree, thresholds and the numbers beside them among the rows."""
    golden = json.loads((Path(__file__).parents[1] / "golden/catboost_trees.json").read_text())
    ensemble = catboost_trees(golden["model"])
    monkeypatch.setattr(graph, "read_ensemble", lambda estimator, signature: ensemble)
    columns = tuple(Column(name=name, kind="number", nullable=True) for name in "abc")
    signature = Signature(columns=columns, output=OutputSpec())
    data = graph.convert(Ridge(), signature, layout="matrix", method="predict")
    form = TrainingForm(kind="matrix", dtypes=dict.fromkeys("abc", "Float64"))
    runner = CompiledRunner(data, signature=signature, form=form)
    rows = np.array(golden["rows"], dtype=np.float64)
    answers = runner.predict(dict(zip("abc", rows.T, strict=True)))
    np.testing.assert_allclose(answers, golden["answers"], rtol=1e-14)


@pytest.mark.parametrize("loss", ["RMSE", "MAE", "Poisson"])
def test_catboost_itself_is_packaged_compiled_and_the_same_twice(tmp_path: Path, loss: str) -> None:
    """Where it is installed; it is too large (269 MB) for every environment."""
    catboost = pytest.importorskip("catboost", reason="CatBoost is not installed")
    options = {"iterations": 9, "loss_function": loss, "verbose": 0, "allow_writing_files": False}
    one, two = (
        finish(tmp_path / name, catboost.CatBoostRegressor(**options), ModelOptions(time="hour"), train=hours())
        for name in ("one", "two")
    )
    package = open_package(one)
    assert package.compilation.is_proven, package.compilation.why
    assert (one / "kairos/files.json").read_bytes() == (two / "kairos/files.json").read_bytes()


def test_missing_text_is_a_level_of_its_own(tmp_path: Path) -> None:
    """As scikit-learn's encoders have it."""
    table = seasons().with_columns(season=pl.when(pl.int_range(pl.len()) % 5 > 0).then("season"))
    package = made(tmp_path, encoded(one_hot, Ridge()), NUMBERS, table)
    assert package.compilation.is_proven, package.compilation.why
    columns = score_columns(package, table)
    np.testing.assert_allclose(package.runner().predict(columns), package.native_runner().predict(columns))


def test_equal_trainings_give_the_same_file(tmp_path: Path) -> None:
    """What skl2onnx writes as well."""
    for name in ("one", "two"):
        made(tmp_path / name, encoded(one_hot, Ridge()), NUMBERS, seasons())
    one, two = ((tmp_path / name / "package/kairos/compiled.onnx").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_converter_that_breaks_down_does_not_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises; its words are not kept where they might name a person's text."""

    def broken(*args: Any, **options: Any) -> bytes:
        raise RuntimeError("it broke\nin two lines")

    monkeypatch.setattr(graph, "convert", broken)
    package = made(tmp_path / "numbers", HistGradientBoostingRegressor(max_iter=3), NUMBERS, hours())
    assert package.compilation.why == (
        "It cannot be converted, being of HistGradientBoostingRegressor: builtins.RuntimeError: it broke"
    )
    assert package.answering == "native"
    with_text = made(tmp_path / "text", encoded(one_hot, Ridge()), NUMBERS, seasons())
    of = "ColumnTransformer, Ridge, OneHotEncoder"
    assert with_text.compilation.why == f"It cannot be converted, being of {of}: builtins.RuntimeError"


def test_without_the_libraries_a_package_is_made_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are extras: for compiling and, apart from it, for running what was compiled."""
    model = HistGradientBoostingRegressor(max_iter=3)
    monkeypatch.setattr(proving, "can_compile", lambda: False)
    assert "kairos-ml[compile]" in str(made(tmp_path / "no", model, NUMBERS, hours()).compilation.why)
    monkeypatch.undo()
    package = made(tmp_path / "yes", model, NUMBERS, hours())
    monkeypatch.setattr("kairos.models.package.can_run", lambda: False)
    assert package.answering == "native"
    assert package.runner() is package.native_runner()


def test_a_model_put_right_keeps_the_form_where_the_proof_carries() -> None:
    """A line carries a difference with it; between log-odds only no difference stays none."""
    proof = Proof(
        rows=9, rows_from="train", difference=1e-15, worst_row=3, made_rows=9, made_difference=0.0, tolerance=1e-12
    )
    base = Compilation(proof=proof)
    right = base.put_right(Recalibration(level=1.0, slope=-2.0))
    assert right.proof == replace(proof, difference=2e-15, tolerance=2e-12)
    assert right.recalibration == Recalibration(level=1.0, slope=-2.0)
    odds = Recalibration(level=1.0, scale="log_odds")
    assert not base.put_right(odds).is_proven
    assert Compilation(proof=replace(proof, difference=0.0)).put_right(odds).is_proven
    nothing = Compilation(why="No.")
    assert nothing.put_right(odds) is nothing


@pytest.mark.parametrize("inside", [False, True])
def test_a_graph_that_loops_is_no_compiled_form(inside: bool) -> None:
    """Nothing could end it; one without a loop is taken, whatever else it holds."""

    def branch(nodes: list[Any], name: str) -> Any:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)])

    same = helper.make_node("Identity", ["X"], ["y"])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("n", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    loop = helper.make_node("Loop", ["", "go_on"], [], body=body)
    choice = helper.make_node(
        "If",
        ["go_on"],
        ["y"],
        then_branch=branch([loop, same] if inside else [same], "then"),
        else_branch=branch([same], "else"),
    )
    nodes = [choice] if inside else [loop, same]
    refuse_loops(helper.make_model(branch([same], "none")).SerializeToString())
    with pytest.raises(NotCompiled, match="might never end"):
        refuse_loops(helper.make_model(branch(nodes, "all")).SerializeToString())
