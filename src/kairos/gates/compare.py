"""Two models on the same rows by one metric: the interval that suits it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.errors import SettingsError, UsageError
from kairos.gates.loss_names import is_of_order
from kairos.gates.losses import loss_named
from kairos.gates.metrics import Metric
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.stats.auc import paired_auc
from kairos.stats.bootstrap import Statistic, paired_bootstrap
from kairos.stats.bounded import paired_bounded
from kairos.stats.cells import MOST_CLASSES, paired_confusion
from kairos.stats.comparison import Comparison
from kairos.stats.confusion import confusion_value
from kairos.stats.dependence import Dependence
from kairos.stats.paired import paired_mean, paired_zero_one
from kairos.stats.rmse import paired_rmse

__all__ = ["Comparer", "classes_said"]

_FEW = 200
"""With fewer rows a bounded loss is judged without approximation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparer:
    """Compares two columns of answers on all rows or some of them."""

    rows: GateRows
    policy: GatePolicy
    functions: Mapping[str, Statistic] = field(default_factory=dict)
    """The project's own metrics, by name."""

    def __call__(
        self,
        metric: Metric,
        champion: NDArray[Any],
        challenger: NDArray[Any],
        chosen: NDArray[np.bool_] | None = None,
        part: str = "",
    ) -> Comparison:
        """Compares.

        Args:
            metric: By what.
            champion: What it says on all rows.
            challenger: What it says on all rows.
            chosen: Some of the rows; ``None``: all.
            part: Their name; it makes resamples of one part differ from those of another.
        """
        if self.rows.is_wide and metric.kind in ("rmse", "auc"):
            raise UsageError(
                f"The metric {metric.name!r} cannot judge answers of more than one number.",
                accepted="a mean loss; of classes also accuracy, balanced_accuracy, f1, precision, recall, mcc",
            )
        kept = slice(None) if chosen is None else chosen
        truth, a, b = self.rows.truth[kept], champion[kept], challenger[kept]
        dependence = self.rows.dependence if chosen is None else self.rows.dependence.part(chosen)
        seed = self._seed(metric, part)
        if metric.kind == "mean":
            return self._mean(metric, truth, a, b, dependence, own=chosen is None)
        if metric.kind == "rmse":
            y, p, q = (np.asarray(one, dtype=np.float64) for one in (truth, a, b))
            return paired_rmse(p - y, q - y, alpha=self.policy.alpha, dependence=dependence)
        if metric.kind == "auc":
            found = paired_auc(truth, a, b, alpha=self.policy.alpha, dependence=dependence)
            return replace(found, rarest=_rarest(truth))
        if metric.kind == "function":
            return self._function(metric, truth, a, b, dependence, seed)
        said = tuple(classes_said(answers, self.rows, self.policy.threshold) for answers in (champion, challenger))
        names = np.arange(2) if self.rows.is_binary else np.unique(np.concatenate([self.rows.truth, *said]))
        return self._classes(metric, names, truth, said[0][kept], said[1][kept], dependence, seed)

    def _mean(
        self,
        metric: Metric,
        truth: NDArray[Any],
        a: NDArray[Any],
        b: NDArray[Any],
        dependence: Dependence,
        *,
        own: bool,
    ) -> Comparison:
        loss = loss_named(metric.name)
        first, second = loss(truth, a), loss(truth, b)
        alpha = self.policy.alpha
        if dependence.name == "independent":
            if metric.name == "zero_one":
                return paired_zero_one(first, second, alpha=alpha)
            largest = self._largest(metric)
            if largest is not None and 0 < first.size < _FEW:
                return paired_bounded(first, second, largest=largest, alpha=alpha)
        return paired_mean(first, second, alpha=alpha, dependence=dependence, own=own)

    def _largest(self, metric: Metric) -> float | None:
        """The largest loss that a row can have, where that is known."""
        if metric.name == self.policy.primary.metric and self.policy.largest_loss is not None:
            return self.policy.largest_loss
        if is_of_order(metric.name):
            return 1.0
        return 1.0 if self.rows.is_chance and metric.name in ("squared_error", "absolute_error") else None

    def _classes(
        self,
        metric: Metric,
        names: NDArray[Any],
        truth: NDArray[Any],
        a: NDArray[Any],
        b: NDArray[Any],
        dependence: Dependence,
        seed: int,
    ) -> Comparison:
        alpha = self.policy.alpha
        if metric.name == "accuracy":
            wrong = (truth != a).astype(np.float64), (truth != b).astype(np.float64)
            if dependence.name == "independent":
                return _complement(paired_zero_one(*wrong, alpha=alpha))
            return _complement(paired_mean(*wrong, alpha=alpha, dependence=dependence))
        if names.size > MOST_CLASSES:
            value = _of_tables(metric.name, names)
            found = paired_bootstrap(value, truth, a, b, better="higher", alpha=alpha, seed=seed, dependence=dependence)
        else:
            found = paired_confusion(
                metric.name, truth, a, b, alpha=alpha, seed=seed, classes=names, dependence=dependence
            )
        return replace(found, rarest=_frequent(metric, names, truth, a, b))

    def _function(
        self,
        metric: Metric,
        truth: NDArray[Any],
        a: NDArray[Any],
        b: NDArray[Any],
        dependence: Dependence,
        seed: int,
    ) -> Comparison:
        if metric.name not in self.functions:
            raise UsageError(f"The function of the metric {metric.name!r} was not given.")
        return paired_bootstrap(
            self.functions[metric.name],
            truth,
            a,
            b,
            better=metric.better,
            alpha=self.policy.alpha,
            seed=seed,
            dependence=dependence,
        )

    def _seed(self, metric: Metric, part: str) -> int:
        """Of resamples: the same rows, metric and part give the same bounds, anywhere."""
        name = f"{self.rows.digest}|{metric.name}|{part}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def classes_said(answers: NDArray[Any], rows: GateRows, threshold: float) -> NDArray[Any]:
    """Answers as classes: the likeliest of several; of a truth of 0 and 1, 1 from the threshold on; else as they are.

    Raises:
        SettingsError: the truth is no class but a number.
    """
    if rows.is_wide:
        if not rows.has_chances:
            raise SettingsError("A metric of classes cannot judge these rows.", accepted="answers that are chances")
        return np.asarray(answers.argmax(axis=1))
    if rows.is_binary:
        return (np.asarray(answers, dtype=np.float64) >= threshold).astype(np.int64)
    if rows.truth.dtype.kind == "f" and not bool(np.equal(np.mod(rows.truth, 1), 0).all()):
        raise SettingsError(
            "A metric of classes cannot judge these rows.",
            given="a truth that is not a whole number",
            accepted="0 and 1, or whole numbers as names of classes",
        )
    return answers


