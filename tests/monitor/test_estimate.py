"""How good a version is before the labels are there: estimates, their interval, and why not to rely on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kairos.gates.losses import loss_named
from kairos.monitor.estimate import Estimate, Estimator, LabelledRows, NewRows
from kairos.monitor.learners import day_folds, domain_chances, fit_loss

Floats = NDArray[np.float64]
Rows = tuple[Floats, Floats, Floats, NDArray[np.int64]]

ABSOLUTE = loss_named("absolute_error")
LOG = loss_named("log_loss")


def numbers(
    rng: np.random.Generator, days: int, *, mean: float = 0.0, noise: float = 1.0, bad_day: float = 0.1
) -> Rows:
    """Inputs, predictions, labels and days of 24 rows a day; errors are larger where the first input is large."""
    day = np.repeat(np.arange(days), 24)
    x = np.column_stack([rng.normal(mean, 1, size=day.size), rng.normal(size=day.size)])
    spread = noise * (2 + np.maximum(x[:, 0], -1))
    return (
        x,
        10 * x[:, 1],
        10 * x[:, 1] + spread * rng.normal(size=day.size) * (1 + bad_day * rng.normal(size=days)[day]),
        day,
    )


def chances(
    rng: np.random.Generator, days: int, *, mean: float = 0.0
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """The same for probabilities that are too sure of themselves."""
    day = np.repeat(np.arange(days), 24)
    x = rng.normal(mean, 1, size=(day.size, 2))
    p = 1 / (1 + np.exp(-2 * x[:, 0]))
    return x, np.clip(1 / (1 + np.exp(-3 * x[:, 0])), 0.01, 0.99), (rng.random(day.size) < p).astype(float), day


def estimator(draw: Any, loss: Any, seed: int = 1, days: int = 60) -> Estimator:
    x, prediction, label, day = draw(np.random.default_rng(seed), days)
    rows = LabelledRows(inputs=x, is_category=(False, False), prediction=prediction, label=label, days=day)
    return Estimator(rows, loss)


def waiting(x: Floats, prediction: Floats, day: NDArray[np.int64]) -> NewRows:
    """Rows without any label."""
    none = np.full(prediction.size, np.nan)
    return NewRows(inputs=x, prediction=prediction, label=none, chances=np.zeros(prediction.size), days=day)


def look(of: Estimator, draw: Any, seed: int, days: int = 10, **changes: Any) -> tuple[Estimate, Floats, Floats]:
    x, prediction, label, day = draw(np.random.default_rng(seed), days, **changes)
    return of.estimate(waiting(x, prediction, day)), prediction, label


@pytest.mark.parametrize(("draw", "loss"), [(numbers, ABSOLUTE), (chances, LOG)])
def test_inputs_that_shift_to_where_errors_are_larger_are_seen(draw: Any, loss: Any) -> None:
    """No label is there: the estimate follows the realised loss, and the reference's own mean does not."""
    known = estimator(draw, loss)
    _, prediction, label, _ = draw(np.random.default_rng(1), 60)
    before = float(loss(label, prediction).mean())
    mean = 0.7 if draw is numbers else -1.0
    found, prediction, label = look(known, draw, 7, days=20, mean=mean)
    realised = float(loss(label, prediction).mean())
    assert abs(realised - before) > 0.1 * before
    assert abs(found.value - realised) < 0.35 * abs(realised - before)
    assert found.lower < realised < found.upper
    assert found.rows == 480


@pytest.mark.parametrize(("draw", "loss"), [(numbers, ABSOLUTE), (chances, LOG)])
def test_the_interval_holds_the_realised_loss(draw: Any, loss: Any) -> None:
    """Of twelve stretches without a shift nearly all; and it is no wider than it has to be."""
    inside, widths, spread = 0, [], []
    for number in range(3):
        known = estimator(draw, loss, seed=100 + number)
        for again in range(4):
            found, prediction, label = look(known, draw, 1000 * number + again)
            realised = float(loss(label, prediction).mean())
            inside += found.lower <= realised <= found.upper
            widths.append(found.upper - found.lower)
            spread.append(realised)
    assert inside >= 10
    assert np.mean(widths) < 12 * np.std(spread)


