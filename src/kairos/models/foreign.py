"""Models of other libraries than scikit-learn, trained by the step itself: networks, and all that MLflow packs.

Each kind has one module, which alone loads its library, and only once such a model is met.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kairos.errors import PackageError
from kairos.models.ports import Runner
from kairos.models.signature import Signature
from kairos.models.spec import InputForm, Serialization, TrainingForm

if TYPE_CHECKING:
    from kairos.models.training import TrainingData
    from kairos.stats.recalibration import Recalibration  # it loads scipy

__all__ = ["Foreign", "Untried", "adopt", "check_answers", "first_line"]

_SUM_OFF = 1e-4
"""By how much chances of all classes may add up to something else than 1: a network's are of float32."""

_CHANCES_HINT = "End the network with torch.nn.Sigmoid(); of several classes with torch.nn.Softmax(dim=1)."

_ALONE_ROWS = 20
"""Rows that are asked one by one, when a model is packaged."""


class Foreign(ABC):
    """A trained model that is no estimator of scikit-learn."""

    serialization: ClassVar[Serialization]
    tolerance: ClassVar[float]
    """Largest difference between answers alone and together, as a share of the largest answer."""
    precision: ClassVar[str] = "float64"
    """By which the proof of its compiled form knows its tolerance."""
    takes: InputForm
    """What it is given."""
    libraries: tuple[str, ...] = ()
    """Distributions that loading it needs, beside those of every package."""

    @abstractmethod
    def predict(self, inputs: Any) -> np.ndarray[Any, Any]:
        """One number a row, shape (n,), float64, of a frame with the columns of training, or of a matrix.

        Of a model of several outputs all their numbers, shape (n, numbers).
        """

    @abstractmethod
    def files(self) -> Mapping[str, bytes]:
        """The files of the package that hold it, by name."""

    @abstractmethod
    def runner(self, *, signature: Signature, form: TrainingForm, recalibration: Recalibration | None = None) -> Runner:
        """What predicts from plain arrays."""

    @abstractmethod
    def compiled(self) -> bytes:
        """The ONNX file of the model.

        Raises:
            NotCompiled: it has none.
        """


class Untried(ABC):
    """A trained model as a step returned it, before it has met the columns of its table."""

    features: tuple[str, ...] | None = None
    """Names of its columns, if it knows them."""

    @abstractmethod
    def bound(self, data: TrainingData, *, step: str) -> tuple[Foreign, TrainingData]:
        """The model for these columns, and the data in the form that it wants.

        Raises:
            PackageError: it cannot predict the training table, or cannot be packaged.
        """


def adopt(returned: Any, *, step: str, allow_pickle: bool) -> Any:
    """What a ``@model`` step returned: an estimator as it is, a model of another library as a ``Foreign``.

    Raises:
        PackageError: it is no model, or one that only pickle holds, and ``allow_pickle`` is not set.
    """
    if hasattr(returned, "get_params") and hasattr(returned, "fit"):
        return returned  # whether it really is an estimator is found out when it is asked whether it is fitted
    torch = sys.modules.get("torch")  # who returns a network has loaded it
    if torch is not None and isinstance(returned, torch.nn.Module):
        from kairos.models.network_trace import UntracedNetwork  # see above

        return UntracedNetwork(returned)
    if isinstance(returned, Path) or callable(getattr(returned, "predict", None)):
        from kairos.models.pyfunc_model import UntriedModel  # it loads MLflow

        return UntriedModel(returned, step=step, allow_pickle=allow_pickle)
    raise PackageError(
        "A model step has to return an estimator.",
        given=f"a {type(returned).__name__}",
        accepted="an estimator that follows scikit-learn, fitted or not; trained, a torch.nn.Module, an "
        "mlflow.pyfunc.PythonModel, another object with predict, or the Path of a folder that MLflow saved",
    )


def check_answers(
    model: Foreign, runner: Runner, columns: Mapping[str, np.ndarray[Any, Any]], *, is_chance: bool, step: str
) -> None:
    """Asks all rows of training, and some of them one by one and backwards.

    Args:
        model: What was trained.
        runner: Runs it.
        columns: The rows.
        is_chance: Whether answers are judged as chances.
        step: Name of the model step.

    Raises:
        PackageError: an answer is no finite number, or no chance, or depends on which rows are asked together.
    """
    answers = runner.predict(columns)
    good = np.isfinite(answers)
    if is_chance:
        good &= (answers >= 0.0) & (answers <= 1.0)
    accepted = _chance_words(answers.ndim) if is_chance else "a finite number"
    if answers.ndim == 2:  # the first bad row is shown by its first bad number
        if is_chance:
            good &= (np.abs(answers.sum(axis=1) - 1.0) <= _SUM_OFF)[:, None]
        worst = int(np.argmin(good.all(axis=1)))
        answers, good = answers[:, int(np.argmin(good[worst]))], good.all(axis=1)
    if not good.all():
        what = "chance" if is_chance else "number"
        row = int(np.argmin(good))
        flat = {name: values[row] for name, values in columns.items() if values.ndim == 1}
        flat = {name: value for name, value in flat.items() if not isinstance(value, np.ndarray)}
        nulls = [name for name, value in flat.items() if value is None or value != value]
        missing = f", where {', '.join(nulls)} is missing" if nulls else ""
        raise PackageError(
            f"The model of step {step!r} answers a row of its training table with what is no {what}.",
            given=f"{answers[row]:.9g} for row {row}{missing}",
            accepted=f"{accepted}, in every row",
            hint=_CHANCES_HINT if is_chance and np.isfinite(answers[row]) else None,
        )
    _check_rows_alone(model, runner, {name: values[:_ALONE_ROWS] for name, values in columns.items()}, step)


def _check_rows_alone(model: Foreign, runner: Runner, rows: Mapping[str, np.ndarray[Any, Any]], step: str) -> None:
    together = runner.predict(rows)
    alone = [runner.predict({name: v[i : i + 1] for name, v in rows.items()})[0] for i in range(len(together))]
    backwards = runner.predict({name: v[::-1] for name, v in rows.items()})[::-1]
    limit = model.tolerance * float(np.max(np.abs(together), initial=0.0))
    for how, answers in (("alone", np.array(alone)), ("in another order", backwards)):
        same = np.abs(answers - together) <= limit
        if not same.all():
            at = np.unravel_index(int(np.argmin(same)), same.shape)
            raise PackageError(
                f"The model of step {step!r} answers a row otherwise beside other rows.",
                given=f"row {at[0]}: {together[at]:.9g} among {len(together)} rows, {answers[at]:.9g} {how}",
                accepted="a model whose prediction of a row depends on that row alone",
            )


def _chance_words(dimensions: int) -> str:
    if dimensions == 1:
        return "the chance of the class 1, from 0 to 1"
    return "the chances of all classes in their order, each from 0 to 1 and together 1"


def first_line(error: object) -> str:
    """The first line of an error's words, shortened."""
    return str(error).strip().partition("\n")[0][:200]
