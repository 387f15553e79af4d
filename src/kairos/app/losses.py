"""How wrong a package is on the rows that its run held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.packages import holdout_table
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import DataRefused, SettingsError, did_you_mean
from kairos.gates.lists import Lists
from kairos.gates.losses import loss_named
from kairos.models.goals import lead_truth, truth_of
from kairos.models.outputs import leads
from kairos.models.package import Package
from kairos.models.ranked import list_keys
from kairos.models.score import score_table
from kairos.monitor.holdout import HoldoutRows
from kairos.values import Json

__all__ = [
    "answers_on",
    "check_columns",
    "fresh_rows",
    "guarded",
    "holdout_rows",
    "known_rows",
    "lists_in",
    "losses_on",
    "moments",
    "simple_answers",
    "truth_on",
]


def holdout_rows(project: Project, model: ModelSettings, package: Package, run: Json) -> HoldoutRows:
    """The fresh rows that the package's run held out, with what it says of them after the output guard, and the truth.

    Both are the leads; of several outputs all numbers and their losses are there, too. Of what ranks, row by row.
    """
    rows = fresh_rows(holdout_table(project, model, run), model, [package])
    days = np.arange(len(rows))  # without a time, each row is on its own
    if model.time is not None and model.time in rows.columns:
        days = rows.select(moments(model.time, rows.schema[model.time]).dt.epoch("d")).to_series().to_numpy()
    outputs, answers, truth = (
        package.spec.signature.outputs,
        _row_answers(rows, package, model),
        _row_truth(rows, package),
    )
    return HoldoutRows(
        table=rows,
        prediction=leads(outputs, answers),
        label=lead_truth(truth, outputs),
        days=days.astype(np.int64),
        answers=answers if outputs else None,
        losses=loss_named(model.gate.loss)(truth, answers) if outputs else None,
        usual_errors=_usual_errors(package.spec.targets, truth, answers),
    )


def _usual_errors(targets: Sequence[str], truth: NDArray[Any], answers: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(np.abs(answers[:, at] - truth[:, at]).mean()) for at, name in enumerate(targets) if len(truth)}


def check_columns(table: pl.DataFrame, model: ModelSettings) -> None:
    """Finds out before a verdict rests on them that the settings name columns which the holdout lacks.

    Raises:
        SettingsError: it lacks the time, the entity, or a column of slices, protected slices or groups.
    """
    named = [("time", name) for name in (model.time,) if name is not None]
    named += [("entity", name) for name in (model.entity,) if name is not None]
    named += [("rank_within", name) for name in (model.rank_within,) if name is not None]
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
    targets = packages[0].spec.goals
    for target in targets:
        if target not in table.columns:
            given = ", ".join(table.columns)
            raise DataRefused(f"The holdout {model.holdout!r} lacks the target {target!r}.", given=given)
    rows = known_rows(table, packages[0])
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
    """The rows with a known truth, seen or not; of a model that ranks those of lists which tell of an order."""
    rows = table.drop_nulls(list(package.spec.goals))
    lists = lists_in(rows, package)
    return rows if lists is None else rows.filter(pl.Series(lists.telling(_row_truth(rows, package)), dtype=pl.Boolean))


def losses_on(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    """The loss of each row, after the output guard: what a user would have suffered."""
    return loss_named(model.gate.loss)(truth_on(rows, package), answers_on(rows, package, model))


def truth_on(rows: pl.DataFrame, package: Package) -> NDArray[Any]:
    """What was true of each row, or of each list, as a loss takes it beside the package's answers."""
    truth = _row_truth(rows, package)
    lists = lists_in(rows, package)
    return truth if lists is None else lists.padded(truth, np.nan)


def answers_on(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    """What the package says of each row, or of each list, after the output guard."""
    answers = _row_answers(rows, package, model)
    lists = lists_in(rows, package)
    return answers if lists is None else lists.padded(answers, 0.0)


def lists_in(rows: pl.DataFrame, package: Package) -> Lists | None:
    """Which rows are ranked together; ``None``: none are.

    Raises:
        DataRefused: the table lacks the column of lists, or it is missing in a row.
    """
    name = package.spec.rank_within
    if name is None:
        return None
    if name not in rows.columns:
        raise DataRefused(f"A table lacks the column {name!r}, which says what is ranked together.")
    return Lists.of(list_keys(rows, name))


def _row_truth(rows: pl.DataFrame, package: Package) -> NDArray[Any]:
    return truth_of(rows, package.spec.goals, package.spec.signature.outputs)


def _row_answers(rows: pl.DataFrame, package: Package, model: ModelSettings) -> NDArray[np.float64]:
    answers = score_table(package, rows)
    first = package.spec.signature.outputs[:1]
    return answers if first and first[0].kind == "class" else guarded(answers, model)


def simple_answers(rows: pl.DataFrame, package: Package) -> NDArray[np.float64]:
    """What the simple baseline says of each row, or of each list; NaN if the package knows none."""
    lists = lists_in(rows, package)
    if lists is not None:  # one score for all
        return np.zeros((len(lists.sizes), int(lists.sizes.max(initial=0))))
    if package.spec.baselines:
        return np.tile(np.array(package.spec.baselines), (len(rows), 1))
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
