"""The bikes pipeline: its functions are plain functions, so they are tested as such, on the real data."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from kairos.examples.bikes import pipeline
from kairos.values import Window

FEATURES = [
    "hour_of_day", "weekday", "workingday", "holiday", "season", "weather",
    "temperature_c", "feels_like_c", "humidity", "windspeed",
]  # fmt: skip
ALL = Window.parse("2011-01-01..2012-12-31")


def between(table: pl.DataFrame, text: str) -> pl.DataFrame:
    window = Window.parse(text)
    return table.filter(pl.col("hour").is_between(window.start, window.end, closed="left"))


@pytest.fixture(scope="module")
def raw() -> pl.DataFrame:
    return pipeline.rentals(ALL)


@pytest.fixture(scope="module")
def clean(raw: pl.DataFrame) -> pl.DataFrame:
    return pipeline.features(raw)


def test_rentals_gives_the_rows_of_the_window_and_no_others() -> None:
    """The start belongs to a window and the end does not."""
    window = Window(datetime(2011, 1, 1, 6, tzinfo=UTC), datetime(2011, 1, 1, 9, tzinfo=UTC))
    assert pipeline.rentals(window)["hr"].to_list() == ["6am", "7am", "8am"]


def test_adjoining_windows_add_up_to_the_whole(raw: pl.DataFrame) -> None:
    """Pulled week by week, no row is lost or doubled, and the types are the same, even where a window is empty."""
    weeks = [pipeline.rentals(week) for week in Window.parse("2011-12-20..2012-01-20").split(timedelta(days=7))]
    assert len(weeks) > 4
    whole = pipeline.rentals(Window.parse("2011-12-20..2012-01-20"))
    assert pl.concat(weeks).equals(whole)
    empty = pipeline.rentals(Window.parse("2013-05-01..2013-05-07"))
    assert empty.is_empty()
    assert empty.schema == raw.schema


def test_features_has_the_promised_columns_in_the_order_of_time(clean: pl.DataFrame) -> None:
    """Time first, then numbers, then the target; nothing that adds up to the target."""
    assert clean.columns == ["hour", *FEATURES, "users"]
    assert clean.schema["hour"] == pl.Datetime("us", "UTC")
    assert all(clean.schema[name].is_numeric() for name in [*FEATURES, "users"])
    assert clean["hour"].is_sorted()
    assert clean["hour"].is_unique().all()
    assert clean["users"].sum() == 3_292_679


def test_the_hour_is_read_from_words(clean: pl.DataFrame) -> None:
    """``12am`` is midnight and ``12pm`` is noon, the two that are easy to get wrong."""
    assert clean["hour_of_day"].equals(clean["hour"].dt.hour().cast(pl.Int64).alias("hour_of_day"))
    words = pl.DataFrame({"hr": ["12am", "1am", "11am", "12pm", "1pm", "11pm"]})
    assert words.select(pipeline.hour_of_day()).to_series().to_list() == [0, 1, 11, 12, 13, 23]


def test_blank_weekdays_are_taken_from_the_date(raw: pl.DataFrame, clean: pl.DataFrame) -> None:
    """875 are blank when they arrive, none afterwards."""
    assert raw["weekday"].null_count() == 875
    assert clean["weekday"].null_count() == 0
    assert clean.row(0, named=True)["weekday"] == 6  # 1 January 2011 was a Saturday


def test_blank_weather_stays_missing(clean: pl.DataFrame) -> None:
    """It is not known, and the model is told so; the codes are the source's, from clear to heavy rain."""
    assert clean["weather"].null_count() == 1_258
    assert sorted(clean["weather"].drop_nulls().unique()) == [1, 2, 3, 4]


