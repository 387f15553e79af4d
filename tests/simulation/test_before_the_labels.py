"""Estimates from labels that come late, and from predictions alone: unbiased where their assumptions hold."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decisions.once import shifted_scores, unseen_errors
from kairos.stats.arrival import arrival_chances, arrival_curve_of_labelled, count_arrivals
from kairos.stats.powered import powered_mean, waiting_probabilities

RUNS = 2_000
DAY_S = 86400.0


def test_a_rate_is_right_although_labels_of_one_class_are_slow() -> None:
    """S14. Three in ten are positive, and their labels take ten times as long: of the last week's labels few are.

    Each label counts as many times as the share of labels of its class that its age allows, learnt from the log.
    """
    rng = np.random.default_rng(14)
    corrected, naive = [], []
    for _ in range(RUNS):
        ages = rng.uniform(1, 60, size=2500) * DAY_S
        positive = rng.random(ages.size) < 0.3
        delays = rng.exponential(np.where(positive, 10.0, 1.0)) * DAY_S
        delays = np.where(delays <= ages, delays, np.nan)
        chances = np.ones(ages.size)
        for label in (True, False):
            mine = positive == label
            curve = arrival_curve_of_labelled(count_arrivals(delays[mine], ages[mine]))
            chances[mine] = arrival_chances(curve, ages[mine])
        young = ages < 7 * DAY_S
        observed = np.where(np.isnan(delays), np.nan, positive.astype(float))[young]
        usable = np.isnan(observed) | (chances[young] > 0)
        corrected.append(powered_mean(observed[usable], np.where(np.isnan(observed), 1, chances[young])[usable]).mean)
        naive.append(np.nanmean(observed))
    assert np.mean(naive) - 0.3 < -0.1
    assert abs(np.mean(corrected) - 0.3) < 0.005


def test_what_calibrated_scores_expect_is_what_comes() -> None:
    """S15. Scores are lower than they were, and still calibrated: accuracy and F1 are right on average."""
    errors = unseen_errors(RUNS)
    for each in (errors.accuracy, errors.precision):
        assert abs(each.mean()) < 2 * each.std() / np.sqrt(RUNS)
    assert abs(errors.f1.mean()) < 0.003  # a ratio of means is not the mean of ratios


def test_rows_that_wait_are_expected_as_what_waits() -> None:
    """Of rows without a label the positive share is twice what the scores say, as positives are slow; that is seen."""
    rng = np.random.default_rng(16)
    scores, truth = shifted_scores(rng, RUNS, 400)
    waits = rng.random(scores.shape) < np.where(truth == 1, 0.8, 0.2)
    naive, told = [], []
    for p, y, w in zip(scores, truth, waits, strict=True):
        naive.append(p[w].mean() - y[w].mean())
        told.append(waiting_probabilities(p[w], np.full(w.sum(), 0.2), np.full(w.sum(), 0.8)).mean() - y[w].mean())
    assert np.mean(naive) < -0.2
    assert abs(np.mean(told)) < 3 * np.std(told) / np.sqrt(RUNS)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_the_interval_of_a_powered_mean_covers(correlation: float) -> None:
    """A twentieth is labelled at random; estimates that are worthless or good: 95 % hold the mean of all rows."""
    rng = np.random.default_rng(17)
    n, misses, widths = 600, 0, []
    for _ in range(RUNS):
        truth = rng.normal(size=n)
        estimated = correlation * truth + np.sqrt(1 - correlation**2) * rng.normal(size=n) + 1.0
        observed = np.where(rng.random(n) < 0.1, truth, np.nan)
        found = powered_mean(observed, np.full(n, 0.1), estimated=estimated)
        misses += not found.lower <= 0.0 <= found.upper
        widths.append(found.upper - found.lower)
    assert misses / RUNS <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / RUNS)
    assert np.mean(widths) < (0.75 if correlation == 0.0 else 0.35)
