"""What the trees of a library add up to is what its estimator answers, and contributions are Shapley's of that."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from kairos.models.contributions import contributions, tree_contributions
from kairos.models.finish import ModelOptions
from kairos.models.package import Package, open_package
from kairos.models.recalibrated import Recalibrated
from kairos.models.score import score_columns
from kairos.models.summed import SummedTrees, summed_trees
from kairos.stats.recalibration import Recalibration
from tests.models.trainings import finish

RNG = np.random.default_rng(2)
N = 300
NUMBERS = pd.DataFrame(RNG.normal(size=(N, 4)).round(1), columns=list("abcd"))
NUMBERS["users"] = 100 + NUMBERS.a * NUMBERS.b + (NUMBERS.c > 0) * 9 + RNG.normal(size=N)
GAPS = NUMBERS.mask((RNG.random(NUMBERS.shape) < 0.1) & (NUMBERS.columns != "users"))
KINDS = GAPS.drop(columns="d").assign(kind=pd.Categorical(RNG.choice(["cat", "dog", "emu", "fox"], N)))
KINDS = KINDS.assign(size=pd.Categorical(np.array(["s", "m", None])[RNG.integers(0, 3, N)]))
KINDS = KINDS[["a", "size", "b", "kind", "c", "users"]]  # categories between numbers
KINDS["users"] += 20 * (KINDS.kind == "dog") * (KINDS["size"] == "s") - 7 * KINDS["size"].isna()
PICTURES = pl.DataFrame({"x": RNG.normal(size=N), "picture": RNG.normal(size=(N, 3)), "z": RNG.normal(size=N)})
PICTURES = PICTURES.with_columns(users=pl.Series(PICTURES["picture"].to_numpy()[:, 1]) * 9 + 5 * pl.col("x"))
CHANCES = NUMBERS.assign(users=(NUMBERS.users > 100).astype(int))
few = {"n_estimators": 9, "random_state": 0}
lightgbm: dict[str, Any] = {**few, "min_child_samples": 5, "verbose": -1}

CASES: dict[str, tuple[Any, Any]] = {
    "histograms": (HistGradientBoostingRegressor(max_iter=9), GAPS),
    "histograms of categories": (HistGradientBoostingRegressor(max_iter=9), KINDS),
    "histograms of numbers as categories": (
        HistGradientBoostingRegressor(max_iter=9, categorical_features=["d"]),
        GAPS.assign(d=RNG.integers(0, 5, N).astype(float)),
    ),
    "histograms of arrays": (HistGradientBoostingRegressor(max_iter=9), PICTURES),
    "boosted": (GradientBoostingRegressor(**few), NUMBERS),
    "forest": (RandomForestRegressor(**few), GAPS),
    "forest of chances": (RandomForestClassifier(**few), CHANCES),
    "extra trees": (ExtraTreesRegressor(**few), GAPS),
    "one tree": (DecisionTreeRegressor(random_state=0), GAPS),
    "one leaf": (DecisionTreeRegressor(min_samples_leaf=N), NUMBERS),
    "lightgbm": (LGBMRegressor(**lightgbm), GAPS),
    "lightgbm of categories": (LGBMRegressor(min_data_per_group=5, **lightgbm), KINDS),
    "lightgbm, a mean of trees": (
        LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **lightgbm), GAPS,
    ),
    "lightgbm that drops trees": (LGBMRegressor(boosting_type="dart", **lightgbm), GAPS),
    "xgboost": (XGBRegressor(**few), GAPS),
    "xgboost from another start": (XGBRegressor(base_score=7.0, num_parallel_tree=2, **few), GAPS),
    "put right": (HistGradientBoostingRegressor(max_iter=9), GAPS),
}  # fmt: skip


def packaged(folder: Path, case: str) -> tuple[Package, SummedTrees]:
    """A case's package, and its trees."""
    estimator, table = CASES[case]
    loss = "log_loss" if "chances" in case else "squared_error"
    options = ModelOptions(loss=loss)
    package = open_package(finish(folder, estimator, options, train=table))
    held = package.estimator()
    if case == "put right":
        held = Recalibrated(held, level=5.0, slope=0.5)
    found = summed_trees(held, package.spec.signature)
    assert found is not None
    return package, found


