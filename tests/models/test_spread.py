"""Arrays that an estimator of columns learns from: each number is a column, by a name that follows from the array's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kairos.errors import DataRefused, InputRefused, PackageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import score_columns, score_table
from tests.models.trainings import Request

ROWS = 300
RANDOM = np.random.default_rng(4)
VECTORS = RANDOM.normal(size=(ROWS, 5))
PIXELS = RANDOM.integers(0, 9, size=(ROWS, 2, 3))
AGES = RANDOM.integers(18, 80, ROWS)
KINDS = np.array(["cat", "dog"])[RANDOM.integers(0, 2, ROWS)]
USERS = 3 * VECTORS[:, 2] - VECTORS[:, 4] + 0.1 * AGES + 0.5 * PIXELS[:, 1, 2] + RANDOM.normal(size=ROWS)
FLAT = [*(f"vector.{i}" for i in range(5)), "age", *(f"pixels.{i}.{j}" for i in range(2) for j in range(3))]


def people(kind: str = "array", *, text: bool = False) -> Any:
    """A vector, a number and a small picture a row."""
    told = {"kind": KINDS} if text else {}
    if kind == "pandas":
        return pd.DataFrame({"vector": list(VECTORS), "age": AGES, "pixels": PIXELS.tolist(), **told, "users": USERS})
    vector = pl.Series("vector", VECTORS if kind == "array" else VECTORS.tolist())
    return pl.DataFrame({"vector": vector, "age": AGES, "pixels": PIXELS, **told, "users": USERS})


def side_by_side() -> pd.DataFrame:
    """The same as a person would lay it out."""
    flat = np.hstack([VECTORS, AGES[:, None], PIXELS.reshape(ROWS, -1)])
    return pd.DataFrame(flat, columns=FLAT)


def finished(folder: Path, model: Any, table: Any, *, loss: str = "squared_error", **inputs: Any) -> Package:
    """Packaged and opened."""
    made = FinishModel(settings={"demand": ModelOptions(loss=loss)})(
        Request(returned=model, inputs={"train": table, **inputs}, workdir=folder)
    )
    return open_package(made)


@pytest.mark.parametrize("kind", ["array", "list", "pandas"])
def test_an_estimator_learns_each_number_of_an_array(tmp_path: Path, kind: str) -> None:
    """As if they had been laid side by side, in the order of the table; a request holds the array."""
    package = finished(tmp_path, LinearRegression(), people(kind))
    expected = LinearRegression().fit(side_by_side(), USERS).predict(side_by_side())
    np.testing.assert_allclose(score_table(package, people(kind)), expected, rtol=1e-9)
    assert [column.kind for column in package.spec.signature.columns] == ["array", "integer", "array"]
    assert set(package.spec.form.dtypes) == set(FLAT)
    assert package.spec.form.kind == "matrix"
    assert package.estimator().feature_names_in_.tolist() == FLAT
    row = {"vector": VECTORS[7].tolist(), "age": int(AGES[7]), "pixels": PIXELS[7].tolist()}
    asked = package.spec.signature.parse_rows([row])
    for runner in (package.native_runner(), package.compiled_runner()):
        np.testing.assert_allclose(runner.predict(asked), expected[7:8], rtol=1e-9)
    assert package.compilation.is_proven
    with pytest.raises(InputRefused, match=r"'vector' of row 0.*shape \[5\]"):
        package.spec.signature.parse_rows([{**row, "vector": [1.0]}])


@pytest.mark.parametrize("library", ["sklearn", "lightgbm", "xgboost"])
def test_trees_take_arrays_and_are_compiled(tmp_path: Path, library: str) -> None:
    """Equal to the library's own on the same columns, and the compiled form is proven."""

    def model() -> Any:
        if library == "lightgbm":
            from lightgbm import LGBMRegressor

            return LGBMRegressor(n_estimators=5, num_leaves=7, verbose=-1, n_jobs=1, random_state=0)
        if library == "xgboost":
            from xgboost import XGBRegressor

            return XGBRegressor(n_estimators=5, max_depth=3, n_jobs=1, random_state=0)
        return HistGradientBoostingRegressor(max_iter=5, random_state=0)

    package = finished(tmp_path, model(), people("pandas"))
    expected = model().fit(side_by_side(), USERS).predict(side_by_side())
    np.testing.assert_allclose(score_table(package, people("pandas")), expected, rtol=1e-5)
    assert package.compilation.is_proven, package.compilation.why
    relied = package.profile.importances
    assert set(relied) == {"vector", "age", "pixels"}
    assert relied["vector"] == max(relied.values())
    assert sum(relied.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["array", "pandas"])
