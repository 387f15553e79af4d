"""A runner predicts from a request exactly what the estimator predicts from its training table."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kairos.errors import PackageError
from kairos.models.frames import frame_kind, read_column
from kairos.models.runner import SklearnRunner, choose_form
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.models.spec import Method

RNG = np.random.default_rng(1)
N = 300
NUMBERS = pl.DataFrame({"t": RNG.normal(size=N), "h": RNG.integers(0, 24, N), "w": RNG.random(N) < 0.5})
MIXED = NUMBERS.with_columns(s=pl.Series(RNG.choice(["dry", "wet"], N)))
Y = (3 * NUMBERS["t"] + NUMBERS["h"]).to_numpy()


def encoder() -> Any:
    """One-hot for the text, scaling for the rest."""
    return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["s"]), (StandardScaler(), ["t", "h", "w"]))


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Without pyarrow."""
    return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


def runner_of(estimator: Any, frame: Any, method: Method = "predict") -> tuple[str, SklearnRunner]:
    """The chosen form's kind and its runner."""
    read = [read_column(frame, name) for name in frame.columns]
    columns = tuple(Column(name=c.name, kind=c.kind, levels=c.levels, open_levels=True) for c in read)
    signature = Signature(columns=columns, output=OutputSpec())
    values = {c.name: c.values for c in read}
    dtypes = {c.name: c.dtype for c in read}
    form = choose_form(estimator, frame, frame_kind(frame), values, dtypes, signature, method)
    return form.kind, SklearnRunner(copy.deepcopy(estimator), signature=signature, form=form, method=method)


@pytest.mark.parametrize(
    ("estimator", "frame", "kind"),
    [
        (HistGradientBoostingRegressor(max_iter=5), NUMBERS, "matrix"),
        (RandomForestRegressor(3), to_pandas(NUMBERS), "matrix"),
        (make_pipeline(StandardScaler(), LinearRegression()), NUMBERS, "matrix"),
        (make_pipeline(encoder(), LinearRegression()), MIXED, "polars"),
        (make_pipeline(encoder(), LinearRegression()), to_pandas(MIXED), "pandas"),
        (HistGradientBoostingRegressor(max_iter=5), MIXED.with_columns(pl.col("s").cast(pl.Categorical)), "polars"),
        (HistGradientBoostingRegressor(max_iter=5), to_pandas(MIXED).astype({"s": "category"}), "pandas"),
    ],
)
def test_a_runner_equals_the_estimator_on_its_training_table(estimator: Any, frame: Any, kind: str) -> None:
    """All rows at once and one by one; numbers go as a matrix, everything else in a frame of the kind trained on."""
    estimator.fit(frame, Y)
    chosen, runner = runner_of(estimator, frame)
    assert chosen == kind
    values = {name: read_column(frame, name).values for name in frame.columns}
    expected = estimator.predict(frame)
    answer = runner.predict(values)
    assert (answer.dtype, answer.shape) == (np.float64, (N,))
    np.testing.assert_allclose(answer, expected, rtol=1e-12)
    for i in range(3):
        np.testing.assert_allclose(
            runner.predict({k: v[i : i + 1] for k, v in values.items()}), expected[i], rtol=1e-12
        )


def test_an_estimator_that_selects_by_name_gets_a_frame() -> None:
    """Numbers only, but the transformer asks for column names."""
    estimator = make_pipeline(make_column_transformer((StandardScaler(), ["h", "t"])), LinearRegression())
    assert runner_of(estimator.fit(NUMBERS, Y), NUMBERS)[0] == "polars"


def test_choosing_a_form_leaves_the_estimator_as_it_was() -> None:
    """It still knows its columns, so that MLflow and people can use it on frames."""
    estimator = LinearRegression().fit(NUMBERS, Y)
    runner_of(estimator, NUMBERS)
    assert list(estimator.feature_names_in_) == NUMBERS.columns


def test_a_classifier_gives_the_positive_class_probability() -> None:
    """One number a row, in [0, 1]."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, Y > 10)
    _, runner = runner_of(estimator, NUMBERS, "predict_proba")
    values = {name: read_column(NUMBERS, name).values for name in NUMBERS.columns}
    np.testing.assert_array_equal(runner.predict(values), estimator.predict_proba(NUMBERS)[:, 1])


def test_no_rows_give_no_predictions() -> None:
    """Rather than the estimator's own error."""
    _, runner = runner_of(LinearRegression().fit(NUMBERS, Y), NUMBERS)
    assert runner.predict({name: np.empty(0) for name in NUMBERS.columns}).shape == (0,)


class Restless(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gives another answer each time."""

    def predict(self, frame: Any) -> Any:
        """Noise."""
        return np.random.default_rng().normal(size=len(frame))


class Words(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gives text."""

    def predict(self, frame: Any) -> Any:
        """Names."""
        return np.array(["a"] * len(frame))


@pytest.mark.parametrize(("estimator", "words"), [(Restless(), "other predictions"), (Words(), "one number a row")])
def test_an_estimator_that_cannot_be_served_is_refused(estimator: Any, words: str) -> None:
    """When packaging, not when the first request comes."""
    with pytest.raises(PackageError, match=words):
        runner_of(estimator, NUMBERS)
