"""Joining features as they were known at a moment: of each key the latest value that was known by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from kairos.errors import DataRefused, UsageError, did_you_mean
from kairos.values import parse_duration

__all__ = ["as_of_join"]

_ROW, _AT, _KNOWN = "__kairos_row", "__kairos_at", "__kairos_known"


def as_of_join(
    rows: pl.DataFrame,
    values: pl.DataFrame,
    *,
    at: str,
    time: str,
    known_at: str | None = None,
    delay: str | timedelta | None = None,
    by: str | Sequence[str] = (),
    tolerance: str | timedelta | None = None,
    suffix: str = "_right",
) -> pl.DataFrame:
    """Each row with the value that was the latest known one at its moment.

    A value has two times: the one that it is about (``time``), and the one from which anybody could know it. Of the
    values about a time up to the row's moment, and known by then, the one about the latest time is taken; of several
    about the same time (a correction), the one that became known last by then. So a day's total that arrives a day
    late, or is corrected a week later, counts from its arrival on: what a model learns is what it will be asked with.

    A value without a time, or that nobody knew yet (a missing ``known_at``), is never taken. A missing key meets none.

    Args:
        rows: What features are joined to; all rows come back, in their order.
        values: The features, one row for each key and time, or several where they were corrected.
        at: Column of ``rows``: the moment of each row, at which the prediction is made.
        time: Column of ``values``: what a value is about.
        known_at: Column of ``values``: when each value became known. Either this or ``delay``.
        delay: How long after ``time`` a value is known, such as ``"1d"``; ``"0s"`` says that it is known at once.
        by: Columns of both tables that have to be equal, such as ``"station"``.
        tolerance: How much older than the row's moment a value's ``time`` may be, such as ``"7d"``; ``None``: any age.
        suffix: Put behind a column of ``values`` whose name is taken.

    Returns:
        ``rows`` with the columns of ``values`` but ``by``; null where nothing was known.

    Raises:
        UsageError: a table is none of Polars, a column is not there, or it is not said when values are known.
        DataRefused: a time is no date or time, the two tables count time differently, or a row lacks its moment.

    Examples:
        >>> from datetime import datetime
        >>> asked = pl.DataFrame({"at": [datetime(2011, 1, 3), datetime(2011, 1, 4)]})
        >>> totals = pl.DataFrame({"day": [datetime(2011, 1, 1), datetime(2011, 1, 2)], "users": [985, 801]})
        >>> as_of_join(asked, totals, at="at", time="day", delay="2d")["users"].to_list()
        [985, 801]
    """
    keys = [by] if isinstance(by, str) else list(by)
    _check_columns(rows, "rows", {"at": [at], "by": keys})
    _check_columns(values, "values", {"time": [time], "by": keys, "known_at": [] if known_at is None else [known_at]})
    if (known_at is None) == (delay is None):
        raise UsageError(
            "An as-of join has to be told when a value became known: exactly one of known_at and delay.",
            given="neither" if known_at is None else "both",
            hint="If values are known at once, say so: delay='0s'.",
        )
    clock = _common_clock(
        {f"rows[{at!r}]": rows.schema[at]}
        | {f"values[{name!r}]": values.schema[name] for name in (time, known_at) if name is not None}
    )
    if rows[at].null_count():
        raise DataRefused(
            f"{rows[at].null_count()} rows have no moment in the column {at!r}.", hint="Drop them before the join."
        )
    happened = pl.col(time).cast(clock)
    known = happened + _length(delay, clock) if known_at is None else pl.col(known_at).cast(clock)
    useful = _superseding(values, keys, happened, known)
    taken = {name: f"{name}{suffix}" for name in values.columns if name not in keys and name in rows.columns}
    clashes = sorted(name for name in taken.values() if name in rows.columns or name in values.columns)
    if clashes:
        raise UsageError("A column of the result would have a name that is taken.", given=", ".join(clashes))
    right = useful.rename(taken)
    left = rows.with_row_index(_ROW).with_columns(pl.col(at).cast(clock).alias(_AT)).sort(_AT, maintain_order=True)
    # Polars takes missing keys for equal to each other: such rows are joined with nothing, and put back.
    has_keys = pl.all_horizontal(pl.col(key).is_not_null() for key in keys) if keys else pl.lit(value=True)
    joined = left.filter(has_keys).join_asof(
        right, on=_AT, by=keys or None, strategy="backward", check_sortedness=False
    )
    joined = pl.concat([joined, left.filter(~has_keys)], how="diagonal").sort(_ROW)
    if tolerance is not None:
        is_near = pl.col(_AT) - pl.col(taken.get(time, time)).cast(clock) <= _length(tolerance, clock)
        columns = [taken.get(name, name) for name in values.columns if name not in keys]
        joined = joined.with_columns(pl.when(is_near).then(pl.col(name)).alias(name) for name in columns)
    return joined.drop(_ROW, _AT)


def _superseding(values: pl.DataFrame, keys: list[str], happened: pl.Expr, known: pl.Expr) -> pl.DataFrame:
    """Values that were the best known ones from some moment on, which is in the column ``_AT``; sorted by it.

    A late value about an earlier time than what is known already never becomes the best one.
    """
    at = pl.max_horizontal(happened, known)  # a value about the future, known before it, counts from that time on
    has_keys = [pl.col(key).is_not_null() for key in keys]
    valid = values.filter(happened.is_not_null(), known.is_not_null(), *has_keys)
    dated = valid.with_columns(at.alias(_AT), known.alias(_KNOWN)).sort(_AT, _KNOWN, maintain_order=True).drop(_KNOWN)
    latest = happened.cum_max()
    return dated.filter(happened == (latest.over(keys) if keys else latest))


def _common_clock(kinds: Mapping[str, pl.DataType]) -> pl.Datetime:
    """The type in which all times can be compared without losing any of their precision.

    Raises:
        DataRefused: one is no time, or some are dates or have a zone and others not.
    """
    given = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    if all(isinstance(kind, pl.Date) for kind in kinds.values()):
        return pl.Datetime("us")
    clocks = [kind for kind in kinds.values() if isinstance(kind, pl.Datetime)]
    if len(clocks) < len(kinds) or len({clock.time_zone for clock in clocks}) > 1:
        raise DataRefused(
            "Times of an as-of join cannot be compared.",
            given=given,
            accepted="dates everywhere, or times with the same zone (or none) everywhere",
            hint="A date beside times hides at which hour it was known. Midnight: pl.col(...).cast(pl.Datetime('us'))",
        )
    unit = max((clock.time_unit for clock in clocks), key=("ms", "us", "ns").index)
    return pl.Datetime(unit, clocks[0].time_zone)


def _check_columns(table: pl.DataFrame, what: str, asked: Mapping[str, Sequence[str]]) -> None:
    if not isinstance(table, pl.DataFrame):
        raise UsageError(
            f"An as-of join takes tables of Polars, and {what!r} is none.",
            given=f"{type(table).__module__}.{type(table).__qualname__}",
            accepted="a polars.DataFrame",
            hint="Of pandas: polars.from_pandas(...); of a LazyFrame: .collect().",
        )
    for argument, names in asked.items():
        for name in names:
            if name not in table.columns:
                raise UsageError(
                    f"An as-of join finds no column {name!r} in {what}, which {argument} names.",
                    accepted=", ".join(table.columns),
                    hint=did_you_mean(name, table.columns),
                )


def _length(length: str | timedelta | None, clock: pl.Datetime) -> pl.Expr:
    """In the clock's own unit: a sum with a coarser one would lose what is finer."""
    whole = parse_duration(length) if isinstance(length, str) else length or timedelta(0)
    return pl.lit(whole, dtype=pl.Duration(clock.time_unit))
