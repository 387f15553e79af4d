"""From what a ``@model`` step returned to a fitted estimator and its training data, without columns that leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import has_fit_parameter

from kairos.errors import DataRefused, PackageError, UsageError, did_you_mean
from kairos.gates.lists import Lists
from kairos.models.estimators import is_fitted, is_of, last_step
from kairos.models.foreign import Untried
from kairos.models.frames import FrameColumn, FrameKind, as_pandas, column_names, frame_kind, read_column, select
from kairos.models.goals import read_goal
from kairos.models.leaks import refuse_leaks
from kairos.models.outputs import Output
from kairos.models.ranked import told_lists
from kairos.models.spread import gathered
from kairos.models.taken import check_askable, check_taken
from kairos.values import parse_moment

__all__ = ["TrainingData", "fit", "latest_time", "training_data", "training_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """The rows that a model is trained on."""

    kind: FrameKind
    features: Any
    """The frame with the features only, in the order of training."""
    columns: dict[str, FrameColumn]
    """The same, as plain arrays."""
    target: np.ndarray[Any, Any]
    """Shape (n,), or (n, targets), float64, finite; of a class its places."""
    outputs: tuple[Output, ...] = ()
    """What is to answer; none: one number a row."""

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The features as plain arrays by name."""
        return {name: column.values for name, column in self.columns.items()}

    def in_pandas(self) -> TrainingData:
        """The same, as a pandas data frame."""
        features = as_pandas(self.features)
        columns = {name: read_column(features, name) for name in self.columns}
        return TrainingData(kind="pandas", features=features, columns=columns, target=self.target, outputs=self.outputs)


def training_table(inputs: Mapping[str, Any], target: str, *, step: str) -> Any:
    """Returns the input named ``train``, or else the first table that holds the target.

    Raises:
        PackageError: no input is a table with the target.
    """
    tables = {name: value for name, value in inputs.items() if target in column_names(value)}
    if not tables:
        names = sorted({name for value in inputs.values() for name in column_names(value)})
        raise PackageError(
            f"No input of the model step {step!r} is a table with the target {target!r}.",
            given=", ".join(inputs) or "no inputs",
            accepted=f"a table with one of the columns {', '.join(names)}" if names else None,
            hint=did_you_mean(target, names),
        )
    return tables.get("train", next(iter(tables.values())))


def training_data(
    table: Any,
    estimator: Any,
    *,
    step: str,
    target: str,
    keys: Sequence[str],
    drop: Sequence[str],
    targets: Sequence[str] = (),
    loss: str | None = None,
) -> TrainingData:
    """Chooses the features and reads them.

    A fitted estimator names its own features; else all columns are features but the target, ``keys`` and ``drop``.

    Args:
        table: Polars or pandas.
        estimator: Fitted or not.
        step: Name of the model step.
        target: Name of the target column.
        keys: Time and entity columns, which are never features.
        drop: Columns that are not features.
        targets: Names of all target columns, if there are several.
        loss: Of the model: it tells numbers from classes, of which the target may have the names.

    Raises:
        DataRefused: features give the target away or hold what no request may, or the target is not a finite number in
            every row.
        PackageError: a column is unknown or of a type that no model takes.
    """
    names = column_names(table)
    _check_targets(targets, names, step)
    for name in drop:
        if name not in names:
            raise PackageError(
                f"The model step {step!r} drops a column {name!r} that its training table lacks.",
                accepted=", ".join(names),
                hint=did_you_mean(name, names),
            )
    outside = {target, *targets, *keys, *drop}
    knows_names = estimator.features is not None if isinstance(estimator, Untried) else is_fitted(estimator)
    chosen = _own_features(estimator, step, table, outside) if knows_names else None
    if chosen is None:
        chosen = [name for name in names if name not in outside]
    if not chosen:
        raise PackageError(f"No column of the training table of {step!r} is left as a feature.", given=", ".join(names))
    columns = {name: read_column(table, name) for name in chosen}
    check_askable(columns, step=step)
    goal = read_goal(table, targets or (target,), loss=loss, step=step)
    refuse_leaks(columns, goal, targets or (target,), step)
    return TrainingData(
        kind=frame_kind(table),
        features=select(table, chosen),
        columns=columns,
        target=goal.values,
        outputs=goal.outputs,
    )


def _check_targets(targets: Sequence[str], names: Sequence[str], step: str) -> None:
    for name in targets:
        if name not in names:
            raise PackageError(
                f"The training table of {step!r} lacks the target {name!r}.",
                accepted=", ".join(names),
                hint=did_you_mean(name, names),
            )


