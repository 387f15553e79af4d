"""Features that give the target away."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.errors import ShapeMismatch
from kairos.stats.leakage import find_leakage

RNG = np.random.default_rng(7)
CASUAL, REGISTERED = RNG.poisson(20, 500), RNG.poisson(90, 500)
NOISE = {f"noise{i}": RNG.normal(size=500) for i in range(8)}


def test_columns_that_add_up_to_the_target_are_found() -> None:
    """casual + registered = users, among other columns; the sum is named."""
    found = find_leakage({**NOISE, "casual": CASUAL, "registered": REGISTERED}, CASUAL + REGISTERED)
    assert [leak.columns for leak in found] == [("casual", "registered")]
    assert found[0].how == "casual + registered = target"
    difference = find_leakage({"a": CASUAL, "b": REGISTERED}, CASUAL - REGISTERED)
    assert difference[0].how == "a - b = target"


def test_copies_and_multiples_are_found() -> None:
    """A copy under another name or type, a change of unit, and text that repeats the target."""
    y = RNG.normal(size=300)
    found = {leak.columns[0]: leak.how for leak in find_leakage({"same": y, "pounds": 2.2 * y + 1, "x": y**2}, y)}
    assert found.keys() == {"same", "pounds"}
    assert "copy" in found["same"]
    assert "correlation" in found["pounds"]
    words = np.array(["yes", "no", "yes", "no"], dtype=object)
    assert find_leakage({"answer": words.copy()}, words)[0].how == "is a copy of the target"


def test_honest_features_are_left_alone() -> None:
    """Noise, a strong but honest feature, constants, text and missing values are no leak."""
    y = RNG.normal(size=500)
    strong = y + RNG.normal(0, 0.1, 500)
    gaps = np.where(RNG.uniform(size=500) < 0.1, np.nan, strong)
    text = np.array(["a", None] * 250, dtype=object)
    assert find_leakage({**NOISE, "strong": strong, "gaps": gaps, "one": np.ones(500), "text": text}, y) == []


def test_few_rows_are_not_mistaken_for_an_exact_sum() -> None:
    """With more columns than rows anything fits; that is not reported."""
    wide = {f"f{i}": RNG.normal(size=10) for i in range(30)}
    assert find_leakage(wide, RNG.normal(size=10)) == []


def test_unpaired_columns_are_refused() -> None:
    """A feature with another number of rows is an error that names it."""
    with pytest.raises(ShapeMismatch, match="'x'"):
        find_leakage({"x": np.ones(3)}, np.ones(4))


def test_a_sum_and_a_copy_are_found_behind_thousands_of_gaps() -> None:
    """Also where the first rows, by which most columns are told apart, say nothing."""
    random = np.random.default_rng(0)
    a, b = random.integers(0, 100, 9_000).astype(float), random.integers(0, 100, 9_000).astype(float)
    total = a + b
    a[:5_000:2] = np.nan
    b[1:5_000:2] = np.nan
    [leak] = find_leakage({"a": a, "b": b}, total)
    assert leak.how == "a + b = target"
    late = np.where(np.arange(9_000) < 5_000, np.nan, total)
    assert find_leakage({"late": late}, total)[0].how == "is a copy of the target"
    other = np.where(np.arange(9_000) == 8_999, total + 1, total)
    assert all("copy" not in leak.how for leak in find_leakage({"other": other}, total))
