"""RMSE, AUC and metrics of classes: values as scikit-learn gives them, uncertainty as others have published it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.auc import paired_auc
from kairos.stats.cells import paired_confusion
from kairos.stats.confusion import CONFUSION_METRICS, confusion_moves, confusion_value
from kairos.stats.dependence import Dependence
from kairos.stats.paired import paired_mean
from kairos.stats.rmse import paired_rmse

PLACE = np.arange(1, 201)
TRUTH = ((PLACE * (math.sqrt(5) - 1) / 2) % 1 < 0.4).astype(int)
FIRST = np.round(0.5 * TRUTH + (PLACE * math.sqrt(2)) % 1, 2)
SECOND = np.round(0.7 * TRUTH + (PLACE * math.sqrt(3)) % 1, 2)


def test_delongs_test_is_that_of_mlstatkit() -> None:
    """Pinned from MLstatkit 0.1.91, with ties among the scores: areas, variance and z."""
    got = paired_auc(TRUTH, FIRST, SECOND, alpha=0.05)
    assert (got.champion, got.challenger) == pytest.approx((0.8642117376294591, 0.9569515639711267))
    assert got.se**2 == pytest.approx(0.0008102766742601043)
    assert got.difference / got.se == pytest.approx(3.257988971690766)
    assert 2 * got.p_above(0.0) == pytest.approx(0.0011220476681409928)
    assert (got.own_lower, got.own_upper) == pytest.approx(
        (got.challenger - 1.6449 * 0.0118, got.challenger + 1.6449 * 0.0118), abs=1e-3
    )


def test_an_area_of_dependent_rows_is_less_sure() -> None:
    """Each row ten times, as one entity: as sure as the row alone; as if independent, three times as sure."""
    many = [np.repeat(x, 10) for x in (TRUTH, FIRST, SECOND)]
    single = paired_auc(TRUTH, FIRST, SECOND, alpha=0.05)
    blind = paired_auc(*many, alpha=0.05)
    tied = paired_auc(*many, alpha=0.05, dependence=Dependence(entities=np.repeat(PLACE, 10)))
    assert tied.se == pytest.approx(single.se, rel=0.01)
    assert blind.se == pytest.approx(single.se / math.sqrt(10), rel=0.01)
    assert tied.design_effect == pytest.approx(10, rel=0.02)


def test_an_area_needs_two_classes_and_two_rows_of_each() -> None:
    """Else nothing is known; and what is no class, or not paired, is refused."""
    lonely = paired_auc([1, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], alpha=0.05)
    assert (lonely.lower, lonely.upper) == (-math.inf, math.inf)
    with pytest.raises(UsageError, match="two classes"):
        paired_auc([0, 2], [0.1, 0.2], [0.1, 0.2], alpha=0.05)
    with pytest.raises(ShapeMismatch, match="3 and 2"):
        paired_auc([0, 1, 1], [0.1, 0.2], [0.1, 0.2], alpha=0.05)


def test_rmse_is_judged_by_the_delta_method() -> None:
    """The standard error is that of the rows' influence, and that of resampled rows."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(300), 0.9 * rng.standard_normal(300)
    got = paired_rmse(a, b, alpha=0.05)
    roots = math.sqrt((a**2).mean()), math.sqrt((b**2).mean())
    assert (got.champion, got.challenger) == pytest.approx(roots)
    moves = a**2 / (2 * roots[0]) - b**2 / (2 * roots[1])
    assert got.se == pytest.approx(moves.std(ddof=1) / math.sqrt(300))
    resampled = []
    for _ in range(2000):
        rows = rng.integers(0, 300, 300)
        resampled.append(math.sqrt((a[rows] ** 2).mean()) - math.sqrt((b[rows] ** 2).mean()))
    assert got.se == pytest.approx(np.std(resampled), rel=0.06)
    assert paired_rmse([0.0, 0.0], [0.0, 0.0], alpha=0.05).difference == 0.0
    assert paired_rmse([], [], alpha=0.05).lower == -math.inf


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    """Of two classes the second is the positive one; of more, the mean over all."""
    rng = np.random.default_rng(classes)
    y, p = rng.integers(0, classes, 400), rng.integers(0, classes, 400)
    p[:250] = y[:250]
    more: dict[str, Any] = {} if classes == 2 else {"average": "macro"}
    table = metrics.confusion_matrix(y, p).astype(float)
    want = {
        "accuracy": metrics.accuracy_score(y, p),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, p),
        "f1": metrics.f1_score(y, p, **more),
        "precision": metrics.precision_score(y, p, **more),
        "recall": metrics.recall_score(y, p, **more),
        "mcc": metrics.matthews_corrcoef(y, p),
    }
    assert want.keys() == CONFUSION_METRICS.keys()
    for name, value in want.items():
        assert float(confusion_value(name, table)) == pytest.approx(value), name
        assert float((confusion_moves(name, table) * table).sum()) == pytest.approx(0.0, abs=1e-6 * 400), name


