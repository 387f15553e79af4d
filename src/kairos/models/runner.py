"""Runners: they predict from plain arrays as the estimator does on the frame it was trained on.

Where every input is a number, a runner gives the estimator a matrix instead of a frame: the server then builds no frame
and imports no frame library. Whether that is the same is not assumed but tried (``choose_form``) when packaging.

One thread answers one request: threads that wait for each other in a loop of microseconds cost a busy machine far more
than they save. Rows that come one by one skip scikit-learn where the answer is the same to the last bit (``trees``).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import ThreadpoolController

from kairos.errors import PackageError
from kairos.models.arrays import flat_matrix
from kairos.models.foreign import Foreign
from kairos.models.frame_building import build_frame
from kairos.models.frames import FrameKind
from kairos.models.outputs import answers_a_row, width_of
from kairos.models.ports import Runner
from kairos.models.recalibrated import Recalibrated
from kairos.models.signature import Signature
from kairos.models.spec import InputForm, Method, TrainingForm
from kairos.models.spread import spread_columns, spread_signature
from kairos.models.trees import flatten

__all__ = ["TOLERANCE", "SklearnRunner", "choose_form", "make_runner"]


TOLERANCE = 1e-12
"""Largest difference to the training table's predictions, relative to the largest of them: trees agree to the last bit,
sums of products depend on how the linear-algebra library orders them."""

_BOOSTED = {("LGBMRegressor", "predict"), ("LGBMRanker", "predict"), ("LGBMClassifier", "predict_proba")}
"""Whose answer is the booster's own."""

_FEW_ROWS = 8
"""Up to here walking flat trees is faster than scikit-learn."""


