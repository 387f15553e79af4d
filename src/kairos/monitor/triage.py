"""What a bias asks for: recalibrate, train anew, or look whether something broke. A decision from values only.

A model whose level is off but which still ranks rows as it did is mended by recalibration, cheaply. One that has lost
its judgement, in general or for a part of the rows, has to learn anew. And where predictions moved though inputs did
not, or where a contract is broken, the world did not change: something in the pipeline did, and learning from it would
make it worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from kairos.delivery.retrain.facts import Advice
from kairos.stats.concordance import Concordance, concordance
from kairos.stats.holm import holm

__all__ = ["BinBias", "Triage", "TriageEvidence", "gather_triage", "triage"]

Floats = NDArray[np.float64]

_BINS = 5
_LEAST_ROWS = 100
_LEAST_DAYS = 5
_WORSE = 0.01
"""A ranking that is worse by less does not matter."""
_PROVEN = 0.01
"""Chance, at most, of calling a bias uneven that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinBias:
    """The rows of which the model said about the same."""

    prediction: float
    """Mean prediction."""
    bias: float
    """Mean of prediction minus label."""
    error: float
    """Standard error of the bias, days taken as wholes."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageEvidence:
    """What is known about a bias."""

    rows: int = 0
    days: int = 0
    bias: float = math.nan
    """Mean of prediction minus label."""
    bias_error: float = math.inf
    bins: tuple[BinBias, ...] = ()
    uneven_p: float = 1.0
    """Chance of bins as different as these if one recalibration put all of them right."""
    slices_p: Mapping[str, float] = field(default_factory=dict)
    """The same for the parts of the rows by each column, once the level is put right."""
    ranking_before: Concordance | None = None
    """On the holdout; ``None`` if it is not known."""
    ranking_now: Concordance | None = None
    mix_moved: bool = False
    """Whether the predictions drifted."""
    inputs_moved: bool = False
    """Whether an input drifted."""
    faults: tuple[str, ...] = ()
    """Open trouble: a broken data contract, a wrong split of requests, missing values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What to do, and why."""

    advice: Advice
    reasons: tuple[str, ...]


def triage(evidence: TriageEvidence, *, alpha: float = 0.05) -> Triage:
    """Decides what a bias, or a loss that rose, asks for.

    Args:
        evidence: What is known.
        alpha: Chance of calling a ranking worse that is not.
    """
    faults = _faults(evidence)
    if faults:
        return Triage(advice="investigate", reasons=faults)
    if evidence.rows < _LEAST_ROWS or evidence.days < _LEAST_DAYS:
        few = f"{evidence.rows} labelled rows of {evidence.days} days do not tell whether recalibrating would do"
        return Triage(advice="retrain", reasons=(few,))
    harm = tuple(reason for reason in (_ranking(evidence, alpha), _unevenness(evidence), _slices(evidence)) if reason)
    if harm:
        return Triage(advice="retrain", reasons=harm)
    if not abs(evidence.bias) > special.ndtri(1 - alpha / 2) * evidence.bias_error:
        return Triage(
            advice="retrain", reasons=("predictions are not off on average: recalibrating would mend nothing",)
        )
    side = "high" if evidence.bias > 0 else "low"
    even = f"predictions are too {side} by {abs(evidence.bias):.3g}, alike for low and high ones"
    return Triage(advice="recalibrate", reasons=(even, _ranking_holds(evidence)))


def gather_triage(
    prediction: Floats,
    label: Floats,
    days: NDArray[np.int64],
    *,
    slices: Mapping[str, NDArray[np.generic]] | None = None,
    before: tuple[Floats, Floats, NDArray[np.int64]] | None = None,
    mix_moved: bool = False,
    inputs_moved: bool = False,
    faults: tuple[str, ...] = (),
) -> TriageEvidence:
    """Works the evidence out from labelled rows.

    Args:
        prediction: What was served, shape (n,): numbers, or probabilities of class 1.
        label: Shape (n,): numbers, or 0 and 1.
        days: Number of the day of each row, shape (n,).
        slices: Columns whose values part the rows, by name, each of shape (n,).
        before: Predictions, labels and days of the holdout.
        mix_moved: Whether the predictions drifted.
        inputs_moved: Whether an input drifted.
        faults: Open trouble.
    """
    found = TriageEvidence(
        rows=label.size,
        days=int(np.unique(days).size),
        ranking_before=None if before is None else concordance(before[0], before[1], blocks=before[2]),
        mix_moved=mix_moved,
        inputs_moved=inputs_moved,
        faults=faults,
    )
    if found.rows < _LEAST_ROWS or found.days < _LEAST_DAYS:
        return found
    error = prediction - label
    bins = _quantile_bins(prediction)
    table = tuple(_bin(prediction[bins == k], error[bins == k], days[bins == k]) for k in np.unique(bins))
    is_chance = bool(np.isin(label, (0.0, 1.0)).all() and prediction.min() >= 0 and prediction.max() <= 1)
    mended = _recalibrated(prediction, table, is_chance=is_chance)
    rest = mended - label
    uneven = [_bin(prediction[bins == k], rest[bins == k], days[bins == k]) for k in np.unique(bins)]
    return TriageEvidence(
        rows=found.rows,
        days=found.days,
        bias=float(error.mean()),
        bias_error=_clustered_error(error, days),
        bins=table,
        uneven_p=_spread_p(uneven, spent=2),
        slices_p={name: _slice_p(rest, days, values) for name, values in sorted((slices or {}).items())},
        ranking_before=found.ranking_before,
        ranking_now=concordance(prediction, label, blocks=days),
        mix_moved=mix_moved,
        inputs_moved=inputs_moved,
        faults=faults,
    )


def _faults(evidence: TriageEvidence) -> tuple[str, ...]:
    found = evidence.faults
    if evidence.mix_moved and not evidence.inputs_moved:
        found = (*found, "predictions moved although no input did: something between them may be broken")
    return found


def _ranking(evidence: TriageEvidence, alpha: float) -> str | None:
    before, now = evidence.ranking_before, evidence.ranking_now
    if before is None or now is None or math.isnan(before.value) or math.isnan(now.value):
        return None
    drop, error = before.value - now.value, math.hypot(before.error, now.error)
    if drop > _WORSE and drop > special.ndtri(1 - alpha) * error:
        return (
            f"it ranks rows worse than on its holdout: {now.value:.3f} of pairs are in order, there {before.value:.3f}"
        )
    return None


def _ranking_holds(evidence: TriageEvidence) -> str:
    now = evidence.ranking_now
    assert now is not None  # with enough rows it is known
    return f"rows are still ranked as before: {now.value:.3f} of pairs are in order"


def _unevenness(evidence: TriageEvidence) -> str | None:
    if evidence.uneven_p > _PROVEN:
        return None
    worst = max(evidence.bins, key=lambda each: abs(each.bias))
    where = f"{worst.bias:+.3g} where {worst.prediction:.3g} is predicted"
    return f"the bias is uneven: {where}, {evidence.bias:+.3g} on average"


def _slices(evidence: TriageEvidence) -> str | None:
    names = sorted(evidence.slices_p)
    adjusted = holm([evidence.slices_p[name] for name in names])
    found = [name for name, p in zip(names, adjusted, strict=True) if p <= _PROVEN]
    return f"the bias differs by {', '.join(found)}" if found else None


def _quantile_bins(prediction: Floats) -> NDArray[np.int64]:
    edges = np.unique(np.quantile(prediction, np.arange(1, _BINS) / _BINS))
    return np.asarray(np.searchsorted(edges, prediction, side="right"), dtype=np.int64)


def _bin(prediction: Floats, error: Floats, days: NDArray[np.int64]) -> BinBias:
    return BinBias(
        prediction=float(prediction.mean()),
        bias=float(error.mean()),
        error=_clustered_error(error, days),
        rows=error.size,
    )


def _clustered_error(values: Floats, days: NDArray[np.int64]) -> float:
    """Standard error of a mean, rows of one day together; infinite with fewer than three days."""
    _, index = np.unique(days, return_inverse=True)
    sums = np.bincount(index, weights=values - values.mean())
    if sums.size < 3:
        return math.inf
    return math.sqrt(float((sums**2).sum()) * sums.size / (sums.size - 1)) / values.size


def _recalibrated(prediction: Floats, bins: tuple[BinBias, ...], *, is_chance: bool) -> Floats:
    """Predictions after the line, or for probabilities the line between log-odds, that puts the bins right best."""
    known = [each for each in bins if 0 < each.error < math.inf]
    if len(known) < 3:
        return prediction - float(np.average([b.bias for b in bins], weights=[b.rows for b in bins]))
    at = np.array([each.prediction for each in known])
    wanted = at - np.array([each.bias for each in known])
    weight = 1 / np.array([each.error for each in known])
    if not is_chance:
        design = np.column_stack([np.ones_like(at), at]) * weight[:, np.newaxis]
        level, slope = np.linalg.lstsq(design, wanted * weight, rcond=None)[0]
        return np.asarray(level + slope * prediction)

    def residuals(parameters: Floats) -> Floats:
        return np.asarray(weight * (special.expit(parameters[0] + parameters[1] * _log_odds(at)) - wanted))

    level, slope = optimize.least_squares(residuals, np.array([0.0, 1.0])).x
    return np.asarray(special.expit(level + slope * _log_odds(prediction)))


def _log_odds(chance: Floats) -> Floats:
    return np.asarray(special.logit(np.clip(chance, 1e-6, 1 - 1e-6)))


def _spread_p(bins: list[BinBias], *, spent: int) -> float:
    """P-value against "every bin's bias is 0", with the parameters that were fitted to them taken off."""
    known = [each for each in bins if 0 < each.error < math.inf]
    freedom = len(known) - spent
    if freedom < 1:
        return 1.0
    return float(special.chdtrc(freedom, sum((each.bias / each.error) ** 2 for each in known)))


def _slice_p(rest: Floats, days: NDArray[np.int64], values: NDArray[np.generic]) -> float:
    """P-value against "the parts by this column have the same bias"; parts with few rows are left out."""
    parts = []
    for value in np.unique(values.astype(str)):
        mine = values.astype(str) == value
        if mine.sum() >= _LEAST_ROWS // _BINS:
            parts.append(_bin(rest[mine], rest[mine] - rest.mean(), days[mine]))
    return _spread_p(parts, spent=1)
