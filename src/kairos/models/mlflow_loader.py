"""What MLflow calls to load a package whose model is no estimator of scikit-learn: ``mlflow.pyfunc.load_model``.

It predicts in the form that the server would use; where the compiled one is proven, the model's library is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kairos.models.package import Package, open_package
from kairos.models.score import score_table

__all__ = ["Loaded"]


class Loaded:
    """A package as MLflow wants it."""

    def __init__(self, package: Package) -> None:
        self._package = package

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """One number a row, shape (n,), float64; of several outputs shape (n, numbers)."""
        return score_table(self._package, model_input)


def _load_pyfunc(path: str) -> Loaded:
    # Who loads a model with MLflow lets its code run: MLflow asks nobody. Kairos itself never comes here.
    return Loaded(open_package(Path(path), allow_pickle=True, is_copy_of_mlflow=True))
