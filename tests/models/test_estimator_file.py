"""Estimators survive as bytes, equal ones give equal bytes, and nothing untrusted is loaded."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBRegressor, XGBRFRegressor

from kairos.errors import PackageError
from kairos.models.estimator_file import read_estimator, untrusted_types, write_estimator

X = np.random.default_rng(0).normal(size=(200, 3))
Y = X @ [1.0, 2.0, 3.0] + X[:, 0] ** 2

ESTIMATORS = [
    HistGradientBoostingRegressor(max_iter=5, random_state=0),
    RandomForestRegressor(3, random_state=0),
    LinearRegression(),
    make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), LinearRegression()),
    LGBMRegressor(n_estimators=5, random_state=0, verbose=-1),
    XGBRegressor(n_estimators=5, random_state=0),
]


CHANCES = (Y > 0).astype(int)
OF_NUMBERS = make_column_selector(dtype_include="number")
MORE_ESTIMATORS = {
    "neighbours": (KNeighborsRegressor(), Y),
    "neighbours by another distance": (KNeighborsClassifier(metric="canberra"), CHANCES),
    "calibrated": (CalibratedClassifierCV(LinearSVC()), CHANCES),
    "calibrated by steps": (CalibratedClassifierCV(GaussianNB(), method="isotonic"), CHANCES),
    "voting": (VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor(3, random_state=0))]), Y),
    "stacked": (StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())]), CHANCES),
    "chosen columns": (make_pipeline(SelectKBest(f_regression, k=2), Ridge()), Y),
    "columns chosen by type": (make_pipeline(make_column_transformer((StandardScaler(), OF_NUMBERS)), Ridge()), Y),
    "splines": (make_pipeline(SplineTransformer(), Ridge()), Y),
    "tweedie": (TweedieRegressor(power=1.5), np.exp(Y / 5)),
    "a Gaussian process": (GaussianProcessRegressor(RBF() + WhiteKernel(), optimizer=None), Y),
    "searched": (GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2), Y),
    "a forest of xgboost": (XGBRFRegressor(n_estimators=3, random_state=0), Y),
}


class Exploit:
    """A pickle of this creates a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


class OwnEstimator(BaseEstimator):  # type: ignore[misc]
    """A project's own class, which no allow-list knows."""


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_an_estimator_predicts_the_same_after_a_round_trip(estimator: Any) -> None:
    """Bit by bit, and without pickle."""
    data, form = write_estimator(estimator.fit(X, Y))
    assert form == "skops"
    assert untrusted_types(data) == []
    np.testing.assert_array_equal(read_estimator(data, form).predict(X), estimator.predict(X))


@pytest.mark.parametrize("case", MORE_ESTIMATORS)
def test_what_scikit_learn_has_besides_needs_no_pickle_either(case: str) -> None:
    """Neighbours, calibration, votes, stacks, choices of columns: with the same answers and the same bytes again."""
    unfitted, goal = MORE_ESTIMATORS[case]
    table = pd.DataFrame(X, columns=list("abc"))
    first, second = (copy.deepcopy(unfitted).fit(table, goal) for _ in range(2))
    data, form = write_estimator(first)
    assert form == "skops"
    assert write_estimator(second)[0] == data
    np.testing.assert_array_equal(read_estimator(data, form).predict(table), second.predict(table))


def test_a_distance_that_calls_a_function_is_not_trusted() -> None:
    """Whoever wrote the bytes would choose the function."""
    with pytest.raises(PackageError, match="PyFuncDistance64"):
        write_estimator(KNeighborsRegressor(metric=_gap, algorithm="ball_tree").fit(X[:9], Y[:9]))


def _gap(one: Any, other: Any) -> float:
    return float(abs(one - other).max())


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_training_twice_gives_the_same_bytes(estimator: Any) -> None:
    """Neither memory addresses nor the time of day are in the bytes."""
    first, _ = write_estimator(estimator.fit(X, Y))
    another = pickle.loads(pickle.dumps(estimator))
    second, _ = write_estimator(another.fit(X, Y))
    assert first == second


def test_another_process_gives_the_same_bytes() -> None:
    """The digest of a trained estimator does not depend on the process that trained it."""
    program = (
        "import numpy as np, sys, hashlib; from sklearn.ensemble import HistGradientBoostingRegressor as H;"
        "from kairos.models.estimator_file import write_estimator;"
        "x = np.random.default_rng(0).normal(size=(200, 3)); y = x @ [1., 2., 3.];"
        "print(hashlib.md5(write_estimator(H(max_iter=3, random_state=0).fit(x, y))[0]).hexdigest())"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]


def test_a_type_outside_the_allow_list_is_refused_at_writing() -> None:
    """The error names the type and says how to allow pickle."""
    with pytest.raises(PackageError, match="OwnEstimator") as caught:
        write_estimator(OwnEstimator())
    assert "allow_pickle" in str(caught.value)


def test_a_type_outside_the_allow_list_goes_through_pickle_if_allowed() -> None:
    """And it comes back only if reading allows it too."""
    data, form = write_estimator(OwnEstimator(), allow_pickle=True)
    assert form == "pickle"
    assert isinstance(read_estimator(data, form, allow_pickle=True), OwnEstimator)
    with pytest.raises(PackageError, match="runs code"):
        read_estimator(data, form)


def test_bytes_with_an_untrusted_type_are_refused_and_run_nothing(tmp_path: Any) -> None:
    """skops bytes that would call ``os.system`` load nothing."""
    import skops.io

    target = tmp_path / "made"
    data = skops.io.dumps(functools.partial(os.system, f"touch {target}"))
    with pytest.raises(PackageError, match="not trusted"):
        read_estimator(data, "skops")
    with pytest.raises(PackageError):
        read_estimator(pickle.dumps(Exploit(str(target))), "skops")
    assert not target.exists()


def test_damaged_bytes_are_a_package_error() -> None:
    """Not a zip error from somewhere inside."""
    with pytest.raises(PackageError, match="cannot be read"):
        read_estimator(b"PK\x03\x04 nothing", "skops")
    with pytest.raises(PackageError, match="not known"):
        read_estimator(b"", "joblib")


def test_no_address_of_stop_words_is_in_the_bytes() -> None:
    """scikit-learn remembers one, so that a text model that was trained again was another package."""
    texts = ["the bill is wrong", "a crash of the app", "how to pay the bill"]
    first, second = (TfidfVectorizer(stop_words=["the", "a"]).fit(texts) for _ in range(2))
    data, form = write_estimator(first, allow_pickle=False)
    assert data == write_estimator(second, allow_pickle=False)[0]
    np.testing.assert_array_equal(
        read_estimator(data, form, allow_pickle=False).transform(texts).todense(), first.transform(texts).todense()
    )
