"""How wrong a package is on the rows that its run held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.packages import holdout_table
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import DataRefused, SettingsError, did_you_mean
from kairos.gates.losses import loss_named
from kairos.models.package import Package
from kairos.models.score import score_table
from kairos.monitor.holdout import HoldoutRows
from kairos.values import Json

__all__ = [
    "HoldoutLosses",
    "answers_on",
    "baseline_losses",
    "check_columns",
    "fresh_rows",
    "guarded",
    "holdout_losses",
    "holdout_rows",
    "known_rows",
    "losses_on",
    "moments",
    "simple_answers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutLosses:
    """Losses of one package and of its simple baseline on the same rows, in order of time if there is a time."""

    own: NDArray[np.float64]
    baseline: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.own)


def holdout_losses(project: Project, model: ModelSettings, package: Package, run: Json) -> HoldoutLosses:
    """The losses on the fresh rows that the package's run held out.

    Args:
        project: Whose store.
        model: Its settings.
        package: Opened.
        run: Body of the run's fact.
    """
    rows = fresh_rows(holdout_table(project, model, run), model, [package])
    return HoldoutLosses(own=losses_on(rows, package, model), baseline=baseline_losses(rows, package, model))


def holdout_rows(project: Project, model: ModelSettings, package: Package, run: Json) -> HoldoutRows:
    """The same rows with what the package says about them, after the output guard, and what was true."""
    rows = fresh_rows(holdout_table(project, model, run), model, [package])
    days = np.arange(len(rows))  # without a time, each row is on its own
    if model.time is not None and model.time in rows.columns:
        days = rows.select(moments(model.time, rows.schema[model.time]).dt.epoch("d")).to_series().to_numpy()
    return HoldoutRows(
        table=rows,
        prediction=answers_on(rows, package, model),
        label=rows[package.spec.target].cast(pl.Float64).to_numpy(),
        days=days.astype(np.int64),
    )


def check_columns(table: pl.DataFrame, model: ModelSettings) -> None:
    """Finds out before a verdict rests on them that the settings name columns which the holdout lacks.

    Raises:
        SettingsError: it lacks the time, the entity, or a column of slices, protected slices or groups.
    """
    named = [("time", name) for name in (model.time,) if name is not None]
    named += [("entity", name) for name in (model.entity,) if name is not None]
    named += [("slices", name) for name in model.gate.slices]
    named += [("gate.protected", name) for name in model.gate.protected]
    named += [("gate.groups", name) for name in model.gate.groups]
    for key, name in named:
        column = name.partition("=")[0] if key == "gate.protected" else name
        if column not in table.columns:
            raise SettingsError(
                f"kairos.toml: model.{model.name}.{key} names no column of the holdout {model.holdout!r}.",
                given=name,
                accepted=", ".join(table.columns),
                hint=did_you_mean(column, table.columns),
            )


def fresh_rows(table: pl.DataFrame, model: ModelSettings, packages: list[Package]) -> pl.DataFrame:
    """The rows with a known truth that none of the packages was trained on, in order of time.

    Freshness is told by time; a table without a time column is taken as it is.

    Raises:
        DataRefused: the table lacks the target, or its time column holds no times.
    """
    target = packages[0].spec.target
    if target not in table.columns:
        raise DataRefused(f"The holdout {model.holdout!r} lacks the target {target!r}.", given=", ".join(table.columns))
    rows = table.filter(pl.col(target).is_not_null())
    if model.time is None or model.time not in table.columns:
        return rows
    at = moments(model.time, table.schema[model.time])
    trained_until = [p.spec.train_until for p in packages if p.spec.train_until is not None]
    try:
        if trained_until:
            rows = rows.filter(at > max(trained_until))
        return rows.sort(at, maintain_order=True)
    except pl.exceptions.PolarsError as error:
        raise DataRefused(
            f"The time column {model.time!r} of the holdout {model.holdout!r} holds something that is no time.",
            given=str(error).partition("\n")[0],
            accepted="dates, times, or text such as '2012-03-03T14:00Z'",
        ) from error


def known_rows(table: pl.DataFrame, package: Package) -> pl.DataFrame:
    """The rows with a known truth, seen or not."""
    return table.filter(pl.col(package.spec.target).is_not_null())


def losses_on(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    """The loss of each row, after the output guard: what a user would have suffered."""
    return loss_named(model.gate.loss)(rows[package.spec.target].to_numpy(), answers_on(rows, package, model))


def baseline_losses(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    """The loss of each row if the simple baseline had answered."""
    return loss_named(model.gate.loss)(rows[package.spec.target].to_numpy(), simple_answers(rows, package))


def answers_on(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    """What the package says of each row, after the output guard."""
    return guarded(score_table(package, rows), model)


def simple_answers(rows: pl.DataFrame, package: Package) -> NDArray[np.float64]:
    """What the simple baseline says of each row; NaN if the package knows none."""
    return np.full(len(rows), np.nan if package.spec.baseline is None else package.spec.baseline)


def guarded(raw: NDArray[np.float64], model: ModelSettings) -> NDArray[np.float64]:
    """Model outputs as they would leave the server; where the guard would refuse, the raw output counts."""
    lower, upper = model.output.lower, model.output.upper
    if model.output.on_violation != "clip" or (lower is None and upper is None):
        return raw
    return np.clip(raw, lower, upper)


def moments(column: str, dtype: pl.DataType) -> pl.Expr:
    """The time column as aware UTC; a time without a zone is UTC, in text as well."""
    if dtype == pl.String:
        return pl.col(column).str.to_datetime(time_unit="us", time_zone="UTC")
    if not dtype.is_temporal():
        raise DataRefused(f"The time column {column!r} of a holdout holds no times.", given=str(dtype))
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
