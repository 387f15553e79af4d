"""Late truths from a file."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

from kairos.app.project import Project
from kairos.errors import NotFound, UsageError
from kairos.store.records import Label

__all__ = ["take_labels"]


def take_labels(project: Project, path: Path) -> int:
    """Reads ``prediction_id,value`` from a CSV file with a header and keeps all of it, or nothing.

    Raises:
        NotFound: there is no such file.
        UsageError: a column is missing, or a value is not a finite number; the line is named.
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
            labels = [
                Label(prediction_id=row["prediction_id"], value=_number(path, reader.line_num, row["value"]), at=now)
                for row in reader
            ]
    except FileNotFoundError:
        raise NotFound("There is no such file.", given=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is not text in UTF-8.") from None
    writer = project.predictions.writer(f"labels-{os.getpid()}")
    try:
        writer.append_labels(labels)
    finally:
        writer.close()
    return len(labels)


def _number(path: Path, line: int, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"Line {line} of {path.name} has no value.", given=text, accepted="a finite number")
    return value
