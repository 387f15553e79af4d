"""How many bicycles will be rented in this hour?

Raw rentals come in window by window, are cleaned and checked, split by time, and a model is fitted. Every function can
be called and tested by itself: ``features(rentals(window))`` gives a table.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor

from kairos import Between, Window, model, source, step

DATA = "data/bikes.csv.gz"
WEEKDAYS = {"Mon": 1, "Tue": 2, "Wed": 3, "Thu": 4, "Fri": 5, "Sat": 6, "Sun": 7}
SEASONS = {"spring": 1, "summer": 2, "fall": 3, "winter": 4}
WEATHERS = {"Clear": 1, "Mist": 2, "Light Rain": 3, "Heavy Rain": 4}
YES_NO = {"No": 0, "Yes": 1}


class Split(NamedTuple):
    """One table to learn from, and a later one to be judged on."""

    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d", files=[DATA])
def rentals(window: Window) -> pl.DataFrame:
    """The raw rows of a window, exactly as they arrived: ``hr`` is text such as ``6am``, and cells are blank."""
    path = Path(__file__).parent / DATA
    return pl.read_csv(path).filter(moment().is_between(window.start, window.end, closed="left"))


@step
def features(rentals: pl.DataFrame, *, keep_parts: bool = False, fahrenheit: bool = False) -> pl.DataFrame:
    """Clean numbers, one row per hour, in the order of time; refuses rows that contradict each other.

    Args:
        rentals: Raw rows.
        keep_parts: Keeps ``casual`` and ``registered``. They add up to the target, so a model that sees them has been
            told the answer: Kairos refuses to train on them. Try it: ``kairos run -p features.keep_parts=true``.
        fahrenheit: A mistake to play with: the model learns from degrees Fahrenheit, and requests come in Celsius. The
            holdout has the same mistake, so no gate can see it; live traffic does.
    """
    refuse_contradictions(rentals)
    degrees = fahrenheit_from if fahrenheit else pl.col
    return rentals.select(
        hour=moment(),
        hour_of_day=hour_of_day(),
        weekday=day().dt.weekday().cast(pl.Int64),  # from the date, because cells are blank; Monday is 1
        workingday=codes("workingday", YES_NO),
        holiday=codes("holiday", YES_NO),
        season=codes("season", SEASONS),
        weather=codes("weathersit", WEATHERS),  # a blank stays missing, because a request may not know it either
        temperature_c=degrees("temp"),
        feels_like_c=degrees("atemp"),
        humidity=pl.col("hum"),
        windspeed=pl.col("windspeed"),
        users=pl.col("cnt"),
        **({"casual": pl.col("casual"), "registered": pl.col("registered")} if keep_parts else {}),
    ).sort("hour")


@step
def split(features: pl.DataFrame, *, holdout_days: int = 14) -> Split:
    """The last ``holdout_days`` days are held out; the model never sees them."""
    is_late = pl.col("hour") > pl.col("hour").max() - pl.duration(days=holdout_days)
    parts = Split(train=features.filter(~is_late), holdout=features.filter(is_late))
    if parts.train.is_empty():
        raise ValueError(f"{len(features)} rows leave nothing to learn from when {holdout_days} days are held out.")
    return parts


@model(target="users", drop=["hour"])
def demand(
    train: pl.DataFrame, *, max_iter: Annotated[int, Between(50, 400, log=True)] = 150, seed: int = 0
) -> HistGradientBoostingRegressor:
    """Trees over calendar and weather; Kairos fits them on ``train`` without the target and the dropped columns.

    How many trees? ``kairos tune demand`` tries some numbers between the two, and judges the best on later rows.
    """
    return HistGradientBoostingRegressor(loss="squared_error", max_iter=max_iter, random_state=seed)


def day() -> pl.Expr:
    """The date of a raw row."""
    return pl.col("dteday").str.to_date("%Y-%m-%d")


def hour_of_day() -> pl.Expr:
    """``12am`` is 0, ``6am`` is 6, ``12pm`` is 12, ``11pm`` is 23."""
    twelve = pl.col("hr").str.head(-2).cast(pl.Int64) % 12
    return twelve + 12 * pl.col("hr").str.ends_with("pm").cast(pl.Int64)


def moment() -> pl.Expr:
    """The start of the hour: Washington's clock, written as UTC, so that every (date, hour) is one moment all year."""
    return day().cast(pl.Datetime("us", "UTC")) + pl.duration(hours=hour_of_day())


def fahrenheit_from(column: str) -> pl.Expr:
    """Degrees Fahrenheit from a column in Celsius."""
    return pl.col(column) * 9 / 5 + 32


def codes(column: str, known: dict[str, int]) -> pl.Expr:
    """Words as numbers; a blank stays missing."""
    return pl.col(column).replace_strict(known, return_dtype=pl.Int64)


def refuse_contradictions(rentals: pl.DataFrame) -> None:
    """Stops the run, and shows the rows, if a word is new, an hour comes twice, a total or a weekday is wrong."""
    words = {"weekday": WEEKDAYS, "season": SEASONS, "weathersit": WEATHERS, "workingday": YES_NO, "holiday": YES_NO}
    checks = {f"have a {column} that is not known": ~pl.col(column).is_in(list(words[column])) for column in words}
    checks |= {
        "occur more than once for the same date and hour": pl.struct("dteday", "hr").is_duplicated(),
        "have casual + registered different from cnt": pl.col("casual") + pl.col("registered") != pl.col("cnt"),
        "name a weekday that is not the date's": codes("weekday", WEEKDAYS) != day().dt.weekday(),
    }
    for complaint, is_wrong in checks.items():
        wrong = rentals.filter(is_wrong)
        if not wrong.is_empty():
            raise ValueError(f"{len(wrong)} rows {complaint}, such as {wrong.head(2).to_dicts()}")
