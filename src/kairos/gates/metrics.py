"""What two models may be compared by: the name of a metric, which way is better, and what it needs. Loads no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from kairos.errors import SettingsError, did_you_mean
from kairos.gates.loss_names import is_of_order, ndcg_places

__all__ = ["METRICS", "Better", "Metric", "loss_unit", "metric_named"]

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A way to say how good predictions are."""

    name: str
    title: str
    """For people: ``mean absolute error``."""
    better: Better
    kind: Literal["mean", "rmse", "auc", "classes", "function"]
    """``mean``: of a loss per row. ``classes``: of the table of true and predicted classes."""
    conditions_on: Literal["nothing", "positives", "answers", "classes"] = "nothing"
    """What has to be frequent enough: rows of the positive class, answers that say it, or rows of each class."""


_LOSSES = {
    "absolute_error": "mean absolute error",
    "squared_error": "mean squared error",
    "log_loss": "mean log loss",
    "zero_one": "error rate",
    "brier": "mean Brier score",
}
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{name: Metric(name=name, title=title, better="lower", kind="mean") for name, title in _LOSSES.items()},
        "rmse": Metric(name="rmse", title="root mean squared error", better="lower", kind="rmse"),
        "auc": Metric(
            name="auc", title="area under the ROC curve", better="higher", kind="auc", conditions_on="classes"
        ),
        "accuracy": Metric(name="accuracy", title="accuracy", better="higher", kind="classes"),
        "balanced_accuracy": Metric(
            name="balanced_accuracy",
            title="balanced accuracy",
            better="higher",
            kind="classes",
            conditions_on="classes",
        ),
        "f1": Metric(name="f1", title="F1", better="higher", kind="classes", conditions_on="positives"),
        "precision": Metric(
            name="precision", title="precision", better="higher", kind="classes", conditions_on="answers"
        ),
        "recall": Metric(name="recall", title="recall", better="higher", kind="classes", conditions_on="positives"),
        "mcc": Metric(
            name="mcc", title="Matthews' coefficient", better="higher", kind="classes", conditions_on="classes"
        ),
    }
)
"""The metrics that a gate knows, by name; also ``pinball:QUANTILE``, ``ndcg:PLACES``, ``pairwise_error``."""


def metric_named(name: str) -> Metric:
    """The metric of that name.

    Raises:
        SettingsError: there is none; the message names the nearest.

    Examples:
        >>> metric_named("auc").better
        'higher'
    """
    head, colon, quantile = name.partition(":")
    if head == "pinball" and colon:
        return Metric(name=name, title=f"mean pinball loss at {quantile}", better="lower", kind="mean")
    if is_of_order(name):
        places = ndcg_places(name)
        title = "share of pairs in the wrong order" if places is None else f"mean of 1 - NDCG@{places}"
        return Metric(name=name, title=title, better="lower", kind="mean")
    if name not in METRICS:
        raise SettingsError(
            "There is no metric of that name.",
            given=name,
            accepted=", ".join([*METRICS, "pinball:QUANTILE", "ndcg:PLACES", "pairwise_error"]),
            hint=did_you_mean(name, METRICS) or 'Or give a function of your own: { function = "FILE.py:NAME" }',
        )
    return METRICS[name]


def loss_unit(name: str, target: str) -> str:
    """The unit of a loss of a target in that unit; empty if it has none.

    >>> loss_unit("squared_error", "users"), loss_unit("log_loss", "users"), loss_unit("zero_one", "users")
    ('users, squared', 'nats', '')
    """
    if is_of_order(name):
        return ""
    return {"squared_error": f"{target}, squared", "log_loss": "nats", "zero_one": "", "brier": ""}.get(name, target)
