"""Why an answer is what it is: what each input contributed, and where its value stands in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kairos.app.explaining import answer_of
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.models.arrays import from_log
from kairos.models.contributions import MOST_EXACT, Contributions, contributions, tree_contributions
from kairos.models.outputs import leads
from kairos.models.package import Package
from kairos.models.signature import Column
from kairos.models.standing import standing
from kairos.store.records import Prediction
from kairos.values import Json, VersionRef

if TYPE_CHECKING:
    from kairos.models.summed import SummedTrees

__all__ = ["Contribution", "Why", "kept_row", "why_answer"]

Columns = Mapping[str, np.ndarray[Any, Any]]

SAME = 1e-4
"""Largest difference, as a part of the answer, at which an answer made again counts as the one that was given."""

_MIXED = 62
"""Rows, made of the row and the typical one, on which trees are compared with the model."""
_NEAR, _NEAR_SINGLE = 1e-9, 1e-5
"""By how much they may differ, as a part of the largest answer: where a library computes in doubles, and in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One input of the answer."""

    name: str
    value: Json
    typical: Json
    """Of the profile's typical row: the median, or the most frequent level."""
    contribution: float
    error: float
    """Standard error; 0 if it is exact."""
    standing: str
    """Where the value stands in training, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What the inputs contributed to one answer, or why that cannot be said."""

    version: VersionRef
    of: str
    """Which number is told about: the model's answer before the guard, or one of several by name."""
    recorded: float | None
    """The answer of then, before the guard, if it was written down under this name."""
    lost: dict[str, str]
    """Inputs whose values are not known any more, and why."""
    refused: str | None = None
    """Why nothing is told of contributions."""
    base: float | None = None
    """The answer to the typical row; with all contributions it adds up to ``answer``."""
    answer: float | None = None
    method: Literal["subsets", "trees", "orders"] | None = None
    asked: int = 0
    inputs: tuple[Contribution, ...] = ()
    """By size, the largest first."""


def why_answer(project: Project, prediction_id: str, *, seed: int = 0) -> Why:
    """Tells what each input contributed to an answer, against the typical row of training.

    Inputs that were not kept are named, and then no contribution is told: with other values it would be another row's.

    Args:
        project: Whose answer.
        prediction_id: As it was given with the answer.
        seed: Of the sampling, where it is not exact.

    Raises:
        NotFound: no such prediction is in the log.
        PackageError: the version's package cannot be run.
    """
    answered = answer_of(project, prediction_id)
    ref = VersionRef(answered.model, answered.version)
    model = project.settings.model(ref.model)
    package = open_version(project, project.state().model(ref.model).version(ref.number).package, model)
    row, lost = kept_row(answered, package, model)
    signature = package.spec.signature
    if lost:
        why = f"{'an input was' if len(lost) == 1 else f'{len(lost)} inputs were'} not kept"
        return Why(version=ref, of="answer", recorded=answered.raw, lost=lost, refused=why)
    columns = signature.parse_rows([row])
    typical = signature.parse_rows([package.example])
    predict, of = _lead(package, columns)
    found = _found(package, predict, columns, typical, seed)
    recorded = answered.raw if of == "answer" else _number(answered.told.get(of)) if answered.action is None else None
    if not np.isfinite([found.base, found.answer]).all():
        return Why(version=ref, of=of, recorded=recorded, lost={}, refused="the model gives no finite number")
    if recorded is not None and abs(found.answer - recorded) > SAME * max(abs(recorded), abs(found.answer)):
        why = f"from what was kept of the row the model answers {found.answer:g}, and it answered {recorded:g}"
        return Why(version=ref, of=of, recorded=recorded, lost={}, refused=why)
    inputs = (
        Contribution(
            name=name,
            value=row[name],
            typical=package.example[name],
            contribution=found.by_input[name],
            error=found.errors[name],
            standing=standing(package.profile.columns[name], row[name]),
        )
        for name in signature.names
    )
    return Why(
        version=ref,
        of=of,
        recorded=recorded,
        lost={},
        base=found.base,
        answer=found.answer,
        method=found.method,
        asked=found.asked,
        inputs=tuple(sorted(inputs, key=lambda one: -abs(one.contribution))),
    )


def kept_row(answered: Prediction, package: Package, model: ModelSettings) -> tuple[dict[str, Json], dict[str, str]]:
    """The inputs of an answer as the model got them, and those that are not known, with the reason."""
    row: dict[str, Json] = {}
    lost: dict[str, str] = {}
    for column in package.spec.signature.columns:
        name, value = column.name, answered.inputs.get(column.name)
        if name in model.privacy.pseudonymise:
            lost[name] = "kept as a pseudonym only"
        elif value is None and not _may_be_null(column, name in answered.inputs, model):
            lost[name] = "not kept by the capture policy"
        else:
            row[name] = from_log(value, column.shape) if isinstance(value, list) else value
    return row, lost


def _may_be_null(column: Column, is_there: bool, model: ModelSettings) -> bool:
    """Whether nothing written down means a null: not in a column that takes none, nor in one that is dropped."""
    keep = model.privacy.keep
    is_kept = column.kind not in ("text", "array") if keep is None else column.name in keep
    return is_kept and ((is_there and column.nullable) or not column.required)


def _lead(package: Package, columns: Columns) -> tuple[Callable[[Columns], np.ndarray[Any, Any]], str]:
    """What gives the number that is told about, and its name: of a class the chance of the one that was said."""
    runner, outputs = package.runner(), package.spec.signature.outputs
    if not outputs:
        return runner.predict, "answer"
    first = outputs[0]
    if first.kind != "class":
        return lambda rows: leads(outputs, runner.predict(rows)), "answer"
    place = int(runner.predict(columns)[0, : len(first.names)].argmax())
    return lambda rows: runner.predict(rows)[:, place], first.names[place]


def _found(
    package: Package,
    predict: Callable[[Columns], np.ndarray[Any, Any]],
    columns: Columns,
    typical: Columns,
    seed: int,
) -> Contributions:
    if len(columns) > MOST_EXACT and package.spec.serialization in ("skops", "pickle"):
        from kairos.models.summed import summed_trees  # it loads scikit-learn

        found = summed_trees(package.estimator(), package.spec.signature)
        if found is not None and _is_sum(found, predict, columns, typical):
            own, other = found.seen(columns)[0], found.seen(typical)[0]
            return tree_contributions(found.trees, own, other, found.signature.names, inputs=found.inputs)
    return contributions(predict, columns, typical, seed=seed)


def _is_sum(
    found: SummedTrees, predict: Callable[[Columns], np.ndarray[Any, Any]], columns: Columns, typical: Columns
) -> bool:
    """Whether the model answers as the sum of its trees: to the row, to the typical one, and to mixtures of both."""
    random, count = np.random.default_rng(0), len(columns)
    ends = np.array([[True], [False]]).repeat(count, axis=1)
    taken = np.concatenate([ends, random.random((_MIXED, count)) < 0.5])
    rows = {name: np.repeat(values, len(taken), axis=0) for name, values in columns.items()}
    for place, name in enumerate(rows):
        rows[name][~taken[:, place]] = typical[name][0]
    expected, sums = predict(rows), found.trees.raw(found.seen(rows))
    scale = float(np.max(np.abs(expected)))
    return bool(np.max(np.abs(expected - sums)) <= (_NEAR_SINGLE if found.is_single else _NEAR) * scale)


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
