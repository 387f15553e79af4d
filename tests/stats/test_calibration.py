"""From scores to probabilities, only where it helps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.calibration import calibrate_classes, calibration_error, fit_calibrator, fit_isotonic

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40)


@settings(deadline=None)
@given(ROWS)
def test_isotonic_regression_is_that_of_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    """With ties and weights, between and beyond the scores it was fitted on; it never falls."""
    x, y, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    w[0] += 1
    ours = fit_isotonic(x, y, weights=w)
    theirs = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(x[w > 0], y[w > 0], w[w > 0])
    asked = np.linspace(-1, 9, 41)
    assert ours(asked) == pytest.approx(theirs.predict(asked), abs=1e-9)
    assert (np.diff(ours(asked)) >= -1e-12).all()


def test_scores_that_are_off_are_put_right_and_good_ones_are_left_alone() -> None:
    """Held-out rows decide; of too few rows of a class nothing is learnt."""
    rng = np.random.default_rng(1)
    p = rng.uniform(0.05, 0.95, size=20_000)
    y = (rng.random(p.size) < p).astype(float)
    off = p**3
    found = fit_calibrator(off, y)
    assert found(off) == pytest.approx(p, abs=0.08)
    steps = (p * 10).round() / 10  # what a calibrated score on a grid says is hard to improve
    exact = (np.arange(steps.size) % 100 < 100 * steps).astype(float)
    assert calibration_error(steps, exact) < 0.02
    assert fit_calibrator(off[:50], np.append(np.zeros(45), np.ones(5))).scores.size == 0
    assert fit_calibrator(10 * p - 5, y).scores.size > 0, "a score that is no probability is always calibrated"


def test_classes_are_calibrated_one_against_all_others() -> None:
    """The rows add up to 1; a row of which nothing is left keeps its own scores."""
    rng = np.random.default_rng(2)
    true = rng.dirichlet([2, 2, 2], size=20_000)
    labels = (true.cumsum(axis=1) > rng.random((true.shape[0], 1))).argmax(axis=1)
    off = true**2 / (true**2).sum(axis=1, keepdims=True)
    found = calibrate_classes(off, labels, off)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(off)))
    assert np.abs(found - true).mean() < 0.5 * np.abs(off - true).mean()
    with pytest.raises(ShapeMismatch):
        calibrate_classes(off, labels, off[:, :2])


def test_what_cannot_be_calibrated_on_is_refused() -> None:
    """Labels beside 0 and 1, and no row that counts."""
    with pytest.raises(UsageError, match="not 0 or 1"):
        fit_isotonic([0.1, 0.2], [0, 2])
    with pytest.raises(UsageError, match="No row is left"):
        fit_isotonic([0.1], [0], weights=[0])
