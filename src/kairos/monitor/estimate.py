"""How good is the live version now, before the labels are there? Two estimates and what they say together.

The first takes what rows lose, given inputs and prediction, as it was on the holdout (CBPE for probabilities, direct
loss estimation for numbers). The second learns the same on holdout rows weighted to look like those of now (PAPE, and
its like for numbers). Labels that have come put both right. No estimate sees that the same row now has another truth:
for that there are labels. So an estimate may warn, and ask for labels; it never promotes and never proves harm.

References:
    Białek, Kivimäki, Kuberski & Perrakis (NeurIPS 2025), Estimating model performance under covariate shift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.monitor.learners import day_folds, domain_chances, fit_loss
from kairos.stats.calibration import fit_calibrator, fit_isotonic
from kairos.stats.confidence import expected_mean
from kairos.stats.powered import PoweredMean, powered_mean
from kairos.stats.shift import ShiftWeights, joint_estimate, shift_weights

__all__ = ["Estimate", "Estimator", "LabelledRows", "NewRows"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LossOf = Callable[[NDArray[Any], NDArray[Any]], Floats]

_PARTS = 10
_LEAST_LABELS = 30.0
"""Fewer labels, counted for what they are worth, put nothing right."""
_DISAGREE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledRows:
    """Rows of the past that the version had not learnt from."""

    inputs: Floats
    """Shape (n, p)."""
    is_category: tuple[bool, ...]
    prediction: Floats
    """Shape (n,), or (n, numbers) of several outputs."""
    label: Floats
    """Shape (n,); of several outputs not looked at."""
    days: Ints
    """Number of the day of each row."""
    losses: Floats | None = None
    """Of each row, where that cannot be computed from one number and one label; ``None``: it can."""

    @property
    def is_chance(self) -> bool:
        """Whether predictions are probabilities of a class: labels are 0 and 1, predictions lie between."""
        if self.losses is not None:
            return False
        two = bool(np.isin(self.label, (0.0, 1.0)).all()) and 0 < self.label.mean() < 1
        return two and bool(self.prediction.min() >= 0 and self.prediction.max() <= 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewRows:
    """Rows of now, of which some have a label."""

    inputs: Floats
    prediction: Floats
    label: Floats
    """NaN where there is none yet, shape (m,)."""
    chances: Floats
    """Of each row to have a label by now, in [0, 1]; 0 where rows are too young for any. Shape (m,)."""
    days: Ints
    losses: Floats | None = None
    """As in ``LabelledRows``, NaN where there is no label yet; then ``label`` only says whether there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the mean loss of rows is estimated to be."""

    value: float
    lower: float
    """The smallest estimate, less its sampling error."""
    upper: float
    """The largest estimate, plus its sampling error."""
    methods: Mapping[str, float]
    """Each estimate by its name; ``weighted`` is the reference's own loss under the weights, for comparison."""
    rows: int
    labelled: int
    effective_share: float
    """The part of the reference that the weighted rows are worth."""
    flags: tuple[str, ...]
    """Why it should not be relied on, in words; empty if nothing speaks against it."""


