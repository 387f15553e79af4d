"""What goes wrong in a model's own ``fit`` and ``predict`` is the project's error: step, line, and what it was."""

from __future__ import annotations

import re

import pytest

import kairos
from kairos.models.finish import FinishModel
from kairos.pipeline.result import Failure
from tests.pipeline.projects import Place

MODEL = """
    import numpy as np
    import polars as pl
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.linear_model import LinearRegression

    class Level(RegressorMixin, BaseEstimator):
        def fit(self, frame, target):
            FIT
            return self
        def predict(self, frame):
            PREDICT
            return np.zeros(len(frame))

    @step
    def train() -> pl.DataFrame:
        return pl.DataFrame({"a": [FIRST, 2.0, 3.0] * 50, "users": np.random.default_rng(1).random(150)})

    @model(target="users")
    def demand(train):
        return RETURNED
"""


def told(place: Place, *, fit: str = "pass", predict: str = "pass", first: str = "1.0", returned: str) -> Failure:
    """Why the run of such a project fails."""
    text = MODEL
    for word, code in (("FIT", fit), ("PREDICT", predict), ("FIRST", first), ("RETURNED", returned)):
        text = text.replace(word, code)
    result = place.run(text, finisher=FinishModel())
    assert result.failure is not None
    assert str(kairos.__path__[0]) not in result.failure.traceback, "none of our frames"
    return result.failure


def line_of(place: Place, code: str) -> int:
    """Where that stands in the project's file, from 1."""
    lines = (place.root / "pipeline.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if code in line)


@pytest.mark.parametrize("where", ["fit", "predict"])
def test_her_own_estimators_error_names_her_line(place: Place, where: str) -> None:
    """Whichever of its methods raised."""
    found = told(place, **{where: "raise ZeroDivisionError('no luck')"}, returned="Level()")
    line = line_of(place, "no luck")
    expected = f"Step 'demand' failed with the Level that it returned (pipeline.py, line {line}): "
    assert found.message == f"{expected}ZeroDivisionError: no luck"
    assert (found.step, found.type) == ("demand", "ZeroDivisionError")
    assert found.traceback.count("File ") == 1
    assert f"line {line}, in {where}" in found.traceback


def test_a_librarys_error_names_the_step_in_her_file(place: Place) -> None:
    """No line of hers was on the way; what the library did is told from its first frame on."""
    found = told(place, first="None", returned="LinearRegression()")
    line = line_of(place, "@model")
    expected = f"Step 'demand' failed with the LinearRegression that it returned (pipeline.py, line {line}): ValueError"
    assert found.message.startswith(expected)
    assert "Input X contains NaN" in found.message
    assert "sklearn" in found.traceback.splitlines()[1]


def test_no_message_holds_a_place_in_memory(place: Place) -> None:
    """It says nothing to anybody, and the same failure would be told in other words each time."""
    found = told(place, fit="raise ValueError(object())", returned="Level()")
    assert found.message.endswith("ValueError: <object object>")
    assert not re.search("0x[0-9a-f]{4}", found.message + found.traceback)
