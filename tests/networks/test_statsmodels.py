"""A library that neither Kairos nor scikit-learn knows: statsmodels, whose results predict from formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import score_table
from tests.models.trainings import finish, seasons, to_pandas

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
