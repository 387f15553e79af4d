"""An estimator around another one whose answers it puts right, and the package that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from kairos.errors import PackageError
from kairos.models.package import Package, write_package
from kairos.models.profile import ColumnProfile
from kairos.models.spec import PackageSpec
from kairos.stats.recalibration import Recalibration, Scale
from kairos.values import Json, plain

__all__ = ["Recalibrated", "recalibrated_package"]


class Recalibrated(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers as the estimator inside does, put right by a ``Recalibration``.

    Args:
        estimator: Fitted.
        level: Of the recalibration.
        slope: Of the recalibration.
        scale: Of the recalibration; ``log_odds`` for chances.
    """

    def __init__(self, estimator: Any, level: float = 0.0, slope: float = 1.0, scale: Scale = "plain") -> None:
        self.estimator = estimator
        self.level = level
        self.slope = slope
        self.scale = scale

    @property
    def recalibration(self) -> Recalibration:
        """What is done to each answer."""
        return Recalibration(level=self.level, slope=self.slope, scale=self.scale)

    def predict(self, inputs: Any) -> np.ndarray[Any, Any]:
        """Numbers put right, shape (n,); of chances the likelier class."""
        if self.scale == "plain":
            return self.recalibration(np.ravel(self.estimator.predict(inputs)))
        classes = np.asarray(self.estimator.classes_)
        return np.asarray(classes[(self.predict_proba(inputs)[:, 1] >= 0.5).astype(np.int64)])

    def predict_proba(self, inputs: Any) -> np.ndarray[Any, Any]:
        """Chances of both classes, shape (n, 2).

        Raises:
            PackageError: it puts numbers right, not chances.
        """
        if self.scale == "plain":
            raise PackageError("A model of numbers gives no chances.", accepted="predict")
        one = self.recalibration(np.asarray(self.estimator.predict_proba(inputs))[:, 1])
        return np.column_stack([1.0 - one, one])

    def __sklearn_is_fitted__(self) -> bool:
        """What is inside is fitted."""
        return True


def recalibrated_package(
    folder: Path,
    base: Package,
    recalibration: Recalibration,
    *,
    answers: np.ndarray[Any, Any],
    train_until: datetime,
    lineage: Mapping[str, Json],
) -> PackageSpec:
    """Writes the package of a model put right.

    Args:
        folder: Empty, or not there.
        base: The package of the model as it is.
        recalibration: Fitted on its answers.
        answers: What the model said of the rows that it was fitted on, shape (n,); put right they are what live answers
            should look like.
        train_until: When the last of these rows is from.
        lineage: What the recalibration came from, put beside what the model came from.

    Raises:
        PackageError: the model is recalibrated already, or cannot be read or written.
    """
    estimator = base.estimator()
    if isinstance(estimator, Recalibrated):
        raise PackageError("A model is recalibrated once only.", accepted="a model that was trained")
    spec = replace(
        base.spec,
        train_until=train_until,
        libraries={**base.spec.libraries, "kairos-ml": metadata.version("kairos-ml")},
    )
    compilation = base.compilation.put_right(recalibration)
    mended = ColumnProfile.fit("number", recalibration(answers))
    return write_package(
        folder,
        Recalibrated(estimator, level=recalibration.level, slope=recalibration.slope, scale=recalibration.scale),
        spec=spec,
        profile=replace(base.profile, prediction=mended, prediction_on="holdout"),
        lineage={**base.lineage, "recalibration": {**plain(recalibration), **lineage}},
        example=base.example,
        allow_pickle=base.allow_pickle,
        compilation=compilation,
        compiled=base.compiled_files(),
        baselines=base.baselines(),
    )
