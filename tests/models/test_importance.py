"""How much a model relies on each of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from kairos.models.importance import input_importances


class Rule:
    """Predicts by a rule."""

    def __init__(self, *weights: float) -> None:
        self._weights = weights

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """The weighted sum of the columns, in the order of their names."""
        parts = [w * columns[name] for w, name in zip(self._weights, sorted(columns), strict=True)]
        return np.asarray(np.sum(parts, axis=0))


ROWS = {name: np.random.default_rng(number).normal(size=3000) for number, name in enumerate("abc")}


def test_an_input_counts_as_far_as_it_moves_the_answers() -> None:
    """Three times the weight is three times the importance; what is not used has none; all add up to 1."""
    found = input_importances(Rule(3.0, 1.0, 0.0), ROWS)
    assert found["a"] == pytest.approx(0.75, abs=0.03)
    assert found["b"] == pytest.approx(0.25, abs=0.03)
    assert found["c"] == 0.0
    assert sum(found.values()) == pytest.approx(1.0)
    assert found == input_importances(Rule(3.0, 1.0, 0.0), ROWS), "the same seed shuffles the same"


def test_a_model_that_always_says_the_same_relies_on_nothing() -> None:
    """Nor does one whose answers are not finite."""
    assert set(input_importances(Rule(0.0, 0.0, 0.0), ROWS).values()) == {0.0}
    assert set(input_importances(Rule(np.nan, 0.0, 0.0), ROWS).values()) == {0.0}
