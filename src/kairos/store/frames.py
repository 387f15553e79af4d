"""Records of the prediction log as tables, built column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from kairos.store.batch import Predictions
from kairos.store.records import INPUT_PREFIX, OUTPUT_PREFIX, EntityLabel, Label, Prediction

__all__ = [
    "ENTITY_LABEL_SCHEMA",
    "LABEL_SCHEMA",
    "LISTED",
    "PREDICTION_SCHEMA",
    "entity_label_frame",
    "label_frame",
    "prediction_frame",
    "predictions_of",
]

_MOMENT = pl.Datetime("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


PREDICTION_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "at": _MOMENT,
    "model": pl.String,
    "version": pl.Int64,
    "role": pl.String,
    "answered": pl.Boolean,
    "share": pl.Float64,
    "key": pl.String,
    "raw": pl.Float64,
    "output": pl.Float64,
    "violation": pl.String,
    "action": pl.String,
    "error": pl.String,
    "latency_us": pl.Int64,
    "about": _MOMENT,
}
"""Columns of every table of predictions; inputs follow as ``in.<name>``, several outputs as ``output.<name>``."""

LISTED = ("list_key", "item_key")
"""Columns of a model that ranks, which come behind them."""

LABEL_SCHEMA: dict[str, Any] = {
    "prediction_id": pl.String,
    "value": pl.Float64,
    "at": _MOMENT,
    "target": pl.String,
    "text": pl.String,
}
"""Columns of every table of labels."""

ENTITY_LABEL_SCHEMA: dict[str, Any] = {
    "model": pl.String,
    "key": pl.String,
    "about": _MOMENT,
    "value": pl.Float64,
    "at": _MOMENT,
    "within_s": pl.Float64,
    "target": pl.String,
    "text": pl.String,
    "list_key": pl.String,
    "item_key": pl.String,
}
"""Columns of every table of labels by entity and time, or by list and item."""


def prediction_frame(predictions: Iterable[Prediction | Predictions]) -> pl.DataFrame:
    """The predictions as a table: ``PREDICTION_SCHEMA`` and a column ``in.<name>`` for each input, sorted by name.

    An input that is a number in one row and text in another becomes text; integers among floats become floats.
    """
    columns = _Columns()
    for each in predictions:
        if isinstance(each, Predictions):
            columns.add_all(each)
        else:
            columns.add(each)
    return columns.frame()


def label_frame(labels: Sequence[Label]) -> pl.DataFrame:
    """The labels as a table of ``LABEL_SCHEMA``, in the order given."""
    base = {name: [getattr(row, name) for row in labels] for name in LABEL_SCHEMA}
    base["at"] = [row.at.astimezone(UTC) for row in labels]
    return pl.DataFrame(base, schema=LABEL_SCHEMA)


def entity_label_frame(labels: Sequence[EntityLabel]) -> pl.DataFrame:
    """The labels as a table of ``ENTITY_LABEL_SCHEMA``, in the order given."""
    base = {name: [getattr(row, name) for row in labels] for name in ENTITY_LABEL_SCHEMA}
    base["at"] = [row.at.astimezone(UTC) for row in labels]
    base["about"] = [None if row.about is None else row.about.astimezone(UTC) for row in labels]
    return pl.DataFrame(base, schema=ENTITY_LABEL_SCHEMA)


def predictions_of(frame: pl.DataFrame) -> list[Prediction]:
    """The rows of a table as predictions. An input that the row did not have reads as ``None``."""
    names = [column for column in frame.columns if column.startswith(INPUT_PREFIX)]
    told = [column for column in frame.columns if column.startswith(OUTPUT_PREFIX)]
    own = [field.name for field in fields(Prediction) if field.name not in ("inputs", "told", *LISTED)]
    own += [name for name in LISTED if name in frame.columns]
    return [
        Prediction(
            **{name: row[name] for name in own},
            inputs={name.removeprefix(INPUT_PREFIX): row[name] for name in names},
            told={name.removeprefix(OUTPUT_PREFIX): row[name] for name in told if row[name] is not None},
        )
        for row in frame.iter_rows(named=True)
    ]


class _Columns:
    """Grows by rows, or by many rows at once."""

    def __init__(self) -> None:
        self._count = 0
        self._base: dict[str, list[Any]] = {name: [] for name in PREDICTION_SCHEMA}
        self._own: dict[str, list[Any]] = {}

    def add(self, row: Prediction) -> None:
        """Adds a row."""
        for name, column in self._base.items():
            column.append(getattr(row, name))
        self._base["at"][-1] = _ticks(row.at)
        self._base["about"][-1] = None if row.about is None else _ticks(row.about)
        for name, value in row.inputs.items():
            self._more(INPUT_PREFIX + name).append(value)
        for name, value in row.told.items():
            self._more(OUTPUT_PREFIX + name).append(value)
        for name in LISTED:
            if (key := getattr(row, name)) is not None:
                self._more(name).append(key)
        self._count += 1

    def add_all(self, rows: Predictions) -> None:
        """Adds rows that were written down together."""
        count, base = len(rows), self._base
        asked: Sequence[int] | None = None if rows.rows == list(range(len(rows.ids))) else rows.rows
        abouts = [None if about is None else _ticks(about) for about in rows.abouts]
        base["id"] += _of(rows.ids, asked)
        base["at"] += [_ticks(rows.at)] * count
        base["model"] += [rows.model] * count
        base["version"] += rows.versions
        base["role"] += rows.roles
        base["answered"] += rows.answered
        base["share"] += [rows.share] * count
        base["key"] += _of(rows.keys, asked)
        base["raw"] += rows.raws
        base["output"] += rows.outputs
        base["violation"] += rows.violations
        base["action"] += rows.actions
        base["error"] += rows.errors
        base["latency_us"] += rows.latencies_us
        base["about"] += _of(abouts, asked)
        for name, values in rows.unpacked().items():
            found = _of(values, asked)
            if name not in rows.sparse or found.count(None) < len(found):
                self._more(INPUT_PREFIX + name).extend(found)
        for name, said in rows.told.items():
            self._more(OUTPUT_PREFIX + name).extend(said)
        for name, keys in zip(LISTED, (rows.lists, rows.items), strict=True):
            if keys.count(None) < len(keys):
                self._more(name).extend(_of(keys, asked))
        self._count += count

    def frame(self) -> pl.DataFrame:
        """All of it."""
        ticks = {"at": pl.Int64, "about": pl.Int64}
        frame = pl.DataFrame(self._base, schema={**PREDICTION_SCHEMA, **ticks})
        moments = [pl.col(name).cast(PREDICTION_SCHEMA[name]) for name in ticks]
        return frame.with_columns(*moments, *(_own_column(name, self._more(name)) for name in sorted(self._own)))

    def _more(self, name: str) -> list[Any]:
        """The values of a column of the model's own in all rows so far; rows that do not have it have none."""
        column = self._own.setdefault(name, [])
        column += [None] * (self._count - len(column))
        return column


def _ticks(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _TICK


def _of(values: Sequence[Any], rows: Sequence[int] | None) -> Sequence[Any]:
    """Values of these rows; ``None``: of all, in their order."""
    return values if rows is None else [values[row] for row in rows]


def _are_stored(values: list[Any]) -> bool:
    """Whether whole numbers, at least one, fit into a column of them."""
    known = [value for value in values if value is not None] if None in values else values
    return bool(min(known) >= -(2**63) and max(known) < 2**63)


def _own_column(column: str, values: list[Any]) -> pl.Series:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pl.Series(column, values, dtype=pl.Null)
    if kinds == {list}:
        return pl.Series(column, values, dtype=pl.List(pl.Float64))
    if kinds == {bool}:
        return pl.Series(column, values, dtype=pl.Boolean)
    if kinds == {int} and _are_stored(values):
        return pl.Series(column, values, dtype=pl.Int64)
    if kinds <= {int, float, bool}:
        return pl.Series(column, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(column, [None if value is None else str(value) for value in values], dtype=pl.String)
