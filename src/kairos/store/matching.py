"""Which predictions a label by entity and time is about. Nothing is guessed: what fits twice is told and not joined.

A label is about every prediction of its entity whose time is the label's: a request that was repeated has the same
truth. Where there is none, and a tolerance is given, it is about the predictions of the one time that is near enough;
two such times make it ambiguous. The time of a prediction is the one that its request named, or else the request's own.
Where lists are ranked a label names an item as well, and is about that one of the entity's rows; or a list and an item,
and is about every prediction of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from kairos.store.frames import LISTED

__all__ = ["ASKED", "TOLD", "Matches", "latest", "match"]

TOLD = ("value", "at", "target", "text")
"""What a label says, and when, whatever it is about."""

_NOBODY = "\0"
"""Stands for the key of requests that named no entity; no key holds this character."""

ASKED = ("id", "at", "about", "key", *LISTED)
"""What has to be known of requests to join labels to them; the last two may be missing."""


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
        requests: Columns ``ASKED``; an id may be there more than once.
        labels: Of ``ENTITY_LABEL_SCHEMA``.
    """
    names_list = pl.col("list_key").is_not_null()
    by_time, by_list = labels.filter(~names_list), labels.filter(names_list)
    if by_list.is_empty():
        return _by_time(requests, labels)
    found = _by_time(requests, by_time)
    known = _in_lists(requests)
    truths = by_list.join(known, on=LISTED, how="inner", maintain_order="left_right")
    return Matches(
        truths=pl.concat([found.truths, truths.select("prediction_id", *TOLD)]),
        ambiguous=found.ambiguous,
        unmatched=pl.concat([found.unmatched, by_list.join(known, on=LISTED, how="anti", maintain_order="left")]),
    )


def _in_lists(requests: pl.DataFrame) -> pl.DataFrame:
    """The predictions of items of lists: columns ``LISTED`` and ``prediction_id``, each once."""
    if not set(LISTED) <= set(requests.columns):
        return pl.DataFrame(schema={**dict.fromkeys(LISTED, pl.String), "prediction_id": pl.String})
    return requests.select(*LISTED, prediction_id="id").drop_nulls().unique(maintain_order=True)


def _by_time(requests: pl.DataFrame, labels: pl.DataFrame) -> Matches:
    who = pl.col("key").fill_null(_NOBODY)
    items = ["item_key"] if labels["item_key"].null_count() < len(labels) else []
    if items and "item_key" not in requests.columns:
        requests = requests.with_columns(item_key=pl.lit(None, dtype=pl.String))
    asked = requests.select(
        "id", *items, key=who, time=pl.coalesce("about", "at").cast(pl.Datetime("us", "UTC"))
    ).unique(maintain_order=True)
    given = labels.with_row_index("row").with_columns(key=who)
    if items:  # of what is ranked, a thing that an entity was shown is somebody of its own
        both = pl.concat_str("key", pl.coalesce("item_key", pl.lit(_NOBODY)), separator=_NOBODY)
        asked, given = asked.with_columns(key=both).drop("item_key"), given.with_columns(key=both)
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
