"""What a model is asked for: which targets, by which of its methods, and what a label of it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kairos.errors import PackageError
from kairos.gates.loss_names import CHANCE_LOSSES
from kairos.models.estimators import is_fitted, last_step
from kairos.models.foreign import Foreign, Untried
from kairos.models.ports import FinishRequest
from kairos.models.signature import OutputSpec
from kairos.models.spec import Method
from kairos.models.training import TrainingData
from kairos.models.truths import CHANCE, RELEVANCE, Truths, truths_of

if TYPE_CHECKING:
    from kairos.models.finish import ModelOptions

__all__ = ["check_classes", "lead_target", "method_of", "output_of", "target_names", "tells_classes"]


def target_names(options: ModelOptions, request: FinishRequest) -> tuple[str, tuple[str, ...]]:
    """The target, or the first of several, and all of several."""
    target = options.target or request.target
    if target is None:
        raise PackageError(
            f"The model step {request.step!r} does not say what it predicts.", hint='Write @model(target="...").'
        )
    settings, decorator = options.targets or options.target, tuple(request.targets) or request.target
    if settings and decorator and settings != decorator:
        raise PackageError(
            f"The model step {request.step!r} has two targets.",
            given=f"{_said(decorator)} in the decorator, {_said(settings)} in the settings",
            accepted="one of them, or the same twice",
        )
    return target, options.targets or tuple(request.targets)


def _said(targets: str | tuple[str, ...]) -> str:
    return ", ".join(map(repr, (targets,) if isinstance(targets, str) else targets))


def tells_classes(data: TrainingData) -> bool:
    return bool(data.outputs) and data.outputs[0].kind == "class"


def method_of(estimator: Any, data: TrainingData, loss: str, *, step: str) -> Method:
    """Some losses judge probabilities, as do all of classes with names; every other judges what ``predict`` gives.

    Asked before the estimator is fitted, so that none is fitted in vain, and again afterwards.
    """
    if loss not in CHANCE_LOSSES and not tells_classes(data):
        return "predict"
    if not isinstance(estimator, Untried) and not _tells_chances(estimator):
        raise PackageError(
            f"The model step {step!r} is judged by the {_words(loss)}, but its estimator gives no probabilities.",
            given=f"a {type(estimator).__name__}",
            accepted="an estimator with predict_proba",
        )
    return "predict" if isinstance(estimator, Untried) else "predict_proba"


def _tells_chances(estimator: Any) -> bool:
    """A stack of classifiers, or a search, knows only once it is fitted; until then its class is asked."""
    has_them = hasattr(estimator, "predict_proba")
    return has_them or (not is_fitted(estimator) and hasattr(type(last_step(estimator)), "predict_proba"))


def _words(loss: str) -> str:
    return loss.replace("_", " ") + ("" if loss.endswith("loss") else " loss")


def check_classes(estimator: Any, data: TrainingData, step: str) -> None:
    """Refuses a classifier that has learnt other classes than its training table holds, or gives other outputs."""
    if not tells_classes(data) or isinstance(estimator, Untried | Foreign):
        return
    own, wanted = np.asarray(estimator.classes_).ravel().tolist(), list(data.outputs[0].classes)
    if own not in (wanted, list(range(len(wanted)))):
        raise PackageError(
            f"The model step {step!r} returned an estimator that knows other classes than its training table.",
            given=", ".join(map(str, own[:20])),
            accepted=", ".join(map(str, wanted[:20])),
        )


def output_of(estimator: Any, data: TrainingData, options: ModelOptions) -> OutputSpec:
    if data.outputs:
        return OutputSpec(lower=options.lower, upper=options.upper, truths=_truths_of(data))
    if options.rank_within is not None:
        return OutputSpec(lower=options.lower, upper=options.upper, truths=RELEVANCE)
    truths = CHANCE if options.loss in CHANCE_LOSSES else truths_of(estimator)
    return OutputSpec(lower=options.lower, upper=options.upper, truths=truths)


def _truths_of(data: TrainingData) -> Truths:
    """Of a class the numbers that stand for it in a label; of anything else every number."""
    first = data.outputs[0]
    if first.kind != "class":
        return Truths()
    return Truths(classes=tuple(map(float, range(len(first.classes)) if first.has_text else first.classes)))


def lead_target(data: TrainingData) -> np.ndarray[Any, Any]:
    """The target as ``leads`` has answers, shape (n,)."""
    if tells_classes(data):
        classes = data.outputs[0].classes
        return data.target if data.outputs[0].has_text else np.array(classes, dtype=np.float64)[data.target.astype(int)]
    return data.target if data.target.ndim == 1 else data.target[:, 0]
