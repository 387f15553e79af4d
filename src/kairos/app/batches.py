"""What was predicted in batches: kept in files of its own, by the job, so that no monitor takes it for live traffic."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kairos.app.pieces import Piece, said
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.models.arrays import array_text, number_array, to_log
from kairos.models.frames import read_moments
from kairos.models.outputs import leads
from kairos.models.signature import Signature
from kairos.privacy import CapturePolicy
from kairos.store.files import sync_folder
from kairos.store.frames import PREDICTION_SCHEMA, predictions_of
from kairos.store.records import INPUT_PREFIX, Prediction
from kairos.values import VersionRef

__all__ = ["BatchLog", "find_batch_prediction", "id_of", "is_batch_id"]

_ID = re.compile(r"(b[0-9a-f]{16})-(\d+)")


def id_of(job: str, row: int) -> str:
    """The prediction id of a row, 0-based, of a job."""
    return f"{job}-{row}"


def is_batch_id(prediction_id: str) -> bool:
    """Whether it is one of a batch."""
    return _ID.fullmatch(prediction_id) is not None


class BatchLog:
    """Writes what one job predicted, a file a piece, in the form of the prediction log; it is there once it is whole.

    Args:
        project: Where it is kept.
        job: The job's id.
        version: That predicts.
        model: Its settings: which column is the entity, which the time.
        signature: The version's.
        policy: What may be kept of a row.
        at: When the job began.
    """

    def __init__(
        self,
        project: Project,
        job: str,
        *,
        version: VersionRef,
        model: ModelSettings,
        signature: Signature,
        policy: CapturePolicy,
        at: datetime,
    ) -> None:
        self._folder = _folder(project, job)
        self._making = self._folder.with_name(f".{job}.tmp")
        self._making.mkdir(parents=True)
        self._job, self._version, self._model, self._policy, self._at = job, version, model, policy, at
        self._signature = signature

    def write(self, piece: Piece) -> None:
        """Keeps a piece; safe from several threads."""
        frame, first, outputs = piece.frame, piece.first_row, self._signature.outputs
        leading = leads(outputs, piece.outputs)
        made: dict[str, Any] = {
            "id": [id_of(self._job, row) for row in range(first, first + frame.height)],
            "at": self._at,
            "model": self._version.model,
            "version": self._version.number,
            "role": "batch",
            "answered": np.isfinite(leading),
            "share": 1.0,
            "key": self._keys(frame),
            "raw": _number(leads(outputs, piece.raws)),
            "output": _number(leading),
            "violation": piece.violations,
            "action": piece.actions,
            "error": piece.refusals,
            "latency_us": 0,
            "about": self._times(frame),
        }
        kept = {f"{INPUT_PREFIX}{name}": values for name, values in sorted(self._inputs(frame).items())}
        if outputs:
            kept |= {each.replace("prediction.", "output.", 1): v for each, v in said(outputs, piece.outputs).items()}
        rows = pl.DataFrame({name: _column(value, frame.height) for name, value in made.items()})
        rows = rows.cast(pl.Schema(PREDICTION_SCHEMA)).with_columns(**kept)
        rows.write_parquet(self._making / f"{first:012d}.parquet", compression_level=1)

    def finish(self) -> None:
        """Gives what was written its name."""
        sync_folder(self._making)
        self._making.rename(self._folder)
        sync_folder(self._folder.parent)

    def drop(self) -> None:
        """Removes what was written, also after ``finish``: nothing is kept of a job that did not end well."""
        for folder in (self._making, self._folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _inputs(self, frame: pl.DataFrame) -> Mapping[str, pl.Series]:
        kept: dict[str, pl.Series] = {}
        for column in self._signature.columns:
            name = column.name
            if name not in frame.columns or name not in self._policy.keep | self._policy.pseudonymise:
                continue
            values = frame.get_column(name)
            if column.shape:
                lists = [_logged(cell, column.shape) for cell in values.to_list()]
                is_kept = name in self._policy.keep
                told, kind = (lists, pl.List(pl.Float64)) if is_kept else (self._hidden(lists, name), pl.String())
                kept[name] = pl.Series(told, dtype=kind)
            elif name in self._policy.keep:
                kept[name] = values
            else:
                kept[name] = _mapped(values, lambda texts, name=name: self._hidden(texts, name))
        return kept

    def _hidden(self, texts: list[Any], name: str) -> list[Any]:
        [values] = self._policy.apply_columns({name: texts}, [])[0].values()
        return list(values)

    def _keys(self, frame: pl.DataFrame) -> pl.Series | None:
        if self._model.entity is None or self._model.entity not in frame.columns:
            return None
        return _mapped(frame.get_column(self._model.entity), lambda texts: self._policy.apply_columns({}, texts)[1])

    def _times(self, frame: pl.DataFrame) -> Any:
        time = self._model.time
        if time is None or time not in frame.columns or frame.get_column(time).has_nulls():
            return None
        return read_moments(frame, time)


def find_batch_prediction(project: Project, prediction_id: str) -> list[Prediction]:
    """The row of a batch that has this id; empty if there is none, or if its job was not kept."""
    found = _ID.fullmatch(prediction_id)
    if found is None:
        return []
    folder, row = _folder(project, found[1]), int(found[2])
    starts = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    before = [path for path in starts if int(path.stem) <= row]
    if not before:
        return []
    return predictions_of(pl.scan_parquet(before[-1]).slice(row - int(before[-1].stem), 1).collect())


def _logged(cell: Any, shape: tuple[int, ...]) -> list[float] | None:
    """A cell as the log has it; nothing of one that is no array of so many axes."""
    found = number_array(array_text(cell)) if cell is not None else None
    return to_log(found, shape) if found is not None and found.ndim == len(shape) else None


def _folder(project: Project, job: str) -> Path:
    return project.home / "batches" / job


def _number(values: np.ndarray[Any, Any]) -> pl.Series:
    return pl.Series(values).fill_nan(None)


def _column(value: Any, rows: int) -> pl.Series:
    if isinstance(value, pl.Series):
        return value
    if value is None or isinstance(value, (str, int, float, datetime)):
        return pl.repeat(value, rows, eager=True)
    return pl.Series(value, strict=False)


def _mapped(series: pl.Series, change: Any) -> pl.Series:
    """Each different value changed once, as text."""
    texts = series.cast(pl.String)
    different = texts.drop_nulls().unique()
    return texts.replace_strict(different, pl.Series(change(different.to_list()), dtype=pl.String), default=None)
