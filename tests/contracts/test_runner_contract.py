"""Every runner keeps the promises of the port, in each form that an estimator may want its input in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kairos.models.compiled import CompiledRunner
from kairos.models.compiling.prove import compile_model
from kairos.models.frames import frame_kind, read_column
from kairos.models.ports import Runner
from kairos.models.runner import SklearnRunner, choose_form
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.testing import RunnerContract

RNG = np.random.default_rng(7)
ROWS = 60
VALUES: dict[str, Any] = {
    "temperature": RNG.normal(size=ROWS),
    "hour": RNG.integers(0, 24, ROWS),
    "season": RNG.choice(["summer", "winter"], ROWS).tolist(),
}
USERS = 3 * VALUES["hour"] + VALUES["temperature"]


def one_hot() -> Any:
    """A model of numbers and text."""
    columns = make_column_transformer((OneHotEncoder(), ["season"]), ("passthrough", ["temperature", "hour"]))
    return make_pipeline(columns, LinearRegression())


CASES: dict[str, tuple[Any, Any]] = {
    "matrix": (
        HistGradientBoostingRegressor(max_iter=20, random_state=0),
        pl.DataFrame(VALUES).select("temperature", "hour"),
    ),
    "polars": (one_hot(), pl.DataFrame(VALUES)),
    "pandas": (one_hot(), pd.DataFrame(VALUES)),
}


class TestRunners(RunnerContract):
    """Each form of the native runner, and the compiled form of the same model."""

    @pytest.fixture(params=[(case, is_compiled) for is_compiled in (False, True) for case in CASES], ids=str)
    def case(self, request: pytest.FixtureRequest) -> tuple[Runner, Mapping[str, np.ndarray[Any, Any]]]:
        """A runner of each form, and the rows that it was fitted on."""
        name, is_compiled = request.param
        estimator, frame = CASES[name]
        estimator.fit(frame, USERS)
        read = [read_column(frame, name) for name in frame.columns]
        signature = Signature(
            columns=tuple(Column(name=c.name, kind=c.kind, levels=c.levels) for c in read), output=OutputSpec()
        )
        values = {c.name: c.values for c in read}
        dtypes = {c.name: c.dtype for c in read}
        form = choose_form(estimator, frame, frame_kind(frame), values, dtypes, signature, "predict")
        assert form.kind == name
        native = SklearnRunner(copy.deepcopy(estimator), signature=signature, form=form, method="predict")
        if not is_compiled:
            return native, values
        compilation, data = compile_model(
            estimator, native, signature=signature, form=form, method="predict", train=values, holdout=None
        )
        assert compilation.is_proven, compilation.why
        return CompiledRunner(data, signature=signature, form=form), values

    @pytest.fixture
    def runner(self, case: tuple[Runner, Mapping[str, np.ndarray[Any, Any]]]) -> Runner:
        """Of the case."""
        return case[0]

    @pytest.fixture
    def columns(self, case: tuple[Runner, Mapping[str, np.ndarray[Any, Any]]]) -> Mapping[str, np.ndarray[Any, Any]]:
        """Of the case."""
        return case[1]
