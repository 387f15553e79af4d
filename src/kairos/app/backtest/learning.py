"""What a project's model step makes of rows of the past, as a training would, and what that says of later rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.losses import guarded
from kairos.app.settings import ModelSettings
from kairos.gates.loss_names import CHANCE_LOSSES
from kairos.models.asked import method_of
from kairos.models.goals import truth_of
from kairos.models.outputs import Output, answers_a_row
from kairos.models.ranked import by_lists
from kairos.models.training import fit, training_data
from kairos.pipeline.declare import StepSpec
from kairos.stats.arrays import Floats

__all__ = ["Learnt", "goals_of", "learn"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A model that learnt from a part of the past."""

    estimator: Any
    """Fitted."""
    columns: tuple[str, ...]
    """Its inputs."""
    outputs: tuple[Output, ...]
    """None: it answers with one number."""
    model: ModelSettings
    goals: tuple[str, ...]
    """The targets."""

    @property
    def tells_chances(self) -> bool:
        """Whether its answers are chances, which no output guard changes."""
        return bool(self.outputs) and self.outputs[0].kind == "class"

    def raw(self, rows: pl.DataFrame) -> Floats:
        """What the model itself says: shape (n,), or (n, numbers)."""
        asked = rows.select(list(self.columns))
        if not self.outputs and self.model.gate.loss in CHANCE_LOSSES:
            return _chance_of_one(self.estimator, asked)
        said = self.estimator.predict_proba(asked) if self.tells_chances else self.estimator.predict(asked)
        return answers_a_row(np.asarray(said), len(rows), self.outputs)

    def served(self, raw: Floats) -> Floats:
        """What would leave the server of it."""
        return raw if self.tells_chances else guarded(raw, self.model)

    def truth(self, rows: pl.DataFrame) -> NDArray[Any]:
        """What was true, as a loss takes it beside the answers."""
        return truth_of(rows, self.goals, self.outputs)


def goals_of(model: ModelSettings, step: StepSpec) -> tuple[str, ...]:
    """The names of the targets of a model, as its settings or its step say."""
    named = model.targets or step.targets or tuple(each for each in (model.target or step.target,) if each is not None)
    return tuple(named)


def learn(estimator: Any, known: pl.DataFrame, model: ModelSettings, step: StepSpec) -> Learnt:
    """Fits what the step returned to the rows that were known.

    Raises:
        DataRefused: the target is not one in every row.
        PackageError: the estimator does not take such rows, or does not do what the loss asks for.
    """
    goals = goals_of(model, step)
    table, lists = by_lists(known, model.rank_within, step=model.step)
    named = (model.time, model.entity, model.rank_within, model.item)
    keys = [key for key in named if key is not None]
    data = training_data(
        table,
        estimator,
        step=model.step,
        target=goals[0],
        keys=keys,
        drop=[name for name in dict.fromkeys((*step.drop, *model.drop)) if name not in keys],
        targets=goals if len(goals) > 1 else (),
        loss=model.gate.loss,
    )
    method_of(estimator, data, model.gate.loss, step=model.step)
    fitted = fit(estimator, data, seed=step.seed, lists=lists)
    return Learnt(estimator=fitted, columns=tuple(data.columns), outputs=data.outputs, model=model, goals=goals)


def _chance_of_one(fitted: Any, rows: pl.DataFrame) -> Floats:
    """Of the class 1; what has seen one class alone is sure of it."""
    classes = [float(one) for one in fitted.classes_]
    if 1.0 not in classes:
        return np.zeros(len(rows))
    return np.asarray(fitted.predict_proba(rows)[:, classes.index(1.0)], dtype=np.float64)
