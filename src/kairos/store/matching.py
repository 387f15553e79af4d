"""Which predictions a label by entity and time is about. Nothing is guessed: what fits twice is told and not joined.

A label is about every prediction of its entity whose time is the label's: a request that was repeated has the same
truth. Where there is none, and a tolerance is given, it is about the predictions of the one time that is near enough;
two such times make it ambiguous. The time of a prediction is the one that its request named, or else the request's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["TOLD", "Matches", "latest", "match"]

TOLD = ("value", "at", "target", "text")
"""What a label says, and when, whatever it is about."""

_NOBODY = "\0"
"""Stands for the key of requests that named no entity; no key holds this character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What became of labels by entity and time."""

    truths: pl.DataFrame
    """Columns ``prediction_id`` and ``TOLD``, in the order in which the labels were given."""
    ambiguous: pl.DataFrame
    """Labels that are near predictions of more than one time."""
    unmatched: pl.DataFrame
    """Labels that are near no prediction."""


def match(requests: pl.DataFrame, labels: pl.DataFrame) -> Matches:
    """Joins labels of one model to its predictions.

    Args:
        requests: Columns ``id``, ``at``, ``about``, ``key``; an id may be there more than once.
        labels: Of ``ENTITY_LABEL_SCHEMA``.
    """
    asked = requests.select(
        "id", key=pl.col("key").fill_null(_NOBODY), time=pl.coalesce("about", "at").cast(pl.Datetime("us", "UTC"))
    ).unique(maintain_order=True)
    given = labels.with_row_index("row").with_columns(key=pl.col("key").fill_null(_NOBODY))
    times = (
        asked.select("key", "time").unique().sort("key", "time").with_columns(place=pl.int_range(pl.len()).over("key"))
    )
    reach = pl.duration(microseconds=(pl.col("within_s") * 1e6).cast(pl.Int64))
    exact = given.join(times.select("key", about="time"), on=["key", "about"], how="semi")
    others = given.join(exact, on="row", how="anti").with_columns(
        low=pl.col("about") - reach, high=pl.col("about") + reach
    )
    near = _nearest(others, times, "low", "forward", "first")
    near = _nearest(near, times, "high", "backward", "last")
    count = (pl.col("place_last") - pl.col("place_first") + 1).fill_null(0)
    chosen = pl.concat([exact.select("row", "key", *TOLD, time="about"), _one_time(near.filter(count == 1))])
    truths = chosen.join(asked, on=["key", "time"], how="inner").sort("row", "id")
    return Matches(
        truths=truths.select(*TOLD, prediction_id="id").select("prediction_id", *TOLD),
        ambiguous=_back(near.filter(count > 1), labels),
        unmatched=_back(near.filter(count < 1), labels),
    )


def latest(labels: pl.DataFrame, at: str) -> pl.DataFrame:
    """Of the labels of a prediction and target the one with the latest ``at``, of equal ones the one appended later."""
    return labels.sort(at, maintain_order=True).unique(["prediction_id", "target"], keep="last", maintain_order=True)


def _nearest(labels: pl.DataFrame, times: pl.DataFrame, on: str, strategy: str, name: str) -> pl.DataFrame:
    """The first time of the same key from ``on`` on, or the last one up to it, and its place among the key's times."""
    right = times.rename({"time": f"time_{name}", "place": f"place_{name}"}).sort(f"time_{name}")
    return labels.sort(on).join_asof(
        right,
        left_on=on,
        right_on=f"time_{name}",
        by="key",
        strategy=strategy,  # type: ignore[arg-type]
        check_sortedness=False,
    )


def _one_time(near: pl.DataFrame) -> pl.DataFrame:
    return near.select("row", "key", *TOLD, time="time_first")


def _back(rows: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """The labels as they were given."""
    return (
        labels.with_row_index("row").join(rows.select("row"), on="row", how="semi", maintain_order="left").drop("row")
    )
