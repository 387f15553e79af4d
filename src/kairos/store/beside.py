"""Labels of one prediction side by side: one is a number, the name of a class, or of several targets a column each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from kairos.store.label_rows import Said
from kairos.store.records import TRUTH_PREFIX

__all__ = ["first_whole", "side_by_side", "told_truth"]


def side_by_side(truths: pl.DataFrame) -> pl.DataFrame:
    """One row for each prediction, in the order of its first label.

    Args:
        truths: Columns ``prediction_id``, ``value``, ``at``, ``target`` and ``text``; one row a prediction and target.

    Returns:
        Columns ``prediction_id``, ``label`` (null where only targets have labels, NaN where it is a name) and
        ``label_at``, the last of them; where there are such, ``label_text`` and ``label.TARGET`` for each target.
    """
    is_whole = truths["target"].is_null()
    whole = truths.filter(is_whole).select("prediction_id", "text", label="value", label_at="at")
    has_names = whole["text"].null_count() < len(whole)
    whole = whole.rename({"text": "label_text"}) if has_names else whole.drop("text")
    if is_whole.all():
        return whole
    parts = truths.filter(~is_whole)
    wide = parts.pivot("target", index="prediction_id", values="value", sort_columns=True)
    wide = wide.rename({name: TRUTH_PREFIX + name for name in wide.columns if name != "prediction_id"})
    ends = parts.group_by("prediction_id").agg(part_at=pl.col("at").max())
    found = whole.join(wide, on="prediction_id", how="full", coalesce=True, maintain_order="left_right")
    found = found.join(ends, on="prediction_id", how="left", maintain_order="left")
    return found.with_columns(label_at=pl.max_horizontal("label_at", "part_at")).drop("part_at")


def first_whole(truths: pl.DataFrame) -> pl.DataFrame:
    """When each prediction first had a label, of several targets of each: columns ``prediction_id`` and ``label_at``.

    Args:
        truths: All labels, later ones too; the targets are those that any of them has.
    """
    firsts = truths.group_by("prediction_id", "target", maintain_order=True).agg(at=pl.col("at").min())
    targets = firsts["target"].n_unique() - int(firsts["target"].null_count() > 0)
    found = firsts.group_by("prediction_id", maintain_order=True).agg(
        label_at=pl.col("at").max(), parts=pl.col("target").count(), whole=pl.col("target").null_count()
    )
    return found.filter((pl.col("whole") > 0) | (pl.col("parts") == targets)).select("prediction_id", "label_at")


def told_truth(row: Mapping[str, Any]) -> Said | None:
    """The truth in a row of ``PredictionLog.labelled``, as it was said; of several targets those that are known."""
    if row.get("label_text") is not None:
        return str(row["label_text"])
    named = {
        name.removeprefix(TRUTH_PREFIX): float(value)
        for name, value in row.items()
        if name.startswith(TRUTH_PREFIX) and value is not None
    }
    return named or (None if row["label"] is None else float(row["label"]))
