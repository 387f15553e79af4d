"""A package over a table, and the simplest model that it is compared with."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from kairos.errors import PackageError
from kairos.models.baseline import simple_baseline
from kairos.models.package import Package
from kairos.models.score import score_table
from tests.models.trainings import finished, hours, to_pandas


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Trees over the bikes' columns."""
    return finished(tmp_path_factory.mktemp("made"), HistGradientBoostingRegressor(max_iter=5), train=hours())


def test_columns_beside_the_signature_are_left_aside(package: Package) -> None:
    """And their order does not matter; both frame libraries alike."""
    table = hours(seed=5)
    expected = score_table(package, table.select(package.spec.signature.names))
    np.testing.assert_array_equal(score_table(package, table.select(reversed(table.columns))), expected)
    np.testing.assert_array_equal(score_table(package, to_pandas(table.drop("hour"))), expected)


def test_a_table_gives_what_requests_give(package: Package) -> None:
    """Row by row, from JSON."""
    table = hours(seed=5).select(package.spec.signature.names).head(20)
    rows = table.to_dicts()
    runner, signature = package.runner(), package.spec.signature
    answers = [runner.predict(signature.parse_rows([row]))[0] for row in rows]
    np.testing.assert_array_equal(answers, score_table(package, table))


def test_no_rows_give_no_predictions(package: Package) -> None:
    """An empty holdout is not an error."""
    assert score_table(package, hours().head(0)).shape == (0,)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (hours().rename({"temperature": "temprature"}), "lacks the column 'temperature'.*Did you mean 'temprature'"),
        (hours().with_columns(pl.col("temperature").cast(pl.String)), "'temperature'.*as another kind"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(package: Package, table: pl.DataFrame, words: str) -> None:
    """Naming the column."""
    with pytest.raises(PackageError, match=words):
        score_table(package, table)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("absolute_error", 2.0), ("squared_error", 3.0), ("zero_one", 1.0), ("log_loss", 3.0), ("brier", 3.0)],
)
def test_the_simple_baseline_is_the_best_constant(loss: str, expected: float) -> None:
    """Median, mean, the smallest of the most frequent values, share of ones."""
    assert simple_baseline(np.array([1.0, 1.0, 2.0, 2.0, 9.0]), loss) == expected


def test_an_unknown_loss_has_no_baseline() -> None:
    """The error says which have one."""
    with pytest.raises(PackageError, match="absolute_error, squared_error, log_loss, brier, zero_one"):
        simple_baseline(np.ones(3), "hinge")
