"""Which labels a model can be judged by, as its estimator has learnt."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import GammaRegressor, LinearRegression, PoissonRegressor, TweedieRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kairos.models.finish import ModelOptions
from kairos.models.signature import Signature
from kairos.models.truths import CHANCE, Truths, truths_of
from kairos.values import plain
from tests.models.trainings import finished, hours

COUNTS, AMOUNTS = Truths(lower=0.0), Truths(lower=0.0, is_open=True)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (HistGradientBoostingRegressor(loss="poisson"), COUNTS),
        (HistGradientBoostingRegressor(loss="gamma"), AMOUNTS),
        (RandomForestRegressor(criterion="poisson"), COUNTS),
        (PoissonRegressor(), COUNTS),
        (GammaRegressor(), AMOUNTS),
        (TweedieRegressor(power=0), Truths()),
        (TweedieRegressor(power=1.5), COUNTS),
        (TweedieRegressor(power=2), AMOUNTS),
        (make_pipeline(StandardScaler(), PoissonRegressor()), COUNTS),
        (LinearRegression(), Truths()),
    ],
    ids=repr,
)
def test_an_estimators_own_loss_says_what_can_be_true(estimator: Any, expected: Truths) -> None:
    """What it says no to when it learns can be no label either; scikit-learn itself is asked."""
    assert truths_of(estimator) == expected
    x = np.arange(20.0).reshape(-1, 1)
    for value in (-3.0, 0.0, 3.0):
        y = np.append(np.arange(1.0, 20.0), value)
        if expected.takes(value):
            estimator.fit(x, y)
        else:
            with pytest.raises(ValueError, match=r"negative|out of the valid range|strictly"):
                estimator.fit(x, y)


def test_a_classifier_takes_the_classes_that_it_has_learnt(tmp_path: Path) -> None:
    """They are a part of the package's signature, and read back with it."""
    seasons = hours().select("hour_of_day", "temperature", users=pl.col("users") // 80)
    learnt = tuple(sorted(map(float, seasons["users"].unique())))
    package = finished(
        tmp_path, HistGradientBoostingClassifier(max_iter=2), ModelOptions(loss="zero_one"), train=seasons
    )
    truths = package.spec.signature.output.truths
    assert truths == Truths(classes=learnt)
    assert [truths.takes(value) for value in (learnt[0], 0.5, 99.0)] == [True, False, False]
    assert truths.plain().endswith(f" or {learnt[-1]:g}")


def test_of_chances_zero_and_one_are_true(tmp_path: Path) -> None:
    """As the log loss has it."""
    busy = hours().select("hour_of_day", users=(pl.col("users") > 80).cast(pl.Int64))
    package = finished(tmp_path, HistGradientBoostingClassifier(max_iter=2), ModelOptions(loss="log_loss"), train=busy)
    assert package.spec.signature.output.truths == CHANCE


def test_a_package_of_before_takes_every_finite_number() -> None:
    """It says nothing about its truths."""
    old = plain(Signature.from_plain({"columns": [], "output": {"kind": "number", "lower": 0.0, "upper": None}}))
    truths = Signature.from_plain(old).output.truths
    assert [truths.takes(value) for value in (-1e9, 0.5, math.nan, math.inf)] == [True, True, False, False]
    assert truths.plain() == "a finite number"


def test_many_classes_are_not_all_told() -> None:
    """A message is no list of a thousand numbers."""
    assert Truths(classes=tuple(map(float, range(1000)))).plain().endswith("19 or 980 other classes")
