"""How the mix of labels has changed, from predictions alone: the classes are as they were, only their shares are not.

Counting predicted classes is biased: of a class that became rare, most predictions are mistakes. Two ways to put that
right, one from the confusion matrix of the reference (BBSE), one from calibrated probabilities (EM). Both are wrong if
the classes themselves changed; then they disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, Ints

__all__ = ["LabelMix", "bbse", "calibrate_bias_temperature", "em_mix", "label_mix"]

_WORST_CONDITION = 20.0
_ROUNDS = 10_000
_CLOSE, _CLOSE_ENOUGH = 1e-10, 1e-6
_SMALLEST = 1e-12
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMix:
    """The estimated shares of the classes among new rows, by class."""

    shares: tuple[float, ...]
    """By EM, from calibrated probabilities."""
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    by_confusion: tuple[float, ...]
    """By BBSE, as a cross-check."""
    before: tuple[float, ...]
    """In the reference, by label."""
    condition: float
    """Of the confusion matrix: how much it magnifies errors."""
    disagrees: bool
    """Whether the two ways differ by more than two standard deviations: the shares are then not all that changed."""
    is_worth_telling: bool
    """Whether the change is larger than the correction's own noise; else counting predictions says more."""


def bbse(confusion: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Black-box shift estimation.

    Args:
        confusion: Shares of the reference's rows by predicted class (first) and true class (second), shape (K, K).
        predicted: Shares of the new rows by predicted class, shape (K,).

    Returns:
        The weight of each class, and its estimated share among new rows, each of shape (K,).

    Raises:
        UsageError: the confusion matrix magnifies errors more than twenty-fold.

    Examples:
        >>> weights, shares = bbse([[0.45, 0.10], [0.05, 0.40]], [0.30, 0.70])
        >>> weights.round(6).tolist(), shares.round(6).tolist()
        ([0.285714, 1.714286], [0.142857, 0.857143])

    References:
        Lipton, Wang & Smola (ICML 2018).
    """
    c, mu = np.asarray(confusion, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if c.ndim != 2 or c.shape != (mu.size, mu.size):
        raise ShapeMismatch("Confusion matrix and shares do not fit.", given=f"shapes {c.shape} and {mu.shape}")
    condition = float(np.linalg.cond(c))
    if not condition <= _WORST_CONDITION:
        raise UsageError(
            "The confusion matrix is too near to singular: the classes cannot be told apart by their predictions.",
            given=f"condition number {condition:.3g}",
            accepted=f"up to {_WORST_CONDITION:g}",
        )
    weights = np.maximum(np.linalg.solve(c, mu), 0.0)
    shares = weights * c.sum(axis=0)
    return weights, shares / shares.sum()


def em_mix(probabilities: ArrayLike, before: ArrayLike) -> Floats:
    """The maximum-likelihood shares of the classes among new rows.

    Args:
        probabilities: Calibrated on the reference, of the new rows, shape (m, K).
        before: Shares of the classes in the reference, above 0, shape (K,).

    Returns:
        Shape (K,), adds up to 1.

    Examples:
        >>> p = np.array([0.9, 0.8, 0.3, 0.2, 0.1])
        >>> em_mix(np.column_stack([p, 1 - p]), [0.5, 0.5]).round(6).tolist()
        [0.408505, 0.591495]

    References:
        Saerens, Latinne & Decaestecker (2002).
    """
    p, prior = np.asarray(probabilities, dtype=np.float64), np.asarray(before, dtype=np.float64)
    if p.ndim != 2 or prior.shape != (p.shape[1],) or p.shape[0] == 0:
        raise ShapeMismatch("Probabilities and shares do not fit.", given=f"shapes {p.shape} and {prior.shape}")
    if not prior.min() > 0:
        raise UsageError("A class has no share in the reference.", given=prior.tolist(), accepted="above 0")
    rows, counts = np.unique(p, axis=0, return_counts=True)
    return _em(rows, counts.astype(np.float64), prior)


def calibrate_bias_temperature(probabilities: ArrayLike, labels: ArrayLike, new: ArrayLike) -> Floats:
    """Probabilities put right by one temperature, and one bias a class, fitted by maximum likelihood.

    Args:
        probabilities: Of labelled rows, shape (n, K).
        labels: Number of their class, shape (n,).
        new: Of the rows to calibrate, shape (m, K).

    Returns:
        Shape (m, K); each row adds up to 1.

    References:
        Alexandari, Kundaje & Shrikumar (ICML 2020), bias-corrected temperature scaling.
    """
    logits, truth = _logits(probabilities), np.asarray(labels, dtype=np.int64)
    return _scaled(_logits(new), _fit(logits, truth))


def label_mix(
    probabilities: ArrayLike, labels: ArrayLike, new: ArrayLike, *, seed: int, alpha: float = 0.05, resamples: int = 200
) -> LabelMix | None:
    """Estimates the shares of the classes among new rows, with an interval.

    Args:
        probabilities: Of the labelled rows of the reference, held out from training, shape (n, K).
        labels: Number of their class, shape (n,).
        new: Of the new rows, shape (m, K).
        seed: Of the resampling, of reference and new rows together.
        alpha: Chance that a bound misses, in (0, 1).
        resamples: How many.

    Returns:
        ``None`` if the classes cannot be told apart: one has no row, or the confusion matrix is too near to singular.
    """
    old, fresh, truth = _logits(probabilities), _logits(new), np.asarray(labels, dtype=np.int64)
    moments = _moments(old.argmax(axis=1), truth, np.ones(truth.size), old.shape[1])
    if moments is None:
        return None
    fitted = _fit(old, truth)
    shares, cross_check = _both(fresh, np.ones(fresh.shape[0]), fitted, moments)
    gradients, curvatures = _row_terms(old, truth, fitted)
    random, drawn = np.random.default_rng(seed), []
    for _ in range(resamples):
        old_counts, new_counts = _drawn(random, truth.size), _drawn(random, fresh.shape[0])
        again = _moments(old.argmax(axis=1), truth, old_counts, old.shape[1])
        if again is not None:
            step = np.linalg.solve(np.tensordot(old_counts, curvatures, axes=1), old_counts @ gradients)
            drawn.append(_both(fresh, new_counts, fitted - step, again, close=_CLOSE_ENOUGH))
    by_em, by_confusion = np.array([each[0] for each in drawn]), np.array([each[1] for each in drawn])
    gap = np.maximum((by_em - by_confusion).std(axis=0), _SMALLEST)
    lower, upper = np.quantile(by_em, [alpha / 2, 1 - alpha / 2], axis=0)
    before = moments.sum(axis=0)
    return LabelMix(
        shares=tuple(shares.tolist()),
        lower=tuple(lower.tolist()),
        upper=tuple(upper.tolist()),
        by_confusion=tuple(cross_check.tolist()),
        before=tuple(before.tolist()),
        condition=float(np.linalg.cond(moments)),
        disagrees=bool((np.abs(shares - cross_check) > 2 * gap).any()),
        is_worth_telling=bool((by_em.std(axis=0) < np.abs(shares - before)).any()),
    )


def _moments(said: Ints, truth: Ints, counts: Floats, k: int) -> Floats | None:
    """The confusion matrix as ``bbse`` takes it; ``None`` if it, or a class without rows, forbids an estimate."""
    confusion = np.bincount(said * k + truth, weights=counts, minlength=k * k).reshape(k, k) / counts.sum()
    if not confusion.sum(axis=0).min() > 0 or not float(np.linalg.cond(confusion)) <= _WORST_CONDITION:
        return None
    return np.asarray(confusion)


def _both(
    logits: Floats, counts: Floats, fitted: Floats, confusion: Floats, *, close: float = _CLOSE
) -> tuple[Floats, Floats]:
    """The mix by EM and by BBSE, of new rows that count differently often."""
    k, seen = logits.shape[1], counts > 0
    said = np.bincount(logits.argmax(axis=1), weights=counts, minlength=k) / counts.sum()
    by_em = _em(_scaled(logits[seen], fitted), counts[seen], confusion.sum(axis=0), close)
    return by_em, bbse(confusion, said)[1]


def _em(probabilities: Floats, counts: Floats, before: Floats, close: float = _CLOSE) -> Floats:
    if before.size == 2:
        share = _root(probabilities[:, 1] / before[1], probabilities[:, 0] / before[0], counts)
        return np.array([1 - share, share])
    shares = before.copy()
    for _ in range(_ROUNDS):
        chance = probabilities * (shares / before)
        chance /= chance.sum(axis=1, keepdims=True)
        new = counts @ chance / counts.sum()
        if float(np.abs(new - shares).max()) < close:
            return np.asarray(new)
        shares = new
    return shares


def _root(one: Floats, other: Floats, counts: Floats) -> float:
    """Where EM ends for two classes: the top of a likelihood that has only one, found at once instead of in steps."""

    def slope(share: float) -> float:
        return float((counts * (one - other) / (share * one + (1 - share) * other)).sum())

    low, high = _SMALLEST, 1 - _SMALLEST
    if slope(low) <= 0:
        return 0.0
    return 1.0 if slope(high) >= 0 else float(optimize.brentq(slope, low, high, xtol=_CLOSE))


def _fit(logits: Floats, truth: Ints) -> Floats:
    """One over the temperature, then the bias of each class; a touch of ridge, as the biases are free up to a sum."""
    rows = np.arange(truth.size)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        log_chance = special.log_softmax(parameters[0] * logits + parameters[1:], axis=1)
        wrong = np.exp(log_chance)
        wrong[rows, truth] -= 1.0
        slope = np.append((wrong * logits).sum(), wrong.sum(axis=0)) / truth.size
        bias = np.append(0.0, parameters[1:])
        value = -float(log_chance[rows, truth].mean()) + _RIDGE / 2 * float((bias**2).sum())
        return value, slope + _RIDGE * bias

    begin = np.append(1.0, np.zeros(logits.shape[1]))
    bounds = [(0.01, 100.0), *[(None, None)] * logits.shape[1]]
    return np.asarray(optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _row_terms(logits: Floats, truth: Ints, fitted: Floats) -> tuple[Floats, Floats]:
    """Slope and curvature of each row's loss at the fit: with them a resample is fitted anew in one step of Newton."""
    n, k = logits.shape
    chance = _scaled(logits, fitted)
    wrong = chance.copy()
    wrong[np.arange(n), truth] -= 1.0
    ridge = _RIDGE * np.append(0.0, np.ones(k))
    gradients = np.column_stack([(wrong * logits).sum(axis=1), wrong]) + ridge * np.append(0.0, fitted[1:])
    inner = chance[:, :, np.newaxis] * (np.eye(k) - chance[:, np.newaxis, :])
    jacobian = np.concatenate([logits[:, :, np.newaxis], np.broadcast_to(np.eye(k), (n, k, k))], axis=2)
    curvatures = np.einsum("nia,nij,njb->nab", jacobian, inner, jacobian, optimize=True) + np.diag(ridge)
    return gradients, curvatures


def _scaled(logits: Floats, fitted: Floats) -> Floats:
    return np.asarray(special.softmax(fitted[0] * logits + fitted[1:], axis=1))


def _logits(probabilities: ArrayLike) -> Floats:
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] == 0 or not np.isfinite(p).all() or p.min() < 0:
        raise UsageError(
            "Probabilities of classes cannot be read.", given=f"shape {p.shape}", accepted="rows of shares"
        )
    return np.asarray(np.log(np.maximum(p, _SMALLEST)))


def _drawn(random: np.random.Generator, rows: int) -> Floats:
    """How often each row is drawn, with replacement."""
    return np.bincount(random.integers(0, rows, size=rows), minlength=rows).astype(np.float64)
