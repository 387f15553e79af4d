"""What a library of trees would not take, or no request may have, is refused before an estimator sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBRegressor

from kairos.errors import DataRefused, PackageError
from kairos.models.training import fit, training_data

TEXT = pl.DataFrame(
    {"size": np.arange(100.0), "city": ["Rome", "Oslo"] * 50, "users": np.random.default_rng(1).normal(size=100)}
)
ENUM = TEXT.with_columns(pl.col("city").cast(pl.Enum(["Rome", "Oslo"])))
LIGHTGBM, XGBOOST = LGBMRegressor(n_estimators=2, verbose=-1), XGBRegressor(n_estimators=2)
"""Not fitted: tests fit clones."""


def fitted(estimator: Any, table: Any) -> Any:
    """As a model step has it fitted."""
    estimator = clone(estimator)
    data = training_data(table, estimator, step="demand", target="users", keys=(), drop=())
    return fit(estimator, data, seed=1)


@pytest.mark.parametrize(
    ("estimator", "table", "given"),
    [
        (LIGHTGBM, TEXT, r"city \(String\)"),
        (LIGHTGBM, ENUM, r"city \(Enum\)"),
        (LIGHTGBM, TEXT.with_columns(pl.col("city").cast(pl.Categorical)), r"city \(Categorical\)"),
        (XGBOOST, TEXT, r"city \(String\)"),
    ],
    ids=["LightGBM, text", "LightGBM, Enum", "LightGBM, Categorical", "XGBoost, text"],
)
def test_text_is_refused_with_what_to_do(estimator: Any, table: pl.DataFrame, given: str) -> None:
    """LightGBM would end the process over it, and XGBoost name a data type and no column."""
    with pytest.raises(PackageError, match=rf"does not learn from text(.|\n)*{given}(.|\n)*drop=\['city'\]"):
        fitted(estimator, table)


def test_what_is_encoded_before_is_taken() -> None:
    """The pipeline's own steps read the text."""
    encoder = make_column_transformer((OrdinalEncoder(), ["city"]), remainder="passthrough")
    encoder.set_output(transform="default")
    assert np.isfinite(fitted(make_pipeline(encoder, LIGHTGBM), TEXT).predict(TEXT)).all()


def test_categories_of_pandas_are_taken() -> None:
    """The data type says which there are."""
    import pandas as pd

    table = pd.DataFrame({"size": TEXT["size"].to_numpy(), "users": TEXT["users"].to_numpy()})
    table["city"] = pd.Categorical(TEXT["city"].to_list())
    assert np.isfinite(fitted(LIGHTGBM, table).predict(table[["size", "city"]])).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pl.Series([1.0] * 99 + [np.inf]), "size: as large as inf"),
        (pl.Series([1.0] * 99 + [-1e300]), r"size: as large as 1e\+300"),
        (pl.Series([1] * 99 + [2**62]), r"size: as large as 4\.\d+e\+18"),
        (pl.Series([1] * 99 + [2**64 - 1], dtype=pl.UInt64), r"size: as large as 1\.\d+e\+19"),
        (pl.Series(["a"] * 50 + ["b" * 10_001] * 50), "size: a text of 10,001 characters"),
    ],
)
def test_what_no_request_may_have_is_not_learnt_from(values: pl.Series, words: str) -> None:
    """The model would be asked about it, and every such request refused."""
    table = TEXT.select(size=values, users="users")
    for each in (table, table.to_pandas()):
        with pytest.raises(DataRefused, match=f"no request may have.*{words}.*between -1e\\+15 and 1e\\+15") as caught:
            fitted(HistGradientBoostingRegressor(max_iter=2), each)
        assert caught.value.facts["columns"] == ["size"]


def test_missing_values_and_numbers_at_the_ends_are_learnt_from() -> None:
    """All of a column may be missing."""
    ends = pl.Series([1e15, -1e15, None, float("nan")] * 25)
    table = TEXT.select(ends=ends, none=pl.lit(None, pl.Float64), users="users")
    data = training_data(table, LinearRegression(), step="demand", target="users", keys=(), drop=())
    assert list(data.columns) == ["ends", "none"]