def by_definition(answer: Any, own: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """The mean of what taking an input from the row changes, over all subsets of the others, as Shapley weighs them."""
    names, count = list(own), len(own)
    subsets = list(itertools.product([False, True], repeat=count))
    rows = {
        name: np.concatenate([(own if taken[place] else other)[name] for taken in subsets])
        for place, name in enumerate(names)
    }
    value = dict(zip(subsets, np.asarray(answer(rows)).tolist(), strict=True))
    found = []
    for place in range(count):
        total = 0.0
        for taken, without in value.items():
            if not taken[place]:
                size = sum(taken)
                weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
                total += weight * (value[(*taken[:place], True, *taken[place + 1 :])] - without)
        found.append(total)
    return found


@pytest.mark.parametrize("case", CASES)
def test_walked_trees_give_the_definitions_values_and_the_models_answers(case: str, tmp_path: Path) -> None:
    """Against all subsets of few inputs, asked of the estimator itself; an array or a category is one input."""
    package, found = packaged(tmp_path, case)
    mend = Recalibration(level=5.0, slope=0.5) if case == "put right" else lambda answers: answers
    predict = package.native_runner().predict
    columns = score_columns(package, CASES[case][1])
    near = 1e-5 if found.is_single else 1e-9
    answers = mend(predict(columns))
    np.testing.assert_allclose(found.trees.raw(found.seen(columns)), answers, rtol=near, atol=near * 100)
    for place in (3, 10, 77):
        own, other = ({name: values[[at]] for name, values in columns.items()} for at in (place, place + 1))
        walked = tree_contributions(
            found.trees, found.seen(own)[0], found.seen(other)[0], found.signature.names, inputs=found.inputs
        )
        expected = by_definition(lambda row: mend(predict(row)), own, other)
        np.testing.assert_allclose(list(walked.by_input.values()), expected, atol=near * 300)
        assert walked.base + sum(walked.by_input.values()) == pytest.approx(walked.answer, abs=1e-9)
        assert walked.answer == pytest.approx(answers[place], rel=near)


def test_a_level_that_was_never_seen_goes_where_a_missing_one_goes(tmp_path: Path) -> None:
    """As the estimator sends it."""
    package, found = packaged(tmp_path, "histograms of categories")
    columns = dict(score_columns(package, KINDS))
    columns["kind"] = np.array(["gnu"] * N, dtype=object)
    missing = {**columns, "kind": np.array([None] * N, dtype=object)}
    np.testing.assert_array_equal(found.trees.raw(found.seen(columns)), found.trees.raw(found.seen(missing)))
    np.testing.assert_allclose(found.trees.raw(found.seen(columns)), package.native_runner().predict(columns))


def test_many_inputs_are_exact_and_sampling_agrees_within_its_errors(tmp_path: Path) -> None:
    """Thirty inputs with categories: no subset could be asked for, and they add up to the answer all the same."""
    table = pd.DataFrame(RNG.normal(size=(N, 29)), columns=[f"c{i}" for i in range(29)])
    table = table.assign(kind=KINDS.kind, users=KINDS.users + table.c3 * table.c4 * 5)
    package = open_package(finish(tmp_path, HistGradientBoostingRegressor(max_iter=20), ModelOptions(), train=table))
    found = summed_trees(package.estimator(), package.spec.signature)
    assert found is not None
    columns = score_columns(package, table)
    own, other = ({name: values[[at]] for name, values in columns.items()} for at in (5, 6))
    walked = tree_contributions(
        found.trees, found.seen(own)[0], found.seen(other)[0], found.signature.names, inputs=found.inputs
    )
    assert walked.base + sum(walked.by_input.values()) == pytest.approx(walked.answer, abs=1e-9)
    assert walked.answer == pytest.approx(package.runner().predict(own)[0])
    sampled = contributions(package.runner().predict, own, other)
    for name, value in walked.by_input.items():
        assert abs(sampled.by_input[name] - value) <= 6 * sampled.errors[name] + 1e-9


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (LinearRegression(), NUMBERS.users),
        (HistGradientBoostingRegressor(loss="poisson", max_iter=2), NUMBERS.users),
        (HistGradientBoostingClassifier(max_iter=2), CHANCES.users),
        (GradientBoostingRegressor(init=LinearRegression(), n_estimators=2), NUMBERS.users),
        (LGBMRegressor(objective="poisson", **lightgbm), NUMBERS.users),
        (XGBRegressor(booster="dart", n_estimators=2), NUMBERS.users),
    ],
)
def test_what_is_no_plain_sum_of_trees_has_none(tmp_path: Path, estimator: BaseEstimator, target: Any) -> None:
    """A link function, another start, other kinds of models."""
    package = open_package(finish(tmp_path, estimator, ModelOptions(), train=NUMBERS.assign(users=target)))
    assert summed_trees(package.estimator(), package.spec.signature) is None
