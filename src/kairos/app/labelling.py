"""Late truths from a file."""

from __future__ import annotations

import csv
import math
import os
from contextlib import closing
from datetime import datetime
from pathlib import Path

import polars as pl

from kairos.app.project import Project
from kairos.errors import NotFound, UsageError
from kairos.store.records import Label

__all__ = ["take_labels"]


def take_labels(project: Project, path: Path) -> int:
    """Reads ``prediction_id,value`` from a CSV file with a header and keeps all that is new in it, or nothing.

    A file may grow and be taken again and again: a label that is known already, with the same value, is not written
    once more, and so keeps the moment at which it became known.

    Returns:
        How many labels the file has, known or new.

    Raises:
        NotFound: there is no such file.
        UsageError: a column is missing, a line names no prediction, or a value is not a finite number; the line is
            named.
    """
    now = project.clock.now()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not {"prediction_id", "value"} <= set(reader.fieldnames or ()):
                raise UsageError(
                    f"{path.name} has no labels.",
                    given=", ".join(reader.fieldnames or ()) or "an empty file",
                    accepted="a header with prediction_id and value",
                )
            labels = [_label(path, reader.line_num, row, now) for row in reader]
    except FileNotFoundError:
        raise NotFound("There is no such file.", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not text in UTF-8.") from None
    latest = {label.prediction_id: label for label in labels}
    known = project.predictions.labels().filter(pl.col("prediction_id").is_in(list(latest)))
    values = dict(zip(known["prediction_id"].to_list(), known["value"].to_list(), strict=True))
    new = [label for label in latest.values() if values.get(label.prediction_id) != label.value]
    if new:
        with closing(project.predictions.writer(f"labels-{os.getpid()}")) as writer:
            writer.append_labels(new)
    return len(labels)


def _label(path: Path, line: int, row: dict[str, str | None], now: datetime) -> Label:
    prediction_id = row["prediction_id"]
    if prediction_id is None or not prediction_id.strip():  # ``None``: the line is shorter than the header
        raise UsageError(
            f"Line {line} of {path.name} names no prediction.", given=prediction_id, accepted="a prediction_id"
        )
    return Label(prediction_id=prediction_id, value=_number(path, line, row["value"]), at=now)


def _number(path: Path, line: int, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"Line {line} of {path.name} has no value.", given=text, accepted="a finite number")
    return value