class Estimator:
    """Estimates mean losses of one version; what it learns from the reference is learnt once.

    Args:
        reference: Labelled rows of the holdout.
        loss_of: The loss.
    """

    def __init__(self, reference: LabelledRows, loss_of: LossOf) -> None:
        self._old, self._loss_of = reference, loss_of
        given = reference.losses
        self._losses = loss_of(reference.label, reference.prediction) if given is None else given
        self._plain = self._learn(None)

    def estimate(self, new: NewRows, *, alpha: float = 0.05) -> Estimate:
        """The mean loss over the new rows, whether they have a label or not.

        Args:
            new: At least one row.
            alpha: Chance that sampling alone leads outside of the bounds, in (0, 1).
        """
        weights = self._weights(new)
        plain = self._corrected(self._plain(new), new)
        adapted = self._corrected(self._learn(weights.weights)(new), new)
        joint = joint_estimate([plain.mean, adapted.mean], [plain.error, adapted.error], alpha=alpha)
        names = ("cbpe", "pape") if self._old.is_chance else ("dle", "weighted dle")
        known = ~np.isnan(new.label)
        return Estimate(
            value=joint.value,
            lower=max(0.0, joint.lower),
            upper=joint.upper,
            methods={
                names[0]: plain.mean,
                names[1]: adapted.mean,
                "weighted": float(np.average(self._losses, weights=weights.weights)),
            },
            rows=len(new.prediction),
            labelled=int(known.sum()),
            effective_share=weights.effective_share,
            flags=_flags(weights, joint.disagreement),
        )

    def _weights(self, new: NewRows) -> ShiftWeights:
        old = self._old
        if not old.inputs.shape[1]:
            return shift_weights(np.full(old.days.size, 0.5), np.full(old.days.size, 0.5))
        chances = domain_chances(old.inputs, new.inputs, old.days, new.days, is_category=old.is_category)
        return shift_weights(*chances)

    def _learn(self, weights: Floats | None) -> Callable[[NewRows], _Expected]:
        """What new rows are expected to lose, learnt from the reference."""
        return self._by_confidence(weights) if self._old.is_chance else self._by_loss(weights)

    def _by_confidence(self, weights: Floats | None) -> Callable[[NewRows], _Expected]:
        old = self._old
        fold = day_folds(old.days, _PARTS)
        fit = fit_calibrator if weights is None else fit_isotonic
        whole = fit(old.prediction, old.label, weights=weights)
        parts, left_out = [], np.empty_like(self._losses)
        for part in np.unique(fold):
            kept = fold != part if np.unique(fold).size > 1 else np.ones(fold.size, dtype=bool)
            one = fit(old.prediction[kept], old.label[kept], weights=None if weights is None else weights[kept])
            left_out[fold == part] = self._expected_loss(
                one(old.prediction[fold == part]), old.prediction[fold == part]
            )
            parts.append(one)
        spread = _day_spread(self._losses - left_out, old.days)

        def expect(new: NewRows) -> _Expected:
            each = np.array([self._expected_loss(part(new.prediction), new.prediction).mean() for part in parts])
            return _Expected.of(self._expected_loss(whole(new.prediction), new.prediction), each, spread, new.days)

        return expect

    def _by_loss(self, weights: Floats | None) -> Callable[[NewRows], _Expected]:
        old = self._old
        inputs = np.column_stack([old.inputs, old.prediction])
        is_category = (*old.is_category, *[False] * (inputs.shape[1] - len(old.is_category)))
        model = fit_loss(inputs, self._losses, old.days, is_category=is_category, weights=weights)
        spread = _day_spread(self._losses - model.left_out, old.days)

        def expect(new: NewRows) -> _Expected:
            found = model.expect(np.column_stack([new.inputs, new.prediction]))
            return _Expected.of(found.mean(axis=0), found.mean(axis=1), spread, new.days)

        return expect

    def _expected_loss(self, chance: Floats, prediction: Floats) -> Floats:
        one = self._loss_of(np.ones_like(prediction), prediction)
        return expected_mean(chance, one, self._loss_of(np.zeros_like(prediction), prediction))

    def _corrected(self, expected: _Expected, new: NewRows) -> _Mean:
        """Puts estimates right by the labels that have come, if they are enough."""
        old_enough = new.chances > 0
        known = ~np.isnan(new.label) & old_enough
        losses = np.full(new.label.size, np.nan)
        own = new.losses
        losses[known] = self._loss_of(new.label[known], new.prediction[known]) if own is None else own[known]
        found: PoweredMean = powered_mean(
            losses[old_enough],
            new.chances[old_enough],
            estimated=expected.losses[old_enough],
            blocks=new.days[old_enough],
        )
        mean = float(expected.losses.mean())
        if not found.effective_labels >= _LEAST_LABELS or not math.isfinite(found.error):
            return _Mean(mean=mean, error=expected.error)
        correction = found.mean - float(expected.losses[old_enough].mean())
        young = 1 - old_enough.mean()  # what was learnt from older rows may be off for these as it was before
        return _Mean(mean=mean + correction, error=math.hypot(found.error, young * expected.error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    mean: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Expected:
    """What rows are expected to lose, and how far their mean may be off by chance."""

    losses: Floats
    error: float

    @classmethod
    def of(cls, losses: Floats, part_means: Floats, spread: float, days: Ints) -> _Expected:
        """Adds what the reference leaves open (by leaving parts of it out) to what the days will be like by chance."""
        k = part_means.size
        learnt = math.sqrt((k - 1) / k * float(((part_means - part_means.mean()) ** 2).sum())) if k > 1 else 0.0
        chance = spread / math.sqrt(np.unique(days).size)
        return cls(losses=losses, error=max(math.hypot(learnt, chance), np.finfo(float).tiny))


def _day_spread(rest: Floats, days: Ints) -> float:
    """How much the mean loss of a day strays from what was expected of it, one standard deviation."""
    _, index = np.unique(days, return_inverse=True)
    rows = np.bincount(index)
    if rows.size < 3:
        return float(rest.std()) if rest.size else math.inf
    means = np.bincount(index, weights=rest) / rows
    return float(means.std(ddof=1))


def _flags(weights: ShiftWeights, disagreement: float) -> tuple[str, ...]:
    found = []
    if not weights.is_sound:
        found.append(
            f"the rows of now are unlike the holdout's: weighted, these are worth {weights.effective_share:.0%} of "
            f"their number, and {weights.uncovered_share:.0%} of those of now have no counterpart"
        )
    if disagreement > _DISAGREE:
        found.append(f"the estimates differ by {disagreement:.1f} standard errors")
    return tuple(found)