def test_labels_that_have_come_put_the_estimate_right() -> None:
    """The world has become twice as noisy: inputs do not show it, a sixth of the labels does."""
    known = estimator(numbers, ABSOLUTE)
    x, prediction, label, day = numbers(np.random.default_rng(8), 20, noise=2.0)
    realised = float(ABSOLUTE(label, prediction).mean())
    blind = known.estimate(waiting(x, prediction, day))
    is_known = np.arange(label.size) % 6 == 0
    rows = NewRows(
        inputs=x,
        prediction=prediction,
        label=np.where(is_known, label, np.nan),
        chances=np.full(label.size, 1 / 6),
        days=day,
    )
    found = known.estimate(rows)
    assert blind.upper < realised
    assert found.lower < realised < found.upper
    assert found.labelled == is_known.sum()
    assert abs(found.value - realised) < 0.15 * realised
    too_young = known.estimate(
        NewRows(inputs=x, prediction=prediction, label=rows.label, chances=np.zeros(label.size), days=day)
    )
    assert too_young.methods == blind.methods, "labels of rows that are too young for most labels say nothing"


def test_rows_unlike_any_of_the_holdout_are_flagged() -> None:
    """What the estimate says of them is a guess, and it says so."""
    known = estimator(numbers, ABSOLUTE)
    assert look(known, numbers, 9)[0].flags == ()
    (flag, *_) = look(known, numbers, 9, mean=6.0)[0].flags
    assert "unlike the holdout's" in flag
    assert "have no counterpart" in flag


def test_without_inputs_the_prediction_alone_says_something() -> None:
    """If the capture policy keeps none: weights are even, and nothing is flagged for it."""
    _, prediction, label, day = chances(np.random.default_rng(1), 60)
    empty = np.empty((day.size, 0))
    known = Estimator(LabelledRows(inputs=empty, is_category=(), prediction=prediction, label=label, days=day), LOG)
    _, prediction, label, day = chances(np.random.default_rng(2), 10, mean=-1.0)
    found = known.estimate(waiting(np.empty((day.size, 0)), prediction, day))
    assert found.effective_share == 1.0
    assert found.methods.keys() == {"cbpe", "pape", "weighted"}
    assert found.lower < LOG(label, prediction).mean() < found.upper


def test_a_row_is_told_about_by_models_that_have_not_seen_its_day() -> None:
    """Labels made of noise that is the same all day cannot be learnt by heart."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(40), 24)
    noise = np.abs(rng.normal(size=40))[day]
    model = fit_loss(day[:, np.newaxis].astype(float), noise, day, is_category=(False,))
    assert np.corrcoef(model.left_out, noise)[0, 1] < 0.3
    assert len(model.parts) == 5
    old, new = domain_chances(
        rng.normal(size=(480, 2)), rng.normal(size=(240, 2)), np.arange(480) // 24, np.arange(240) // 24,
        is_category=(False, False),
    )  # fmt: skip
    assert old.mean() == pytest.approx(1 / 3, abs=0.06)
    assert abs(old.mean() - new.mean()) < 0.08
    assert day_folds(np.array([7, 7, 9, 3]), 2).tolist() == [1, 1, 0, 0]


def test_one_day_is_enough_to_say_something() -> None:
    """Of a holdout of one day nothing can be left out; the estimate is there, with its error."""
    x, prediction, label, day = numbers(np.random.default_rng(4), 6)
    rows = LabelledRows(inputs=x, is_category=(False, False), prediction=prediction, label=label, days=0 * day)
    found = Estimator(rows, ABSOLUTE).estimate(waiting(x[:48], prediction[:48], 0 * day[:48]))
    assert 0 <= found.lower < found.value < found.upper < np.inf