def test_a_pipeline_finds_the_numbers_by_name_beside_text(tmp_path: Path, kind: str) -> None:
    """A column transformer, and so a frame; the holdout is spread as well."""
    chosen = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["kind"]), ("passthrough", ["vector.2", "pixels.1.2"])
    )
    table = people(kind, text=True)
    held = table.head(40)
    package = finished(tmp_path, make_pipeline(chosen, LinearRegression()), table, holdout=held)
    assert package.spec.form.kind == ("pandas" if kind == "pandas" else "polars")
    answers = score_table(package, table)
    np.testing.assert_allclose(package.native_runner().predict(score_columns(package, table)), answers, rtol=1e-9)
    wanted = np.column_stack([KINDS == "cat", KINDS == "dog", VECTORS[:, 2], PIXELS[:, 1, 2]]).astype(float)
    np.testing.assert_allclose(answers, LinearRegression().fit(wanted, USERS).predict(wanted), rtol=1e-9)
    assert package.compilation.is_proven, package.compilation.why
    assert package.compilation.proof is not None
    assert (package.compilation.proof.rows_from, package.compilation.proof.rows) == ("holdout", 40)
    assert package.profile.prediction_on == "holdout"


def test_chances_of_classes_from_an_array(tmp_path: Path) -> None:
    """An embedding is classified; several outputs and arrays go together."""
    kinds = np.where(VECTORS[:, 0] > 0.3, "up", np.where(VECTORS[:, 1] > 0, "left", "right"))
    table = pl.DataFrame({"vector": VECTORS, "users": kinds})
    package = finished(tmp_path, LogisticRegression(), table, loss="log_loss")
    expected = LogisticRegression().fit(VECTORS, kinds).predict_proba(VECTORS)
    np.testing.assert_allclose(score_table(package, table), expected, rtol=1e-9)
    assert package.compilation.is_proven


def test_one_that_is_fitted_may_know_the_numbers_names(tmp_path: Path) -> None:
    """All of an array, in their order; a part of one cannot be asked for."""
    model = LinearRegression().fit(side_by_side(), USERS)
    package = finished(tmp_path / "a", model, people())
    assert package.spec.signature.names == ("vector", "age", "pixels")
    np.testing.assert_allclose(score_table(package, people()), model.predict(side_by_side()), rtol=1e-9)
    part = LinearRegression().fit(side_by_side()[["vector.1", "age"]], USERS)
    with pytest.raises(PackageError, match=r"fitted on 'vector.1', which its training table lacks"):
        finished(tmp_path / "b", part, people())


def test_a_number_of_an_array_that_gives_the_target_away_is_refused(tmp_path: Path) -> None:
    """By its name, and with the column to leave out; numbers that are merely alike are not."""
    told = VECTORS.copy()
    told[:, 3] = 2 * USERS + 1
    table = pl.DataFrame({"vector": told, "age": AGES, "users": USERS})
    with pytest.raises(DataRefused, match=r"vector\.3 has correlation 1\.0.*drop=\['vector'\]") as refused:
        finished(tmp_path, LinearRegression(), table)
    assert refused.value.facts["columns"] == ["vector"]


def test_names_that_meet_and_too_many_numbers_are_refused(tmp_path: Path) -> None:
    """Before anything is fitted, and with what to do."""
    table = people().with_columns(pl.col("age").alias("vector.3"))
    with pytest.raises(PackageError, match=r"two columns of the name 'vector.3'.*array 'vector'.*Rename"):
        finished(tmp_path, LinearRegression(), table)
    wide = pl.DataFrame({"picture": np.zeros((4, 101, 100)), "users": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(PackageError, match=r"10,100 columns.*up to 10,000.*torch"):
        finished(tmp_path, LinearRegression(), wide)


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")  # MLflow's own code
def test_mlflow_loads_it_with_its_arrays(tmp_path: Path) -> None:
    """As a python function, which takes the arrays; the estimator itself takes the numbers."""
    package = finished(tmp_path, LinearRegression(), people("pandas"))
    mlflow = pytest.importorskip("mlflow.pyfunc")
    loaded = mlflow.load_model(str(tmp_path / "package"))
    asked = people("pandas").drop(columns="users").head(5)
    np.testing.assert_allclose(loaded.predict(asked), score_table(package, asked), rtol=1e-9)
    assert "kairos-ml" in package.spec.libraries