def fit(
    estimator: Any,
    data: TrainingData,
    *,
    seed: int | None,
    weights: np.ndarray[Any, Any] | None = None,
    lists: Lists | None = None,
) -> Any:
    """Fits the estimator if it is not fitted yet, with the step's seed where it asks for chance and has none.

    Args:
        estimator: What the step returned.
        data: What it learns from.
        seed: Of the step.
        weights: How much each row counts, shape (n,); ``None``: all alike.
        lists: What is ranked together, the rows of each one after the other; told to a ranker in its own words.

    Raises:
        DataRefused: a classifier's target is not a whole number in every row.
        PackageError: the estimator takes no such columns; or weights are given, and it is fitted already or takes none.
    """
    if is_fitted(estimator):
        if weights is not None:
            raise _takes_no_weights(estimator, "it is fitted already")
        return estimator
    if weights is not None and not has_fit_parameter(estimator, "sample_weight"):
        raise _takes_no_weights(estimator, "its fit has no sample_weight")
    if seed is not None:
        params = estimator.get_params(deep=True)
        asks = {k: seed for k, v in params.items() if v is None and k.rpartition("__")[2] == "random_state"}
        estimator.set_params(**asks)
    check_taken(estimator, data.kind, data.columns)
    goal = _goal_of(estimator, data)
    told = {} if weights is None else {"sample_weight": weights}
    try:
        return estimator.fit(data.features, goal, **told, **({} if lists is None else told_lists(estimator, lists)))
    except ValueError as error:
        if goal.ndim == 1:
            raise
        raise PackageError(
            "The estimator cannot learn several targets at once.",
            given=f"a {type(estimator).__name__}: {error}",
            hint="Wrap it: sklearn.multioutput.MultiOutputRegressor(...).",
        ) from error


def _goal_of(estimator: Any, data: TrainingData) -> np.ndarray[Any, Any]:
    """The target in the estimator's own words."""
    if data.outputs and data.outputs[0].kind == "class":
        if not is_classifier(estimator):
            raise PackageError(
                f"The target {data.outputs[0].name!r} is a class, and the estimator is no classifier.",
                given=f"a {type(estimator).__name__}",
                accepted="an estimator with predict_proba",
            )
        places = data.target.astype(np.int64)
        return places if is_of(last_step(estimator), "xgboost") else np.array(data.outputs[0].classes)[places]
    return _classes(data.target) if is_classifier(estimator) else data.target


def _takes_no_weights(estimator: Any, why: str) -> PackageError:
    return PackageError(
        "The estimator cannot be told how much each row counts.",
        given=f"a {type(estimator).__name__}: {why}",
        accepted="an estimator that is not fitted, whose fit takes sample_weight",
    )


def _classes(target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    whole = target.astype(np.int64)
    if (whole != target).any():
        raise DataRefused(
            "A classifier's target is not a whole number in every row.", accepted="a number for each class"
        )
    return whole


def latest_time(table: Any, name: str | None) -> datetime | None:
    """Returns the latest time of a table's time column, aware UTC; ``None`` if there is no such column.

    Raises:
        DataRefused: the column holds no times.
    """
    if name is None or name not in column_names(table):
        return None
    latest = table[name].max()
    if isinstance(latest, datetime):  # a pandas.Timestamp is one
        latest = datetime(*latest.timetuple()[:6], latest.microsecond, tzinfo=latest.tzinfo or UTC)
        return latest.astimezone(UTC)
    if isinstance(latest, date):
        return datetime(latest.year, latest.month, latest.day, tzinfo=UTC)
    try:
        return parse_moment(str(latest))
    except UsageError as error:
        raise DataRefused(f"The time column {name!r} of the training table holds no times.", given=latest) from error


def _own_features(estimator: Any, step: str, table: Any, outside: set[str]) -> list[str]:
    key = "feature_names_" if is_of(estimator, "catboost") else "feature_names_in_"
    own = estimator.features if isinstance(estimator, Untried) else getattr(estimator, key, None)
    if own is None:
        raise PackageError(
            f"The model step {step!r} returned an estimator that does not know the names of its columns.",
            given="an estimator fitted on a matrix",
            accepted="an estimator fitted on a data frame, or one that is not fitted yet",
        )
    names, chosen = column_names(table), gathered([str(name) for name in own], table)
    for name in chosen:
        if name not in names:
            raise PackageError(
                f"The model step {step!r} returned an estimator fitted on {name!r}, which its training table lacks.",
                accepted=", ".join(names),
                hint=did_you_mean(name, names),
            )
        if name in outside:
            raise DataRefused(
                f"The model step {step!r} returned an estimator fitted on {name!r}, which is not a feature.",
                accepted="features other than the target, time, entity and dropped columns",
            )
    return chosen
