"""What a ``@model`` step returned becomes a package that says what it was made of and predicts as it did."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kairos.errors import DataRefused, InputRefused, PackageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import open_package
from kairos.models.score import score_table
from tests.models.trainings import LEAKS, OPTIONS, Request, finish, finished, hours, one_hot, seasons, to_pandas

FULL = hours().drop("weather")
FEATURES = ["hour_of_day", "weather", "temperature", "holiday"]


def trees(**params: Any) -> HistGradientBoostingRegressor:
    """Small and quick."""
    return HistGradientBoostingRegressor(max_iter=5, **params)


def test_an_unfitted_estimator_is_fitted_on_what_is_left_as_a_feature(tmp_path: Path) -> None:
    """All columns but target, time and what is dropped; the spec says so, and until when it learned."""
    package = finished(tmp_path, trees(), train=hours())
    spec = package.spec
    assert (spec.model, spec.target, spec.time, spec.loss) == ("demand", "users", "hour", "absolute_error")
    assert list(spec.signature.names) == FEATURES
    assert (spec.train_rows, spec.train_until) == (400, datetime(2011, 1, 17, 15, tzinfo=UTC))
    assert (spec.signature.output.lower, spec.signature.output.upper) == (0.0, 5000.0)
    assert (spec.params, spec.serialization, spec.form.kind) == ({"max_iter": 5}, "skops", "matrix")
    expected = trees(random_state=0).fit(hours().select(FEATURES), hours()["users"]).predict(hours().select(FEATURES))
    np.testing.assert_array_equal(score_table(package, hours()), expected)


def test_a_fitted_estimator_names_its_own_features(tmp_path: Path) -> None:
    """And is packaged as it is."""
    table = hours()
    fitted = LinearRegression().fit(table.select("temperature", "hour_of_day"), table["users"])
    package = finished(tmp_path, fitted, train=table)
    assert package.spec.signature.names == ("temperature", "hour_of_day")
    expected = fitted.predict(table.select("temperature", "hour_of_day"))
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-12)


def test_what_only_tells_its_chances_once_it_is_fitted_is_fitted_first(tmp_path: Path) -> None:
    """A stack of classifiers has no ``predict_proba`` before; a vote that gives classes has none afterwards either."""
    options, table = ModelOptions(loss="log_loss"), busy()
    members = [("line", LogisticRegression()), ("constant", DummyClassifier())]
    stack = make_pipeline(StandardScaler(), StackingClassifier(members, cv=2))
    package = open_package(finish(tmp_path / "stack", stack, options, train=table))
    assert 0 < score_table(package, table)[0] < 1
    with pytest.raises(PackageError, match="gives no probabilities"):
        finish(tmp_path / "vote", VotingClassifier(members), options, train=table)


def test_an_estimator_that_predicts_before_it_is_fitted_is_fitted_all_the_same(tmp_path: Path) -> None:
    """A Gaussian process answers from its prior; that is no reason to call it fitted."""
    package = finished(tmp_path, make_pipeline(StandardScaler(), GaussianProcessRegressor(optimizer=None)), train=FULL)
    assert list(package.spec.signature.names) == FEATURES[:1] + FEATURES[2:]


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_trees_on_categories_get_their_frame_in_the_order_of_training(tmp_path: Path, kind: str) -> None:
    """scikit-learn refuses columns in another order; a level that was never seen is a missing value to it."""
    mixed = seasons().select("users", "temperature", "season", "hour_of_day")  # not in the order of the alphabet
    table: Any = mixed.with_columns(pl.col("season").cast(pl.Categorical))
    if kind == "pandas":
        table = to_pandas(mixed).astype({"season": "category"})
    package = finished(tmp_path, trees(), train=table)
    features = table[["temperature", "season", "hour_of_day"]]
    assert package.spec.form.kind == kind
    expected = trees(random_state=0).fit(features, table["users"]).predict(features)
    np.testing.assert_array_equal(score_table(package, table), expected)


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_a_pipeline_on_text_columns_gets_its_frame(tmp_path: Path, kind: str) -> None:
    """Levels are in the signature, and a level that was never seen is accepted where the pipeline answers for it."""
    table: Any = seasons() if kind == "polars" else to_pandas(seasons())
    package = finished(tmp_path, one_hot(), train=table)
    assert package.spec.form.kind == kind
    season = next(column for column in package.spec.signature.columns if column.name == "season")
    assert (season.kind, season.levels, season.open_levels) == ("category", ("spring", "summer", "winter"), True)
    expected = one_hot().fit(table[["hour_of_day", "temperature", "season"]], table["users"]).predict(table)
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-12)


def test_a_pandas_table_may_have_any_index(tmp_path: Path) -> None:
    """Rows are counted, not looked up."""
    table = to_pandas(hours().drop("hour", *LEAKS))
    table.index = pd.Index(np.linspace(-1.0, 1.0, len(table)))
    assert score_table(finished(tmp_path, trees(), train=table), table).shape == (400,)


def test_null_is_accepted_where_training_had_it(tmp_path: Path) -> None:
    """The weather may be unknown; the temperature may not."""
    package = finished(tmp_path, trees(), train=hours())
    row = {"hour_of_day": 8, "weather": None, "temperature": 3.5, "holiday": False}
    answer = package.runner().predict(package.spec.signature.parse_rows([row]))
    expected = (
        hours().head(1).with_columns(hour_of_day=8, weather=pl.lit(None, pl.Int64), temperature=3.5, holiday=False)
    )
    np.testing.assert_array_equal(answer, score_table(package, expected))
    with pytest.raises(InputRefused, match="'temperature' of row 0 is null"):
        package.spec.signature.parse_rows([row | {"temperature": None}])


def test_the_example_is_a_row_that_the_model_accepts(tmp_path: Path) -> None:
    """Made of medians and most frequent levels."""
    package = finished(tmp_path, one_hot(), train=seasons())
    columns = package.spec.signature.parse_rows([package.example])
    assert np.isfinite(package.runner().predict(columns)).all()


def test_values_of_single_people_are_in_no_file_that_describes_the_model(tmp_path: Path) -> None:
    """Ninety rows with an address each, and one rare season, which the model still answers for."""
    table = seasons().head(90).with_columns(email=pl.Series([f"p{i}@example.org" for i in range(90)]))
    first = pl.int_range(pl.len()) == 0
    table = table.with_columns(season=pl.when(first).then(pl.lit("monsoon")).otherwise("season"))
    package = finished(tmp_path, one_hot(), train=table)
    email, season = (next(c for c in package.spec.signature.columns if c.name == n) for n in ("email", "season"))
    assert (email.kind, email.levels) == ("text", ())
    assert (season.kind, season.levels, season.rare_levels) == ("category", ("spring", "summer", "winter"), True)
    assert package.example["email"] == ""
    estimators = {"model.skops", "compiled.onnx"}  # an encoder knows every value
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in estimators]
    assert {"spec.json", "profile.json", "input_example.json"} <= {path.name for path in files}
    assert [p.name for p in files if b"@example.org" in p.read_bytes() or b"monsoon" in p.read_bytes()] == []
    row = {**package.example, "season": "monsoon", "email": "p3@example.org"}
    assert np.isfinite(package.runner().predict(package.spec.signature.parse_rows([row]))).all()


def test_columns_that_add_up_to_the_target_are_refused(tmp_path: Path) -> None:
    """The error names them, and how to leave them out; nothing is written."""
    request = Request(returned=trees(), inputs={"train": hours()}, workdir=tmp_path)
    with pytest.raises(DataRefused, match=r"casual \+ registered = target") as caught:
        FinishModel(settings={"demand": OPTIONS})(request)
    assert caught.value.facts["columns"] == ["casual", "registered"]
    assert "drop=['casual', 'registered']" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_profile_is_of_the_training_rows_and_of_predictions_on_the_holdout(tmp_path: Path) -> None:
    """Predictions on rows that were learned from are sharper than live ones."""
    train, holdout = hours(seed=1), hours(seed=2).head(100)
    package = finished(tmp_path, trees(), train=train, holdout=holdout)
    profile = package.profile
    assert (profile.rows, set(profile.columns)) == (400, set(FEATURES))
    assert profile.columns["weather"].missing == train["weather"].null_count()
    assert sum(profile.columns["temperature"].counts) == 400
    assert profile.target.mean == pytest.approx(train["users"].mean())
    assert (profile.prediction_on, sum(profile.prediction.counts)) == ("holdout", 100)
    assert profile.prediction.mean == pytest.approx(score_table(package, holdout).mean())


@pytest.mark.parametrize("holdout", [None, {"rows": 3}, hours().head(0), hours().drop("temperature")])
def test_without_a_holdout_that_can_be_predicted_the_profile_is_of_training(tmp_path: Path, holdout: Any) -> None:
    """And says so."""
    package = finished(tmp_path, trees(), train=hours().drop(*LEAKS), holdout=holdout)
    assert (package.profile.prediction_on, sum(package.profile.prediction.counts)) == ("train", 400)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("absolute_error", "median"), ("squared_error", "mean")],
)
def test_the_simplest_model_is_kept_beside_it(tmp_path: Path, loss: str, expected: str) -> None:
    """The gate compares the first version with it."""
    package = finished(tmp_path, trees(), ModelOptions(time="hour", loss=loss), train=hours())
    assert package.spec.baseline == getattr(hours()["users"], expected)()


def busy() -> pl.DataFrame:
    """Whether an hour is busy, as 0 or 1."""
    return hours().select("hour_of_day", "temperature", users=(pl.col("users") > 80).cast(pl.Int64))


@pytest.mark.parametrize(
    "classifier",
    [HistGradientBoostingClassifier(max_iter=5), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["trees", "pipeline"],
)
def test_a_classifier_judged_by_the_log_loss_gives_a_probability(tmp_path: Path, classifier: Any) -> None:
    """Of the class 1; its simplest rival is the share of ones."""
    package = finished(tmp_path, classifier, ModelOptions(loss="log_loss"), train=busy())
    assert package.spec.method == "predict_proba"
    assert package.spec.baseline == busy()["users"].mean()
    expected = classifier.predict_proba(busy().drop("users"))[:, 1]
    np.testing.assert_allclose(score_table(package, busy()), expected, rtol=1e-12)


def test_a_classifier_judged_by_right_or_wrong_gives_a_class(tmp_path: Path) -> None:
    """As its own ``predict`` does."""
    package = finished(
        tmp_path, HistGradientBoostingClassifier(max_iter=5), ModelOptions(loss="zero_one"), train=busy()
    )
    assert set(score_table(package, busy())) == {0.0, 1.0}
    assert package.spec.baseline in (0.0, 1.0)


class Sure(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier without probabilities."""

    def fit(self, frame: Any, target: Any) -> Sure:
        """Learns nothing."""
        self.classes_ = np.unique(target)
        return self