class SklearnRunner:
    """Runs a fitted scikit-learn estimator, or one that behaves like it."""

    def __init__(self, estimator: Any, *, signature: Signature, form: TrainingForm, method: Method) -> None:
        """Takes the estimator as its own: its number of threads is taken out, and for a matrix its names of columns.

        What is inside a ``Recalibrated`` is run as fast as ever, and its answers are put right.
        """
        self._mend = estimator.recalibration if isinstance(estimator, Recalibrated) else None
        if isinstance(estimator, Recalibrated):
            estimator = estimator.estimator
        estimator = _on_one_thread(estimator)
        self._estimator = _without_names(estimator) if form.kind == "matrix" else estimator
        # Of two classes with names LightGBM itself gives one chance, its estimator both.
        is_own = form.kind == "matrix" and width_of(signature.outputs) != 2
        own = _own_call(estimator, method) if is_own else None
        self._call = getattr(estimator, method) if own is None else own
        self._signature = signature
        self._outputs = signature.outputs
        self._kind = cast("FrameKind | Literal['matrix']", form.kind)
        inner = spread_signature(signature)
        self._dtypes = {name: form.dtypes[name] for name in inner.names}
        self._method = method
        self._levels = {column.name: column.levels for column in inner.columns}
        self._has_arrays = inner is not signature
        # OpenMP keeps its number of threads for each calling thread: limiting it here changes nothing elsewhere.
        self._threads = ThreadpoolController().select(user_api="openmp")
        self._trees = flatten(self._estimator, method) if form.kind == "matrix" and not self._outputs else None

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64: a value, or the positive class's probability.

        Of a model of several outputs all their numbers, shape (n, numbers).
        """
        answer = self._predict(columns)
        return answer if self._mend is None else self._mend(answer)

    def _predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        rows = len(next(iter(columns.values())))
        if rows == 0:
            return np.empty((0, width_of(self._outputs)) if self._outputs else 0)
        inputs = self._inputs(columns)
        if self._trees is not None and rows <= _FEW_ROWS:
            return self._linked(self._trees.raw(inputs))
        with self._threads.limit(limits=1):
            answer = np.asarray(self._call(inputs))
        return answers_a_row(answer, rows, self._outputs)

    def _linked(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """From sums of leaves to answers, as the estimator does it."""
        loss = self._estimator._loss
        answer = loss.link.inverse(raw) if self._method == "predict" else loss.predict_proba(raw)
        return answers_a_row(np.asarray(answer), len(raw))

    def _inputs(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> Any:
        if self._kind != "matrix":
            numbers = spread_columns(self._signature, columns) if self._has_arrays else columns
            return build_frame(self._kind, numbers, self._dtypes, self._levels)
        names = self._signature.names
        if self._has_arrays:
            return np.asfortranarray(flat_matrix([columns[name] for name in names]))
        matrix = np.empty((len(columns[names[0]]), len(names)), order="F")  # as frames give it
        for index, name in enumerate(names):
            matrix[:, index] = columns[name]
        return matrix


def make_runner(estimator: Any, *, signature: Signature, form: TrainingForm, method: Method) -> Runner:
    """The native runner of a trained model, which is not changed."""
    inner = estimator.estimator if isinstance(estimator, Recalibrated) else estimator
    if isinstance(inner, Foreign):
        mend = None if inner is estimator else estimator.recalibration
        return inner.runner(signature=signature, form=form, recalibration=mend)
    return SklearnRunner(copy.deepcopy(estimator), signature=signature, form=form, method=method)


def choose_form(
    estimator: Any,
    frame: Any,
    kind: FrameKind,
    columns: Mapping[str, np.ndarray[Any, Any]],
    dtypes: dict[str, str],
    signature: Signature,
    method: Method,
) -> TrainingForm:
    """Returns the fastest form whose predictions equal those on ``frame`` within ``TOLERANCE``, without a warning.

    Args:
        estimator: Fitted; it is not changed.
        frame: Rows in the form of training.
        kind: Whose frame it is.
        columns: The same rows as plain arrays.
        dtypes: Data type of each column of the frame.
        signature: Of the model.
        method: Of the estimator, that answers.

    Raises:
        PackageError: no form gives the same predictions.
    """
    expected = answers_a_row(np.asarray(getattr(estimator, method)(frame)), len(frame), signature.outputs)
    kinds: list[InputForm] = [estimator.takes if isinstance(estimator, Foreign) else kind]
    if not isinstance(estimator, Foreign) and all(
        column.kind in ("number", "integer", "boolean") for column in signature.columns
    ):
        kinds.insert(0, "matrix")
    failure = "other predictions"
    for candidate in kinds:
        form = TrainingForm(kind=candidate, dtypes=dtypes)
        runner = make_runner(estimator, signature=signature, form=form, method=method)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                answer = runner.predict(columns)
        except Exception as error:  # an estimator may refuse a matrix in any way it likes: it then gets its frame
            failure = f"{type(error).__name__}: {error}"
            continue
        scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        if np.allclose(answer, expected, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True):
            return form
    raise PackageError(
        "The estimator does not predict the same from a request as from its training table.",
        given=failure,
        accepted="an estimator whose prediction of a row depends on that row alone",
    )


def _held(estimator: Any) -> Iterator[Any]:
    """The estimator, and all that it holds."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, BaseEstimator):
            waiting.extend(vars(item).values())
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)


def _without_names(estimator: Any) -> Any:
    """Deletes ``feature_names_in_`` in the estimator and in all it holds, so that a matrix raises no warning."""
    for item in _held(estimator):
        vars(item).pop("feature_names_in_", None)
    return estimator


def _on_one_thread(estimator: Any) -> Any:
    """Takes out what was said of threads for training: a forest would start them anew for each request."""
    for item in _held(estimator):
        if vars(item).get("n_jobs") is not None:
            item.n_jobs = 1
            if hasattr(item, "get_booster"):  # XGBoost's keeps a number of its own
                item.get_booster().set_param({"nthread": 1})
    return estimator


def _own_call(estimator: Any, method: Method) -> Callable[[Any], Any] | None:
    """LightGBM's booster itself: its estimator warns of a matrix, and starts threads whatever its caller has set."""
    name = type(estimator).__name__
    if _root(estimator) != "lightgbm" or (name, method) not in _BOOSTED:
        return None
    return partial(estimator.booster_.predict, num_threads=1)


def _root(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]
