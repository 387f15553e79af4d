"""Rows of the bikes example to learn from: numbers, and two texts. The pipelines beside this file begin with it."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from kairos import Window, source, step

DATA = "data/bikes.csv.gz"
WORDS = {"season": "season", "weathersit": "weather"}


class Split(NamedTuple):
    """What to learn from, and later rows to be judged on."""

    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d", files=[DATA])
def rentals(window: Window) -> pl.DataFrame:
    """Whole rows of a window: numbers, and two texts."""
    rows = pl.read_csv(Path(__file__).parent / DATA).with_columns(hour=moment())
    rows = rows.filter(pl.col("hour").is_between(window.start, window.end, closed="left"))
    numbers = {"temperature": "temp", "feels_like": "atemp", "humidity": "hum", "windspeed": "windspeed"}
    return rows.select(
        "hour",
        hour_of_day=pl.col("hour").dt.hour().cast(pl.Float64),
        weekday=pl.col("hour").dt.weekday().cast(pl.Float64),
        month=pl.col("hour").dt.month().cast(pl.Float64),
        day=pl.col("hour").dt.day().cast(pl.Float64),
        **{name: pl.col(column).cast(pl.Float64) for name, column in numbers.items()},
        **{name: pl.col(column) for column, name in WORDS.items()},
        users=pl.col("cnt").cast(pl.Float64),
    ).drop_nulls()


@step
def split(rentals: pl.DataFrame) -> Split:
    """The last 14 days are held out."""
    is_late = pl.col("hour") > pl.col("hour").max() - pl.duration(days=14)
    return Split(train=rentals.filter(~is_late), holdout=rentals.filter(is_late))


def moment() -> pl.Expr:
    """The start of the hour, from ``2011-01-01`` and ``6am``."""
    twelve = pl.col("hr").str.head(-2).cast(pl.Int64) % 12
    hours = twelve + 12 * pl.col("hr").str.ends_with("pm").cast(pl.Int64)
    day = pl.col("dteday").str.to_date("%Y-%m-%d")
    return day.cast(pl.Datetime("us", "UTC")) + pl.duration(hours=hours)
