"""CatBoost for real: every kind of answer it gives, packaged without pickle, the same again, compiled with proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.score import named_answers, score_table
from tests.models.trainings import LEAKS, Request, hours, to_pandas

catboost = pytest.importorskip("catboost")

FEW: dict[str, Any] = {"iterations": 8, "depth": 3, "verbose": False, "allow_writing_files": False, "thread_count": 1}
TABLE = hours().drop("hour", *LEAKS).drop_nulls()
WORDS = TABLE.with_columns(
    users=pl.when(pl.col("users") < 60).then(pl.lit("few")).when(pl.col("users") > 120).then(pl.lit("many"))
    .otherwise(pl.lit("some"))
)  # fmt: skip
BUSY = TABLE.with_columns(users=(pl.col("users") > 80).cast(pl.Int64))
TWO = TABLE.with_columns(later=pl.col("users").shift(-1).fill_null(50))
LISTS = TABLE.with_columns(users=pl.col("users") // 40, day=pl.int_range(pl.len()) // 24)


def finished(folder: Path, estimator: Any, table: Any, loss: str, **options: Any) -> Package:
    """Packaged by what a step returns, and opened without leave for pickle."""
    targets = ("users", "later") if "later" in table.columns else ()
    given = ModelOptions(loss=loss, target="users", targets=targets, **options)
    return open_package(
        FinishModel(settings={"demand": given})(
            Request(returned=estimator, inputs={"train": table}, workdir=folder, targets=targets)
        )
    )


def check(package: Package, expected: Any, table: Any = TABLE) -> None:
    """Both forms answer as the library does, and the package holds no code."""
    own = np.asarray(expected, dtype=np.float64)
    columns = {name: table[name].to_numpy() for name in package.spec.signature.names}
    assert package.spec.serialization == "skops"
    np.testing.assert_array_equal(package.native_runner().predict(columns), own)
    np.testing.assert_allclose(score_table(package, table), own, rtol=1e-9, atol=1e-12)


def inputs(package: Package, table: Any = TABLE) -> Any:
    """The frame as the library takes it."""
    return to_pandas(table.select(package.spec.signature.names))


def test_a_number_a_row(tmp_path: Path) -> None:
    """With a compiled form that is proven, and the same bytes the second time."""
    first, second = (
        finished(tmp_path / each, catboost.CatBoostRegressor(**FEW), TABLE, "squared_error") for each in "ab"
    )
    model = catboost.CatBoostRegressor(**FEW, random_seed=0).fit(inputs(first), TABLE["users"].to_numpy())
    check(first, model.predict(inputs(first)))
    assert first.compilation.is_proven, first.compilation.why
    assert first.files == second.files


@pytest.mark.parametrize("loss", ["MultiClass", "MultiClassOneVsAll"])
def test_chances_of_classes_with_names(tmp_path: Path, loss: str) -> None:
    """In the order of the names; one against all is answered natively, as its package says."""
    estimator = catboost.CatBoostClassifier(**FEW, loss_function=loss)
    if loss == "MultiClassOneVsAll":
        package = finished(tmp_path, estimator, WORDS, "zero_one")
        assert "not compiled" in str(package.compilation.why)
    else:
        package = finished(tmp_path, estimator, WORDS, "log_loss")
        assert package.compilation.is_proven, package.compilation.why
    model = catboost.CatBoostClassifier(**FEW, loss_function=loss, random_seed=0)
    model.fit(inputs(package), WORDS["users"].to_numpy())
    check(package, model.predict_proba(inputs(package)), WORDS)
    said = named_answers(package, score_table(package, WORDS))
    assert list(said) == ["users", "users.few", "users.many", "users.some"]
    assert said["users"] == model.predict(inputs(package)).ravel().tolist()


def test_a_chance_of_two(tmp_path: Path) -> None:
    """As one number."""
    package = finished(tmp_path, catboost.CatBoostClassifier(**FEW), BUSY, "log_loss")
    model = catboost.CatBoostClassifier(**FEW, random_seed=0).fit(inputs(package), BUSY["users"].to_numpy())
    check(package, model.predict_proba(inputs(package))[:, 1], BUSY)
    assert package.compilation.is_proven, package.compilation.why


def test_several_targets(tmp_path: Path) -> None:
    """By one ensemble of trees, whose leaves have a number for each."""
    package = finished(tmp_path, catboost.CatBoostRegressor(**FEW, loss_function="MultiRMSE"), TWO, "squared_error")
    model = catboost.CatBoostRegressor(**FEW, loss_function="MultiRMSE", random_seed=0)
    model.fit(inputs(package, TWO), TWO.select("users", "later").to_numpy().astype(np.float64))
    check(package, model.predict(inputs(package, TWO)), TWO)
    assert package.compilation.is_proven, package.compilation.why


def test_several_quantiles(tmp_path: Path) -> None:
    """Of one target."""
    loss = "MultiQuantile:alpha=0.1,0.5,0.9"
    package = finished(tmp_path, catboost.CatBoostRegressor(**FEW, loss_function=loss), TABLE, "pinball:0.1,0.5,0.9")
    model = catboost.CatBoostRegressor(**FEW, loss_function=loss, random_seed=0)
    model.fit(inputs(package), TABLE["users"].to_numpy())
    check(package, model.predict(inputs(package)))
    assert package.compilation.is_proven, package.compilation.why
    assert list(named_answers(package, score_table(package, TABLE))) == ["users.q0.1", "users.q0.5", "users.q0.9"]


def test_the_order_of_lists(tmp_path: Path) -> None:
    """The ranker is told its lists as ``group_id``."""
    estimator = catboost.CatBoostRanker(**FEW, loss_function="YetiRank")
    package = finished(tmp_path, estimator, LISTS, "ndcg:5", rank_within="day")
    model = catboost.CatBoostRanker(**FEW, loss_function="YetiRank", random_seed=0)
    model.fit(inputs(package), LISTS["users"].to_numpy(), group_id=LISTS["day"].to_numpy())
    check(package, model.predict(inputs(package)), LISTS)
    assert package.compilation.is_proven, package.compilation.why


def test_native_categories_are_kept(tmp_path: Path) -> None:
    """From a pandas table whose text CatBoost takes itself; that form is native."""
    table = to_pandas(TABLE).assign(weather=["rain" if each > 2 else "sun" for each in TABLE["weather"]])
    package = finished(tmp_path, catboost.CatBoostRegressor(**FEW, cat_features=["weather"]), table, "squared_error")
    frame = table[list(package.spec.signature.names)]
    model = catboost.CatBoostRegressor(**FEW, cat_features=["weather"], random_seed=0).fit(frame, table["users"])
    np.testing.assert_array_equal(score_table(package, table), model.predict(frame))
    assert "which are not compiled" in str(package.compilation.why)


def test_arrays_are_spread_over_columns(tmp_path: Path) -> None:
    """Each number of an embedding is a column, by the name that follows from it; the compiled form is proven."""
    vectors = np.random.default_rng(0).normal(size=(len(TABLE), 6))
    table = TABLE.select("temperature", "users").with_columns(vector=vectors)
    package = finished(tmp_path, catboost.CatBoostRegressor(**FEW, random_seed=0), table, "squared_error")
    flat = to_pandas(table.select("temperature", *(pl.Series(f"vector.{at}", vectors[:, at]) for at in range(6))))
    own = catboost.CatBoostRegressor(**FEW, random_seed=0).fit(flat, table["users"].to_numpy())
    np.testing.assert_allclose(score_table(package, table), own.predict(flat), rtol=1e-9)
    assert package.compilation.is_proven, package.compilation.why
    assert set(package.profile.importances) == {"temperature", "vector"}
