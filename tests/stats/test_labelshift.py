"""How the mix of labels has changed, from predictions alone."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, Ints
from kairos.stats.labelshift import bbse, calibrate_bias_temperature, em_mix, label_mix


def scored(rng: np.random.Generator, n: int, share: float, *, distance: float = 1.0) -> tuple[Floats, Ints]:
    """Two classes of normal rows; the probabilities are too sure of themselves, and lean to class 1."""
    labels = (rng.random(n) < share).astype(np.int64)
    x = rng.normal(np.where(labels == 1, distance, -distance), 1.0)
    p = 1 / (1 + np.exp(-(3.0 * distance * x + 0.3)))
    return np.column_stack([1 - p, p]), labels


def test_published_numbers() -> None:
    """One worked example of each way."""
    weights, shares = bbse([[0.45, 0.10], [0.05, 0.40]], [0.30, 0.70])
    assert weights == pytest.approx([0.285714, 1.714286], abs=1e-6)
    assert shares == pytest.approx([0.142857, 0.857143], abs=1e-6)
    p = np.array([0.9, 0.8, 0.3, 0.2, 0.1])
    assert em_mix(np.column_stack([p, 1 - p]), [0.5, 0.5]) == pytest.approx([0.408505, 0.591495], abs=1e-6)


def test_three_classes_of_which_two_are_one_give_the_mix_of_two() -> None:
    """Two classes are solved at once, more in steps: both end at the same place."""
    p = np.random.default_rng(6).beta(1, 2, size=200)
    two = em_mix(np.column_stack([p, 1 - p]), [0.3, 0.7])
    three = em_mix(np.column_stack([p, (1 - p) / 2, (1 - p) / 2]), [0.3, 0.35, 0.35])
    assert three == pytest.approx([two[0], two[1] / 2, two[1] / 2], abs=1e-6)
    assert em_mix([[0.9, 0.1]], [0.5, 0.5]).tolist() == [1.0, 0.0]
    assert em_mix([[0.1, 0.9]], [0.5, 0.5]).tolist() == [0.0, 1.0]


def test_unchanged_rows_have_an_unchanged_mix() -> None:
    """The reference's own predictions give its own mix back, by BBSE exactly."""
    probabilities, labels = scored(np.random.default_rng(1), 4000, 0.3)
    said = probabilities.argmax(axis=1)
    confusion = np.array([[((said == i) & (labels == j)).mean() for j in (0, 1)] for i in (0, 1)])
    before = confusion.sum(axis=0)
    assert bbse(confusion, confusion.sum(axis=1))[1] == pytest.approx(before)
    calibrated = calibrate_bias_temperature(probabilities, labels, probabilities)
    assert calibrated.sum(axis=1) == pytest.approx(np.ones(4000))
    assert em_mix(calibrated, before) == pytest.approx(before, abs=0.002)


def test_probabilities_that_are_too_sure_are_put_right() -> None:
    """By one temperature and a bias: the likelihood is that of the truth, nearly."""
    rng = np.random.default_rng(2)
    probabilities, labels = scored(rng, 20_000, 0.5)
    new, truth = scored(rng, 20_000, 0.5)
    found = calibrate_bias_temperature(probabilities, labels, new)
    rows = np.arange(20_000)
    assert -np.log(found[rows, truth]).mean() < -np.log(new[rows, truth]).mean() - 0.01
    assert found[:, 1].mean() == pytest.approx(truth.mean(), abs=0.01)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_new_mix_is_found(share: float) -> None:
    """Within its interval in about 19 of 20 cases; counting predicted classes is off by more where much has changed."""
    rng = np.random.default_rng(3)
    inside, by_em, by_counting = 0, [], []
    for number in range(25):
        probabilities, labels = scored(rng, 600, 0.5)
        new, truth = scored(rng, 600, share)
        found = label_mix(probabilities, labels, new, seed=number, resamples=60)
        assert found is not None
        inside += found.lower[1] <= share <= found.upper[1]
        by_em.append(abs(found.shares[1] - truth.mean()))
        by_counting.append(abs(new.argmax(axis=1).mean() - truth.mean()))
    assert inside >= 20
    assert share == 0.5 or np.mean(by_em) < np.mean(by_counting)


def test_a_change_that_is_no_label_shift_shows_as_disagreement() -> None:
    """Rows of both classes moved towards class 1, and nothing else: the two ways cannot both be right."""
    rng = np.random.default_rng(4)
    probabilities, labels = scored(rng, 4000, 0.5, distance=1.5)
    same, _ = scored(rng, 4000, 0.3, distance=1.5)
    found = label_mix(probabilities, labels, same, seed=1)
    assert found is not None
    assert not found.disagrees
    assert found.is_worth_telling
    truth = (rng.random(4000) < 0.5).astype(np.int64)
    p = 1 / (1 + np.exp(-4.5 * rng.normal(np.where(truth == 1, 0.1, -0.1), 0.2)))
    muddled = label_mix(probabilities, labels, np.column_stack([1 - p, p]), seed=1)
    assert muddled is not None
    assert muddled.disagrees or not muddled.is_worth_telling


def test_classes_that_cannot_be_told_apart_have_no_estimate() -> None:
    """A condition number above 20, or a class without a row."""
    rng = np.random.default_rng(5)
    labels = (rng.random(500) < 0.5).astype(np.int64)
    p = rng.uniform(size=500)
    blind = np.column_stack([1 - p, p])
    assert label_mix(blind, labels, blind, seed=1) is None
    assert label_mix(blind, np.zeros(500, dtype=np.int64), blind, seed=1) is None
    with pytest.raises(UsageError, match="too near to singular"):
        bbse([[0.25, 0.25], [0.25, 0.26]], [0.5, 0.5])


def test_what_does_not_fit_is_refused() -> None:
    """Shapes, and a class that the reference does not have."""
    with pytest.raises(ShapeMismatch):
        bbse([[0.5, 0.5]], [1.0])
    with pytest.raises(ShapeMismatch):
        em_mix([[0.5, 0.5]], [1.0])
    with pytest.raises(UsageError, match="no share"):
        em_mix([[0.5, 0.5]], [1.0, 0.0])
    with pytest.raises(UsageError, match="cannot be read"):
        calibrate_bias_temperature([[0.5, -0.5]], [0], [[0.5, 0.5]])
