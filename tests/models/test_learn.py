"""A model step may learn from other rows than the pipeline gives it: younger ones, weighted ones, those held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kairos.errors import DataRefused, PackageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.frames import read_moments
from kairos.models.learn import Learn, row_weights, takes_weights, younger
from kairos.models.package import Package, open_package
from kairos.models.score import score_table
from tests.models.trainings import LEAKS, OPTIONS, Request, to_pandas
from tests.models.trainings import hours as all_hours

FEATURES = ["hour_of_day", "holiday"]


def hours() -> pl.DataFrame:
    """400 hours without gaps."""
    return all_hours().select("hour", *FEATURES, "users", *LEAKS)


OLD, NEW = hours()[:300], hours()[300:]


def table_of(kind: str, frame: pl.DataFrame) -> Any:
    """The rows as that library has them."""
    return frame if kind == "polars" else to_pandas(frame)


def learnt(folder: Path, learn: Learn, returned: Any, inputs: dict[str, Any], **also: Any) -> Package:
    """The package of a step that learns so; what it was called with is what it is finished with."""
    finisher = FinishModel(settings={"demand": OPTIONS}, learn={"demand": learn})
    assert tuple(finisher.also("demand")) == tuple(also)
    given = finisher.prepare("demand", "users", inputs, also)
    return open_package(finisher(Request(returned=returned, inputs=dict(given), workdir=folder, drop=list(LEAKS))))


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_rows_held_out_are_put_below_the_table(tmp_path: Path, kind: str) -> None:
    """The model is the one that all rows together give, and it knows until when it learned."""
    learn = Learn(artifact="split.holdout")
    package = learnt(
        tmp_path, learn, LinearRegression(), {"train": table_of(kind, OLD)}, **{"split.holdout": table_of(kind, NEW)}
    )
    all_rows = hours()
    assert (package.spec.train_rows, package.spec.train_until) == (400, all_rows["hour"].max())
    expected = LinearRegression().fit(all_rows.select(FEATURES), all_rows["users"])
    np.testing.assert_allclose(score_table(package, all_rows), expected.predict(all_rows.select(FEATURES)), rtol=1e-9)
    assert package.profile.prediction_on == "train"  # it has seen what was held out


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_old_rows_are_left_out(tmp_path: Path, kind: str) -> None:
    """Counted back from the latest row."""
    package = learnt(tmp_path, Learn(days=5.0), LinearRegression(), {"train": table_of(kind, hours())})
    assert package.spec.train_rows == 5 * 24


@pytest.mark.parametrize("kind", ["polars", "pandas"])
def test_old_rows_count_less(tmp_path: Path, kind: str) -> None:
    """As if the estimator had been fitted with these weights."""
    package = learnt(tmp_path, Learn(half_life_days=4.0), LinearRegression(), {"train": table_of(kind, hours())})
    weights = 0.5 ** (np.arange(400)[::-1] / 24 / 4.0)
    expected = LinearRegression().fit(hours().select(FEATURES), hours()["users"], sample_weight=weights)
    np.testing.assert_allclose(score_table(package, hours()), expected.predict(hours().select(FEATURES)), rtol=1e-9)


def test_weights_halve(tmp_path: Path) -> None:
    """The latest row counts 1, one a half-life older a half."""
    weights = row_weights(hours(), "hour", 2.0, step="demand")
    assert weights[-1] == 1.0
    assert weights[-1 - 48] == pytest.approx(0.5)


def test_who_takes_no_weights_says_so(tmp_path: Path) -> None:
    """A pipeline's fit has none, and what is fitted already does not learn again."""
    pipeline = make_pipeline(StandardScaler(), LinearRegression())
    assert not takes_weights(pipeline)
    assert takes_weights(HistGradientBoostingRegressor())
    fitted = LinearRegression().fit(hours().select("hour_of_day"), hours()["users"])
    for estimator, why in ((pipeline, "sample_weight"), (fitted, "fitted already")):
        with pytest.raises(PackageError, match=why):
            learnt(tmp_path / why[:3], Learn(half_life_days=4.0), estimator, {"train": hours()})


def test_what_is_learnt_from_is_part_of_the_name() -> None:
    """Another cut is another computation; none leaves names as they were."""
    plain = FinishModel(settings={"demand": OPTIONS})
    cut = FinishModel(settings={"demand": OPTIONS}, learn={"demand": Learn(days=5.0)})
    assert plain.facts("demand") != cut.facts("demand")
    assert "learn" not in plain.facts("demand")
    assert plain.prepare("demand", "users", {"train": OLD}, {})["train"] is OLD


def test_tables_that_do_not_fit_are_refused() -> None:
    """With the columns that lack, or the library."""
    finisher = FinishModel(settings={"demand": OPTIONS}, learn={"demand": Learn(artifact="split.holdout")})
    for newer, given in ((NEW.drop("holiday"), "without holiday"), (to_pandas(NEW), "a table of pandas")):
        with pytest.raises(DataRefused, match="not like those it learns from") as caught:
            finisher.prepare("demand", "users", {"train": OLD}, {"split.holdout": newer})
        assert caught.value.given == given


def test_without_a_time_nothing_is_young() -> None:
    """The error says what to write."""
    finisher = FinishModel(settings={"demand": ModelOptions()}, learn={"demand": Learn(days=5.0)})
    with pytest.raises(DataRefused, match="has no time"):
        finisher.prepare("demand", "users", {"train": OLD}, {})


@pytest.mark.parametrize("kind", ["polars", "pandas"])
@pytest.mark.parametrize("form", ["zone", "none", "text", "date"])
def test_times_of_any_kind(kind: str, form: str) -> None:
    """With a zone, without, as text, or whole days: two days are kept of ten."""
    at = pl.datetime_range(pl.datetime(2011, 1, 1), pl.datetime(2011, 1, 10), "1d", eager=True)
    series = {
        "zone": at.dt.replace_time_zone("UTC"),
        "none": at,
        "text": at.dt.strftime("%Y-%m-%dT%H:%M"),
        "date": at.dt.date(),
    }[form]
    table = table_of(kind, pl.DataFrame({"hour": series, "x": range(10)}))
    assert list(younger(table, "hour", 2.0)["x"]) == [8, 9]


def test_what_is_no_time_is_refused() -> None:
    """Numbers, words and gaps."""
    for values in ([1, 2], ["now", "then"], [None, "2011-01-01"]):
        with pytest.raises(DataRefused, match="time"):
            read_moments(pl.DataFrame({"hour": values}), "hour")


def test_a_time_that_is_no_column_is_named() -> None:
    """With the columns that there are."""
    with pytest.raises(DataRefused, match=r"no time column 'hour'.*day, users"):
        read_moments(pl.DataFrame({"day": [1], "users": [2]}), "hour")
