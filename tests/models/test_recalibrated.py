"""A model put right is a package like any other: read without pickle, served as fast, and known to MLflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from kairos.errors import PackageError
from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.recalibrated import Recalibrated, recalibrated_package
from kairos.models.score import score_table
from kairos.stats.recalibration import Recalibration
from tests.models.test_mlflow_loads import mlflow, request_of
from tests.models.trainings import OPTIONS, finish, hours, one_hot, seasons, to_pandas

__all__ = ["mlflow"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType:UserWarning"
)  # MLflow's own code

UNTIL = datetime(2012, 3, 4, 5, tzinfo=UTC)
BUSY = seasons().select("hour_of_day", "temperature", users=(pl.col("users") > 80).cast(pl.Int64))
LINE = Recalibration(level=40.0, slope=1.5)
ODDS = Recalibration(level=-0.7, slope=1.2, scale="log_odds")
CASES: dict[str, tuple[Any, ModelOptions, Any, Recalibration]] = {
    "trees": (HistGradientBoostingRegressor(max_iter=5), OPTIONS, hours(), LINE),
    "pipeline": (one_hot(), OPTIONS, to_pandas(seasons()), LINE),
    "classifier": (HistGradientBoostingClassifier(max_iter=5), ModelOptions(loss="log_loss"), BUSY, ODDS),
}


def made(folder: Path, case: str) -> tuple[Package, Package, Any, Recalibration]:
    """A package, the same put right, the rows, and how."""
    estimator, options, table, line = CASES[case]
    base = open_package(finish(folder / "made", estimator, options, train=table))
    right = folder / "right"
    recalibrated_package(
        right, base, line, answers=score_table(base, table), train_until=UNTIL, lineage={"base": "demand@1"}
    )
    return base, open_package(right), table, line


@pytest.mark.parametrize("case", CASES)
def test_it_answers_as_the_model_does_put_right(case: str, tmp_path: Path) -> None:
    """The runner's answer is the line of the other runner's, to the last bit; the estimator's own is the same."""
    base, right, table, line = made(tmp_path, case)
    assert right.spec.serialization == "skops"
    expected = line(score_table(base, table))
    np.testing.assert_array_equal(score_table(right, table), expected)
    frame = request_of(table)
    own = getattr(right.estimator(), right.spec.method)(frame)
    np.testing.assert_allclose(own[:, 1] if case == "classifier" else own, expected, rtol=1e-12)


def test_one_row_is_answered_like_many(tmp_path: Path) -> None:
    """The trees inside still walk at once."""
    _, right, table, _ = made(tmp_path, "trees")
    np.testing.assert_array_equal(score_table(right, table.head(1)), score_table(right, table)[:1])
    assert right.native_runner()._trees is not None  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", CASES)
def test_mlflow_predicts_the_same_where_kairos_is_installed(case: str, mlflow: Any, tmp_path: Path) -> None:
    """Our type is on its list of what to trust, and Kairos in its requirements."""
    _, right, table, _ = made(tmp_path, case)
    answer = mlflow.pyfunc.load_model(str(tmp_path / "right")).predict(request_of(table))
    expected = score_table(right, table)
    np.testing.assert_allclose(answer[:, 1] if case == "classifier" else answer, expected, rtol=1e-12)
    assert "kairos-ml==" in (tmp_path / "right" / "requirements.txt").read_text()


def test_it_says_what_it_came_from(tmp_path: Path) -> None:
    """Until when it has learnt, how answers are put right, and what they look like now."""
    base, right, _, line = made(tmp_path, "trees")
    assert right.spec.train_until == UNTIL
    assert right.lineage["recalibration"] == {"base": "demand@1", "level": 40.0, "slope": 1.5, "scale": "plain"}
    assert right.lineage["inputs"] == base.lineage["inputs"]
    assert (right.profile.columns, right.profile.target) == (base.profile.columns, base.profile.target)
    assert base.profile.prediction.mean is not None
    assert right.profile.prediction.mean == pytest.approx(float(line([base.profile.prediction.mean])[0]))


def test_the_same_gives_the_same_bytes(tmp_path: Path) -> None:
    """Made twice."""
    (tmp_path / "b").mkdir()
    for folder in (tmp_path, tmp_path / "b"):
        made(folder, "trees")
    one, two = (folder / "right" / "kairos" / "files.json" for folder in (tmp_path, tmp_path / "b"))
    assert one.read_bytes() == two.read_bytes()


def test_it_is_done_once(tmp_path: Path) -> None:
    """A second line around the first would hide that the model has to learn."""
    _, right, table, line = made(tmp_path, "trees")
    with pytest.raises(PackageError, match="once only"):
        recalibrated_package(
            tmp_path / "again", right, line, answers=score_table(right, table), train_until=UNTIL, lineage={}
        )


def test_numbers_have_no_chances_and_chances_have_classes(tmp_path: Path) -> None:
    """As scikit-learn's own do; and a broken answer stays one."""
    _, right, table, _ = made(tmp_path, "classifier")
    estimator = right.estimator()
    frame = request_of(table)
    np.testing.assert_array_equal(estimator.predict(frame), estimator.predict_proba(frame)[:, 1] >= 0.5)
    with pytest.raises(PackageError, match="no chances"):
        Recalibrated(one_hot()).predict_proba(frame)
    assert np.isnan(ODDS([np.nan])[0])
