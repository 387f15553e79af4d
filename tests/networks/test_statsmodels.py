"""A library that neither Kairos nor scikit-learn knows: statsmodels, whose results predict from formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import named_answers, score_table
from tests.models.trainings import Request, finish, seasons, to_pandas

ALLOWED = ModelOptions(allow_pickle=True)
FRAME = to_pandas(seasons())


@pytest.fixture(scope="module")
def line() -> Any:
    """Fitted with a formula, text among its columns."""
    formulas = pytest.importorskip("statsmodels.formula.api")
    return formulas.ols("users ~ hour_of_day + temperature + C(season)", FRAME).fit()


def packaged(folder: Path, returned: Any, table: Any) -> Package:
    """Finished and opened with leave."""
    return open_package(finish(folder, returned, ALLOWED, train=table), allow_pickle=True)


@pytest.mark.parametrize("table", [seasons(), FRAME], ids=["polars", "pandas"])
def test_results_are_packaged_as_they_are(tmp_path: Path, line: Any, table: Any) -> None:
    """From a table of either library; what is needed to load them is named."""
    package = packaged(tmp_path, line, table)
    np.testing.assert_array_equal(score_table(package, table), np.asarray(line.predict(FRAME)))
    assert "statsmodels" in package.spec.libraries


def test_a_folder_that_mlflow_saved_is_packaged(tmp_path: Path, line: Any) -> None:
    """In the flavour that MLflow has for them."""
    import mlflow.statsmodels as flavour

    import kairos.models.pyfunc_model  # noqa: F401 - MLflow is loaded there, without its warnings

    flavour.save_model(line, str(tmp_path / "saved"), pip_requirements=["statsmodels"])
    package = packaged(tmp_path / "made", tmp_path / "saved", seasons())
    np.testing.assert_array_equal(score_table(package, seasons()), np.asarray(line.predict(FRAME)))
    assert "statsmodels" in package.spec.libraries


class Ahead:
    """Three steps ahead, each by a regression of statsmodels with its own errors."""

    def __init__(self, table: Any, steps: list[str]) -> None:
        formulas = pytest.importorskip("statsmodels.formula.api")
        self.lines = {
            each: formulas.ols(f"{each} ~ hour_of_day + temperature + C(season)", table).fit() for each in steps
        }

    def predict(self, table: Any) -> Any:
        """A column for each step."""
        import pandas as pd

        return pd.DataFrame({each: line.predict(table) for each, line in self.lines.items()})


def test_steps_ahead_by_results_of_statsmodels(tmp_path: Path) -> None:
    """An object of the project with ``predict`` answers with all steps, by their names."""
    import polars as pl

    steps = ["h1", "h2", "h3"]
    table = seasons().with_columns(
        pl.col("users").shift(-at).fill_null(60).alias(name) for at, name in enumerate(steps, 1)
    )
    frame = to_pandas(table)
    model = Ahead(frame, steps)
    options = ModelOptions(allow_pickle=True, target="h1", targets=tuple(steps), loss="squared_error", drop=("users",))
    folder = FinishModel(settings={"demand": options})(
        Request(returned=model, inputs={"train": table}, workdir=tmp_path, targets=steps, target="h1")
    )
    package = open_package(folder, allow_pickle=True)
    said = named_answers(package, score_table(package, table))
    assert list(said) == steps
    for name in steps:
        np.testing.assert_allclose(said[name], model.lines[name].predict(frame), rtol=1e-12)