@pytest.mark.parametrize(
    ("estimator", "table", "loss", "words"),
    [
        (LinearRegression(), busy(), "log_loss", "gives no probabilities"),
        (Sure(), busy(), "log_loss", "gives no probabilities"),
        (LogisticRegression(), busy().with_columns(pl.col("users") / 2), "log_loss", "not a class in every"),
        (LogisticRegression(), busy().with_columns(pl.col("users") / 2), "zero_one", "not a whole number"),
        (LinearRegression(), busy().with_columns(users=pl.lit(None, pl.Float64)), "absolute_error", "400 of 400 rows"),
        (LinearRegression(), busy().with_columns(users=pl.lit("many")), "absolute_error", "is not a number"),
        (LinearRegression(), busy().select("users"), "absolute_error", "left as a feature"),
        (LinearRegression(), busy().rename({"users": "usres"}), "absolute_error", "Did you mean 'usres'"),
        (LinearRegression(), busy(), "hinge", "No simple baseline"),
        ({"weights": [1.0]}, busy(), "absolute_error", "has to return an estimator"),
        (LinearRegression().fit(np.ones((3, 2)), np.ones(3)), busy(), "absolute_error", "the names of its columns"),
        (LinearRegression().fit(busy(), np.arange(400)), busy(), "absolute_error", "'users', which is not a feature"),
    ],
)
def test_what_cannot_become_a_model_is_refused(
    tmp_path: Path, estimator: Any, table: pl.DataFrame, loss: str, words: str
) -> None:
    """Before a package is written, in one sentence that names the column or the type."""
    with pytest.raises((PackageError, DataRefused), match=words):
        finish(tmp_path, estimator, ModelOptions(loss=loss), train=table)
    assert not (tmp_path / "package").exists()


