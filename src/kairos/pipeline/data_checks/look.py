"""Each check of an artifact: a table, and what it is compared with, to a verdict."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from kairos.errors import DataRefused, UsageError, did_you_mean
from kairos.pipeline.data_checks.values import Checked, DataChecks
from kairos.pipeline.diff.columns import moved
from kairos.values import Window, length_words, parse_moment

__all__ = ["look"]

_FEWEST_RUNS = 3
_MOST_KEPT = 10_000
_SAMPLED = 50_000


def look(
    asked: DataChecks,
    table: pl.LazyFrame,
    *,
    until: datetime,
    window: Window,
    past_per_day: Sequence[float],
    reference: pl.LazyFrame | None,
) -> Iterator[Checked]:
    """Makes the checks that are asked for, one after the other.

    Args:
        asked: What.
        table: The artifact.
        until: What ``fresh`` counts from: the end of the window, or now if that is earlier; aware UTC.
        window: Of the run.
        past_per_day: Rows a day of the same artifact in past runs.
        reference: What distributions are compared with, if there is anything.

    Raises:
        DataRefused: a column is not there, or the time column holds no times.
    """
    names = table.collect_schema().names()
    for name in dict.fromkeys([*asked.unique, *asked.columns, *([asked.time] if asked.time else [])]):
        if name not in names:
            raise DataRefused(
                f"The checks of {asked.artifact!r} name a column {name!r} that it lacks.",
                accepted=", ".join(names),
                hint=did_you_mean(name, names),
            )
    rows = int(table.select(pl.len()).collect().item())
    if asked.rows is not None:
        has = f"{asked.artifact} has {rows:,} rows; at least {asked.rows:,} are asked for."
        yield Checked(check="rows", verdict="pass" if rows >= asked.rows else "fail", what=has)
    if asked.volume is not None:
        yield _volume(asked, rows, window, past_per_day)
    if asked.fresh is not None and asked.time is not None:
        yield _fresh(asked, asked.time, asked.fresh, table, until)
    if asked.unique:
        yield _unique(asked, table)
    if asked.distance is not None:
        yield _distance(asked, asked.distance, table, reference)


def _volume(asked: DataChecks, rows: int, window: Window, past: Sequence[float]) -> Checked:
    assert asked.volume is not None
    if len(past) < _FEWEST_RUNS or not window.days:
        said = f"{asked.artifact}: {len(past)} past runs tell how many rows are usual; {_FEWEST_RUNS} are needed."
        return Checked(check="volume", verdict="hold", what=said)
    usual, now = statistics.median(past), rows / window.days
    is_usual = abs(now - usual) <= asked.volume * usual
    said = (
        f"{asked.artifact} has {now:,.4g} rows a day; in {len(past)} past runs the median is {usual:,.4g}, and "
        f"{asked.volume:.0%} more or less is tolerated."
    )
    return Checked(check="volume", verdict="pass" if is_usual else "fail", what=said)


def _fresh(asked: DataChecks, time: str, limit: timedelta, table: pl.LazyFrame, until: datetime) -> Checked:
    newest = table.select(pl.col(time).max()).collect().item()
    if newest is None:
        return Checked(
            check="fresh", verdict="fail", what=f"{asked.artifact} has no time in {time!r}.", columns=(time,)
        )
    try:
        at = newest if isinstance(newest, date) else parse_moment(str(newest))
    except UsageError as error:
        raise DataRefused(
            f"The column {time!r} of {asked.artifact!r} holds no times.", accepted="times, dates, or ISO text"
        ) from error
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=UTC)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    age = until - at
    said = (
        f"The newest row of {asked.artifact} is of {at:%Y-%m-%d %H:%M}, {length_words(max(age, timedelta(0)))} before "
        f"{until:%Y-%m-%d %H:%M}; {length_words(limit)} is tolerated."
    )
    return Checked(check="fresh", verdict="pass" if age <= limit else "fail", what=said, columns=(time,))


def _unique(asked: DataChecks, table: pl.LazyFrame) -> Checked:
    key = list(asked.unique)
    again = table.select(key).collect().is_duplicated()
    rows = int(again.sum())
    words = ", ".join(map(repr, key))
    if not rows:
        said = f"Each row of {asked.artifact} has its own {words}."
        return Checked(check="unique", verdict="pass", what=said, columns=asked.unique)
    place = again.arg_true().head(_MOST_KEPT)
    bad = table.with_row_index("row").filter(pl.col("row").is_in(place.implode())).collect()
    said = f"{rows:,} rows of {asked.artifact} share their {words} with another row."
    return Checked(check="unique", verdict="fail", what=said, columns=asked.unique, rows=rows, bad=bad)


def _distance(asked: DataChecks, limit: float, table: pl.LazyFrame, reference: pl.LazyFrame | None) -> Checked:
    if reference is None:
        return Checked(check="distance", verdict="hold", what=f"{asked.artifact} has nothing to be compared with yet.")
    now, then = _sample(table), _sample(reference)
    columns = [
        name
        for name in asked.columns or now.columns
        if name in then.columns and (name in asked.columns or not now.schema[name].is_temporal()) and name != asked.time
    ]
    found = {name: moved(then[name], now[name], tolerated=limit) for name in columns}
    far = {name: distance for name, (distance, is_far) in found.items() if is_far}
    if not far:
        said = f"No column of {asked.artifact} is proven to be further than {limit:g} from the reference."
        return Checked(check="distance", verdict="pass", what=said, columns=tuple(columns))
    told = ", ".join(f"{name!r} by {distance:.2f}" for name, distance in far.items())
    said = (
        f"Columns of {asked.artifact} are distributed otherwise than in the reference: {told}; {limit:g} is tolerated."
    )
    return Checked(check="distance", verdict="fail", what=said, columns=tuple(far))


def _sample(table: pl.LazyFrame) -> pl.DataFrame:
    rows = int(table.select(pl.len()).collect().item())
    return table.gather_every(max(rows // _SAMPLED, 1)).collect()