def test_the_parts_of_the_target_are_there_only_on_request(raw: pl.DataFrame) -> None:
    """``keep_parts`` shows what leakage looks like: the two add up to the target exactly."""
    leaky = pipeline.features(raw, keep_parts=True)
    assert set(leaky.columns) == {"hour", *FEATURES, "users", "casual", "registered"}
    assert (leaky["casual"] + leaky["registered"]).equals(leaky["users"], check_names=False)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda raw: pl.concat([raw, raw.head(1)]), "2 rows occur more than once for the same date and hour"),
        (lambda raw: raw.with_columns(cnt=pl.col("cnt") + (pl.col("hr") == "3am")), "1 rows have casual + registered"),
        (lambda raw: raw.with_columns(weekday=pl.lit("Mon")), "24 rows name a weekday that is not the date's"),
        (lambda raw: raw.with_columns(weekday=pl.lit("Lun")), "24 rows have a weekday that is not known"),
        (lambda raw: raw.with_columns(season=pl.lit("monsoon")), "24 rows have a season that is not known"),
    ],
)
def test_rows_that_contradict_each_other_stop_the_run(spoil: object, complaint: str) -> None:
    """The message counts the rows and shows some."""
    assert callable(spoil)
    raw = pipeline.rentals(Window.parse("2011-01-01..2011-01-01"))
    with pytest.raises(ValueError, match=re.escape(complaint) + r".*'dteday': '2011-01-01'"):
        pipeline.features(spoil(raw))


def test_split_holds_out_the_last_days(clean: pl.DataFrame) -> None:
    """Every row is on one side, and everything held out is later than everything learnt from."""
    parts = pipeline.split(between(clean, "2011-01-01..2011-06-30"), holdout_days=14)
    assert len(parts.train) + len(parts.holdout) == len(between(clean, "2011-01-01..2011-06-30"))
    assert len(parts.holdout) == 14 * 24
    assert parts.holdout["hour"].min() == datetime(2011, 6, 17, tzinfo=UTC)
    assert parts.train["hour"].max() == datetime(2011, 6, 16, 23, tzinfo=UTC)


def test_split_refuses_to_leave_nothing_to_learn_from(clean: pl.DataFrame) -> None:
    """Ten days of data cannot give fourteen days of holdout."""
    with pytest.raises(ValueError, match="nothing to learn from"):
        pipeline.split(between(clean, "2011-01-01..2011-01-10"))


def test_demand_is_an_unfitted_model_with_the_given_seed(clean: pl.DataFrame) -> None:
    """Params and seed reach the estimator."""
    estimator = pipeline.demand(clean, max_iter=7, seed=3)
    assert (estimator.max_iter, estimator.random_state, estimator.loss) == (7, 3, "squared_error")
    assert not hasattr(estimator, "n_iter_")


def test_the_world_changes_in_2012(clean: pl.DataFrame) -> None:
    """A model of 2011 misses 2012 by over 80 users an hour, nearly all of it in one direction, and predicts below 0."""
    year = between(clean, "2011-01-01..2011-12-31")
    later = between(clean, "2012-01-01..2012-12-31")
    with threadpool_limits(1):
        predicted = pipeline.demand(year).fit(year.select(FEATURES), year["users"]).predict(later.select(FEATURES))
    error = predicted - later["users"].to_numpy()
    assert np.abs(error).mean() > 80
    assert error.mean() < -75
    assert predicted.min() < 0


def test_the_settings_name_what_the_pipeline_defines(clean: pl.DataFrame) -> None:
    """Steps, columns and the holdout in ``kairos.toml`` exist, and its first window is in the data."""
    settings = tomllib.loads((Path(pipeline.__file__).parent / "kairos.toml").read_text())
    demand = settings["model"]["demand"]
    assert callable(getattr(pipeline, demand["step"]))
    step, field = demand["holdout"].split(".")
    assert callable(getattr(pipeline, step))
    assert field in pipeline.Split._fields
    assert {demand["target"], demand["time"], *demand["slices"]} <= set(clean.columns)
    assert callable(getattr(pipeline, settings["replay"]["rows"]))
    assert not between(clean, settings["project"]["window"]).is_empty()
