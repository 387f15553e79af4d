"""What calibrated probabilities expect of predictions whose labels are still to come, pinned to NannyML's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as distributions

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats
from kairos.stats.calibration import Calibrator, fit_calibrator
from kairos.stats.confidence import (
    accuracy_interval,
    confidence_threshold,
    expected_auc,
    expected_confusion,
    expected_confusion_of_classes,
    expected_mean,
)

CAR_LOAN = json.loads((Path(__file__).parents[1] / "golden/car_loan_scores.json").read_text())

AUC = "97074 97101 97141 97109 97112 96109 96182 96107 96253 96132"
ACCURACY = "94179 94332 94549 94482 94464 91071 91115 91119 91439 91173"
F1 = "94303 94132 94357 94316 94420 91175 91177 91166 91376 91475"
REALISED_AUC = "97096 97025 97628 96772 96989 96005 95853 95904 96309 95756"
REALISED_ACCURACY = "94220 94220 95020 94360 94100 91460 91560 91440 92240 91220"


def rows(table: Any) -> tuple[Floats, Floats, Floats]:
    """Score, served class and true class of each row."""
    counts = np.array(table)
    score, predicted, label = np.repeat(counts[:, :3].astype(float), counts[:, 3], axis=0).T
    return score / 100, predicted, label


@pytest.fixture(scope="module")
def calibrator() -> Calibrator:
    """Fitted on the reference."""
    score, _, label = rows(CAR_LOAN["reference"])
    return fit_calibrator(score, label)


def pins(text: str) -> list[float]:
    return [int(each) / 1e5 for each in text.split()]


def test_estimates_on_the_car_loan_data_are_those_of_nannyml(calibrator: Calibrator) -> None:
    """NannyML 0.13.1, chunks of 5,000 rows: AUC, accuracy and F1, to five decimals."""
    windows = [rows(table) for table in CAR_LOAN["windows"]]
    assert [round(expected_auc(score, calibrator(score)), 5) for score, _, _ in windows] == pins(AUC)
    found = [expected_confusion(calibrator(score), predicted) for score, predicted, _ in windows]
    assert [round(each.accuracy, 5) for each in found] == pins(ACCURACY)
    assert [round(each.f1, 5) for each in found] == pins(F1)


def test_with_certain_labels_the_estimates_are_the_metrics(calibrator: Calibrator) -> None:
    """The realised AUC and accuracy of the same windows; the estimates miss them by 0.3 points on average."""
    windows = [rows(table) for table in CAR_LOAN["windows"]]
    realised = [expected_confusion(label, predicted).accuracy for _, predicted, label in windows]
    assert [round(each, 5) for each in realised] == pins(REALISED_ACCURACY)
    assert [round(expected_auc(score, label), 5) for score, _, label in windows] == pins(REALISED_AUC)
    estimated = [expected_confusion(calibrator(score), predicted).accuracy for score, predicted, _ in windows]
    assert np.abs(np.array(estimated) - realised).mean() == pytest.approx(0.0031, abs=5e-5)


def test_every_metric_of_the_matrix_is_expected() -> None:
    """By hand, from two sure rows of each kind."""
    found = expected_confusion([1, 1, 0, 0, 1], [1, 0, 0, 1, 1])
    assert (found.tp, found.fp, found.fn, found.tn) == (2, 1, 1, 1)
    assert (found.accuracy, found.precision, found.recall) == (0.6, 2 / 3, 2 / 3)
    assert (found.specificity, found.f1) == (0.5, 2 / 3)
    nothing = expected_confusion([], [])
    assert np.isnan([nothing.accuracy, nothing.precision, nothing.recall, nothing.f1]).all()


def test_several_classes_have_a_matrix_of_their_own() -> None:
    """Rows by true and predicted class; the diagonal over all is the accuracy."""
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    matrix = expected_confusion_of_classes(p, np.array([0, 1, 2]))
    assert matrix.sum() == pytest.approx(3)
    assert np.trace(matrix) == pytest.approx(1.9)
    assert matrix[:, 0].tolist() == [0.7, 0.2, 0.1]
    with pytest.raises(ShapeMismatch):
        expected_confusion_of_classes(p, np.array([0, 1]))


def test_an_expected_loss_is_that_of_both_truths_weighted() -> None:
    """The log loss of a score of 0.8 that is right in nine of ten cases."""
    found = expected_mean([0.9], [-np.log(0.8)], [-np.log(0.2)])
    assert found[0] == pytest.approx(-0.9 * np.log(0.8) - 0.1 * np.log(0.2))


@pytest.mark.parametrize("n", [40, 5000])
def test_the_accuracy_of_rows_with_different_chances_lies_in_its_interval(n: int) -> None:
    """Exact for few rows (equal chances: the binomial), and normal for many."""
    lower, upper = accuracy_interval([0.9] * n)
    exact = distributions.binom(n, 0.9)
    near = 1.5 / n if n > 2000 else 1e-12
    assert (lower, upper) == pytest.approx((exact.ppf(0.025) / n, exact.ppf(0.975) / n), abs=near)
    assert accuracy_interval([]) == (0.0, 1.0)
    with pytest.raises(UsageError, match="outside"):
        accuracy_interval([1.5])


def test_a_threshold_on_confidence_gives_the_accuracy_back() -> None:
    """Average thresholded confidence: on the labelled rows themselves it is right by definition."""
    confidences = np.random.default_rng(1).random(1000)
    for accuracy in (0.0, 0.37, 1.0):
        assert (confidences >= confidence_threshold(confidences, accuracy)).mean() == pytest.approx(accuracy)
    with pytest.raises(UsageError, match="No threshold"):
        confidence_threshold([], 0.5)
