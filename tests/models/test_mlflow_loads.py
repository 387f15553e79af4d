"""MLflow itself loads a package, and predicts from its own form of input what our runner predicts from a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from kairos.models.finish import ModelOptions
from kairos.models.package import open_package
from kairos.models.score import score_table
from tests.models.trainings import LEAKS, OPTIONS, finish, hours, one_hot, seasons, to_pandas

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType:UserWarning"
)  # MLflow's own code

BUSY = seasons().select("hour_of_day", "temperature", users=(pl.col("users") > 80).cast(pl.Int64))
CASES: dict[str, tuple[Any, ModelOptions, Any]] = {
    "trees": (HistGradientBoostingRegressor(max_iter=5), OPTIONS, hours()),
    "pipeline": (one_hot(), OPTIONS, to_pandas(seasons())),
    "classes": (
        HistGradientBoostingClassifier(max_iter=3),
        ModelOptions(loss="log_loss"),
        seasons().select("hour_of_day", "temperature", users=pl.when(pl.col("users") > 80).then(1).otherwise(3)),
    ),
    "classifier": (HistGradientBoostingClassifier(max_iter=5), ModelOptions(loss="log_loss"), BUSY),
}


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The real one; it writes nothing and asks nobody."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    module = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    return module


def request_of(table: Any) -> pd.DataFrame:
    """The features as MLflow's schema asks for them: a whole number that may be missing is a ``double``."""
    frame = table if isinstance(table, pd.DataFrame) else to_pandas(table.drop("hour", *LEAKS, strict=False))
    return frame.drop(columns="users").astype({name: float for name in ("weather",) if name in frame})


@pytest.mark.parametrize("case", CASES)
def test_mlflow_predicts_the_same(case: str, mlflow: Any, tmp_path: Path) -> None:
    """``mlflow.pyfunc.load_model``, which enforces the signature; of two classes it gives both probabilities."""
    estimator, options, table = CASES[case]
    folder = finish(tmp_path / "made", estimator, options, train=table)
    answer = mlflow.pyfunc.load_model(str(folder)).predict(request_of(table))
    expected = score_table(open_package(folder), table)
    np.testing.assert_allclose(answer[:, 1] if case == "classifier" else answer, expected, rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_mlflow_gives_the_estimator_itself(case: str, mlflow: Any, tmp_path: Path) -> None:
    """``mlflow.sklearn.load_model``: it still knows the names of its columns."""
    estimator, options, table = CASES[case]
    folder = finish(tmp_path / "made", estimator, options, train=table)
    loaded = mlflow.sklearn.load_model(str(folder))
    names = list(open_package(folder).spec.signature.names)
    assert list(loaded.feature_names_in_) == names
    answer = getattr(loaded, open_package(folder).spec.method)(table[names])
    expected = score_table(open_package(folder), table)
    np.testing.assert_allclose(answer[:, 1] if case == "classifier" else answer, expected, rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_mlflow_reads_signature_example_and_requirements(case: str, mlflow: Any, tmp_path: Path) -> None:
    """Its own pages show them, and its server accepts the example."""
    estimator, options, table = CASES[case]
    folder = finish(tmp_path / "made", estimator, options, train=table)
    model = mlflow.models.Model.load(str(folder))
    package = open_package(folder)
    assert model.signature.inputs.input_names() == list(package.spec.signature.names)
    example = model.load_input_example(str(folder))
    answer = mlflow.pyfunc.load_model(str(folder)).predict(example)
    expected = package.runner().predict(package.spec.signature.parse_rows([package.example]))
    np.testing.assert_allclose(answer[:, 1] if case == "classifier" else answer, expected, rtol=1e-12)
    requirements = mlflow.pyfunc.get_model_dependencies(str(folder))
    assert "scikit-learn==" in Path(requirements).read_text()