def test_what_would_be_nothing_of_nothing_is_nothing() -> None:
    """No answer of the class, no row of it: 0, without a warning."""
    empty = np.array([[10.0, 0.0], [0.0, 0.0]])
    assert [float(confusion_value(name, empty)) for name in ("f1", "precision", "recall", "mcc")] == [0.0] * 4
    assert float(confusion_value("balanced_accuracy", empty)) == 1.0
    with pytest.raises(UsageError, match="Did you mean 'recall'"):
        confusion_value("recal", empty)


@pytest.mark.parametrize("metric", CONFUSION_METRICS)
def test_cells_are_resampled_as_rows_would_be(metric: str) -> None:
    """The same bounds as two thousand paired resamples of rows, to the noise of both; and always the same ones."""
    rng = np.random.default_rng(2)
    y = (rng.uniform(size=1500) < 0.3).astype(int)
    a, b = (np.where(rng.uniform(size=1500) < share, y, 1 - y) for share in (0.8, 0.84))
    got = paired_confusion(metric, y, a, b, alpha=0.05, seed=7)
    rows = rng.integers(0, 1500, (2000, 1500))
    tables = [np.zeros((2000, 2, 2)), np.zeros((2000, 2, 2))]
    for table, said in zip(tables, (a, b), strict=True):
        for i in range(2):
            for j in range(2):
                table[:, i, j] = ((y[rows] == i) & (said[rows] == j)).sum(axis=1)
    resampled = confusion_value(metric, tables[1]) - confusion_value(metric, tables[0])
    noise = 0.12 * resampled.std()
    assert got.lower == pytest.approx(np.quantile(resampled, 0.05), abs=noise)
    assert got.upper == pytest.approx(np.quantile(resampled, 0.95), abs=noise)
    assert got.se == pytest.approx(resampled.std(), rel=0.08)
    assert got == paired_confusion(metric, y, a, b, alpha=0.05, seed=7)
    assert got.p_above(got.lower) == pytest.approx(0.05, abs=1e-6)
    assert got.p_below(got.upper) == pytest.approx(0.05, abs=1e-6)


def test_accuracy_by_cells_is_the_mean_of_what_is_right() -> None:
    """With moments as well: the design effect is that of the rows that are right, and stretches the bounds."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 600)
    wave = np.repeat(rng.uniform(size=30) < 0.3, 20)
    a, b = y.copy(), np.where(wave, 1 - y, y)
    times = Dependence(times=np.arange(600))
    cells = paired_confusion("accuracy", y, a, b, alpha=0.05, seed=1, dependence=times)
    mean = paired_mean(a != y, b != y, alpha=0.05, dependence=times)
    assert cells.difference == pytest.approx(mean.difference)
    assert cells.se == pytest.approx(mean.se, rel=1e-3)
    assert (cells.lower, cells.upper) == pytest.approx((mean.lower, mean.upper), abs=0.03)


def test_too_many_classes_and_unpaired_ones_are_refused() -> None:
    """Cells would be as many as rows; no rows are no knowledge."""
    with pytest.raises(UsageError, match="at most 10"):
        paired_confusion("f1", range(11), range(11), range(11), alpha=0.05, seed=0)
    with pytest.raises(ShapeMismatch, match="not paired"):
        paired_confusion("f1", [0, 1], [0], [0, 1], alpha=0.05, seed=0)
    assert paired_confusion("f1", [], [], [], alpha=0.05, seed=0).upper == math.inf
