"""Where a value stands in training is said from the profile alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kairos.models.profile import ColumnProfile
from kairos.models.standing import standing

NUMBERS = ColumnProfile.fit("number", np.array([*np.arange(100.0), math.nan]))
FLAGS = ColumnProfile.fit("boolean", np.array([True] * 3 + [False], dtype=object))


@pytest.mark.parametrize(
    ("profile", "value", "said"),
    [
        (NUMBERS, 42.0, "between quantiles 0.40 and 0.50"),
        (NUMBERS, 0, "between quantiles 0.00 and 0.10"),
        (NUMBERS, 99.0, "between quantiles 0.90 and 1.00"),
        (NUMBERS, -1.0, "below the range 0 to 99"),
        (NUMBERS, 99.5, "above the range 0 to 99"),
        (NUMBERS, None, "missing, as in 1 of 101 rows"),
        (FLAGS, True, "level of 3 of 4 rows"),
        (ColumnProfile.fit("number", np.array([math.nan] * 2)), 1.0, "missing in every row"),
        (ColumnProfile.fit("text", np.array(["a", "b"], dtype=object)), "a", "text, of which no value is kept"),
        (
            ColumnProfile.fit("category", np.array(["a"] * 40 + ["z"], dtype=object)),
            "z",
            "another level than the 1 kept; 1 of 41 rows have others",
        ),
    ],
)
def test_a_value_is_placed(profile: ColumnProfile, value: Any, said: str) -> None:
    """By quantiles, by rows of its level, or outside the range."""
    assert standing(profile, value) == said
