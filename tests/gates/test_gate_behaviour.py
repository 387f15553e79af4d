"""Ready-made checks of how a version behaves: they pass what behaves, and name the rows of what does not."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import kairos
from kairos.errors import UsageError
from kairos.gates.behaviour import CheckFailed, directional, invariant, monotone

ROWS = pl.DataFrame(
    {
        "heat": [1.0, 2.0, 3.0, 4.0, None],
        "wind": [5, 6, 7, 8, 9],
        "city": ["a", "b", "a", "b", "a"],
    }
)


def predict(table: pl.DataFrame) -> NDArray[np.float64]:
    """Rises with heat up to 3, falls with wind, knows cities only where there is much wind."""
    heat = table["heat"].fill_null(0.0).to_numpy()
    wind = table["wind"].to_numpy()
    is_windy_b = (table["city"].to_numpy() == "b") & (wind > 7)
    return np.asarray(np.minimum(heat, 6.0 - heat) - 2.0 * wind + 10.0 * is_windy_b)


def test_what_only_rises_or_only_falls_passes() -> None:
    """All else equal; within the values that are named."""
    monotone(predict, ROWS, "wind", direction="down", values=[1, 3, 5])
    monotone(predict, ROWS, "heat", values=[0.0, 1.0, 3.0])
    monotone(predict, ROWS, "heat", tolerance=2.0)


def test_what_turns_round_fails_and_names_rows_and_values() -> None:
    """From 3 to 4 degrees fewer people come, on all five rows; the first three are shown."""
    with pytest.raises(
        CheckFailed, match=r"falls as heat grows on 5 of 5 rows: row 0: heat from 3 to 4: answer from"
    ) as caught:
        monotone(predict, ROWS, "heat")
    assert caught.value.rows == (0, 1, 2, 3, 4)
    assert str(caught.value).count("row ") == 3
    assert pickle.loads(pickle.dumps(caught.value)).rows == caught.value.rows
    with pytest.raises(CheckFailed, match="rises as heat grows"):
        monotone(predict, ROWS, "heat", direction="down")


def test_what_does_not_depend_on_a_column_passes_and_what_does_fails() -> None:
    """On the rows on which it does."""
    invariant(predict, ROWS.head(3), "city")
    with pytest.raises(CheckFailed, match=r"depends on city on 2 of 5 rows: row 3: city=a: .* city=b: ") as caught:
        invariant(predict, ROWS, "city")
    assert caught.value.rows == (3, 4)
    invariant(predict, ROWS, "city", values=["a", "c"])
    with pytest.raises(CheckFailed, match="depends on wind"):
        invariant(predict, ROWS, "wind", values=[1, 2])


def test_a_change_that_should_help_must_not_hurt() -> None:
    """Values or functions of columns, several at once."""
    directional(predict, ROWS, {"wind": lambda w: w - 1}, direction="up", tolerance=10.0)
    directional(predict, ROWS, {"heat": 0.0, "city": "a"}, direction="down")
    with pytest.raises(
        CheckFailed, match=r"rises with another wind on 4 of 5 rows: row 0: answer from -9 to -7"
    ) as caught:
        directional(predict, ROWS, {"wind": lambda w: w - 1}, direction="down")
    assert 4 in caught.value.rows


def test_checks_that_cannot_be_carried_out_say_why() -> None:
    """A column that is not there, one without numbers, one value only, and a way that is none."""
    with pytest.raises(UsageError, match="no column 'rain'"):
        monotone(predict, ROWS, "rain")
    with pytest.raises(UsageError, match="no numbers that could grow"):
        monotone(predict, ROWS, "city")
    with pytest.raises(UsageError, match="only one value"):
        monotone(predict, ROWS, "heat", values=[1.0])
    with pytest.raises(UsageError, match="up, down"):
        monotone(predict, ROWS, "heat", direction="sideways")  # type: ignore[arg-type]


def test_the_helpers_are_imported_from_kairos_and_loaded_only_then() -> None:
    """A pipeline that imports steps does not load numpy for them."""
    assert kairos.monotone is monotone
    assert kairos.invariant is invariant
    assert kairos.directional is directional
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = kairos.nonsense
    code = "import sys, kairos; light = 'numpy' not in sys.modules; kairos.monotone; sys.exit(not light)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