def test_a_step_and_its_settings_have_to_agree_on_the_target(tmp_path: Path) -> None:
    """Two names for one thing are an error, and so is none."""
    request = Request(returned=trees(), inputs={"train": hours()}, workdir=tmp_path, target="casual")
    with pytest.raises(PackageError, match="two targets"):
        FinishModel(settings={"demand": ModelOptions(target="users")})(request)
    with pytest.raises(PackageError, match="does not say what it predicts"):
        FinishModel()(Request(returned=trees(), inputs={"train": hours()}, workdir=tmp_path, target=None))


def test_a_column_to_drop_has_to_be_there(tmp_path: Path) -> None:
    """A misspelt name would leave the leaking column in."""
    request = Request(returned=trees(), inputs={"train": hours()}, workdir=tmp_path, drop=["casaul"])
    with pytest.raises(PackageError, match="Did you mean 'casual'"):
        FinishModel()(request)


def test_what_a_package_depends_on_beside_its_inputs_is_told(tmp_path: Path) -> None:
    """The pipeline makes the package again when one of these changes."""
    assert FinishModel(settings={"demand": OPTIONS}).facts("demand") != FinishModel().facts("demand")


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_of_a_long_table_without_a_holdout_some_rows_are_asked_about(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evenly over it: for the predictions, their losses and the proof; inputs and target are of all rows."""
    monkeypatch.setattr("kairos.models.every.MOST_ROWS", 150)
    table: Any = hours() if kind == "polars" else to_pandas(hours())
    package = finished(tmp_path, trees(), train=table)
    said = score_table(package, table)[::3]
    profile = package.profile
    assert (profile.rows, sum(profile.target.counts)) == (400, 400)
    assert sum(profile.prediction.counts) == len(said) == 134
    assert profile.prediction.mean == pytest.approx(said.mean())
    assert profile.losses is not None
    assert profile.losses.mean == pytest.approx(np.abs(hours()["users"].to_numpy()[::3] - said).mean())
    assert (profile.losses.on, profile.losses.sketch.rows) == ("train", 134)
    proof = package.compilation.proof
    assert proof is not None
    assert (proof.rows, proof.rows_from) == (134, "train")