def _complement(found: Comparison) -> Comparison:
    """The share that is right, of a comparison of what is wrong."""
    return replace(
        found,
        champion=1 - found.champion,
        challenger=1 - found.challenger,
        own_lower=1 - found.own_upper,
        own_upper=1 - found.own_lower,
    )


def _rarest(truth: NDArray[Any]) -> int:
    counts = np.unique(truth, return_counts=True)[1]
    return int(counts.min()) if counts.size > 1 else 0


def _frequent(metric: Metric, names: NDArray[Any], truth: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> int | None:
    """Rows of the rarest class that the metric conditions on; of two classes the second one is the positive one."""
    if metric.conditions_on == "nothing":
        return None
    true, said_a, said_b = (np.array([int((one == name).sum()) for name in names]) for one in (truth, a, b))
    counts = np.minimum(said_a, said_b) if metric.conditions_on == "answers" else true
    if metric.conditions_on != "classes" and names.size == 2:
        return int(counts[1])
    return int(counts.min(initial=truth.size))


def _of_tables(metric: str, names: NDArray[Any]) -> Statistic:
    k = names.size

    def value(truth: NDArray[Any], said: NDArray[Any]) -> float:
        cells = np.searchsorted(names, truth) * k + np.searchsorted(names, said)
        return float(confusion_value(metric, np.bincount(cells, minlength=k * k).astype(np.float64).reshape(k, k)))

    return value
