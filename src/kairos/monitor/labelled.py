"""Rows of the prediction log with what was true, or what counts as true where nobody says it."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from kairos.monitor.forms import AnswerForm
from kairos.monitor.policy import Unlabelled
from kairos.store.predictions import PredictionLog
from kairos.values import Window

__all__ = ["counts_as_negative", "labelled_rows"]


def labelled_rows(
    log: PredictionLog,
    model: str,
    window: Window,
    *,
    as_of: datetime,
    form: AnswerForm,
    unlabelled: Unlabelled,
    within: timedelta | None = None,
) -> pl.DataFrame:
    """As ``PredictionLog.labelled``; where a row without a label counts as negative, these too, with the label 0.

    So rows whose labels may still come are among them: look at mature days alone.

    Args:
        log: Of predictions and labels.
        model: The model's name.
        window: Which predictions to give.
        as_of: Labels that arrived later are not looked at.
        form: What the model answers with.
        unlabelled: What a row counts as that has no label.
        within: How long after its day a label is still taken; ``None``: for ever.
    """
    rows = log.labelled(model, window, as_of=as_of, within=within)
    if not counts_as_negative(unlabelled, form):
        return rows
    every = log.predictions(model, window).with_columns(label=pl.lit(0.0))
    none = every.join(rows.select("id"), on="id", how="anti", maintain_order="left")
    return pl.concat([rows, none], how="diagonal_relaxed").sort("at", "id", "version")


def counts_as_negative(unlabelled: Unlabelled, form: AnswerForm) -> bool:
    """Whether a row without a label has the label 0; of several outputs no number says that."""
    return unlabelled == "negative" and not form.outputs
