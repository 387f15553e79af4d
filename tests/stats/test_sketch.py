"""A sketch of quantiles is as near to the values as it says, and so is one that was put together from parts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kairos.errors import UsageError
from kairos.stats.sketch import QuantileSketch
from kairos.values import canonical_json

values = st.lists(
    st.floats(-1e12, 1e12) | st.integers(-3, 3).map(float) | st.sampled_from([0.1, 0.1 + 1e-15]),
    min_size=1,
    max_size=60,
)
HAIR = 1e-9


def check(sketch: QuantileSketch, held: NDArray[np.float64]) -> None:
    """Shares at every value and between and around them, and quantiles, against the values themselves."""
    assert sketch.rows == held.size
    places = np.unique(np.concatenate([held, (held[1:] + held[:-1]) / 2, [held.min() - 1, held.max() + 1]]))
    for x in places.tolist():
        assert abs(sketch.share(x) - (held <= x).mean()) <= sketch.error + HAIR
    for share in np.linspace(0, 1, 21).tolist():
        x = sketch.quantile(share)
        below, upto = (held < x).mean(), (held <= x).mean()
        assert below - sketch.error - HAIR <= share <= upto + sketch.error + HAIR
    assert sketch.cuts[0] <= held.min()
    assert sketch.cuts[-1] >= held.max()
    assert list(sketch.cuts) == sorted(sketch.cuts)


@given(values, st.integers(2, 12))
def test_a_sketch_is_as_near_as_it_says(given_values: list[float], cells: int) -> None:
    """To the share of values at most x, at any x: within one cell and one value; ties and atoms are fine."""
    held = np.array(given_values)
    sketch = QuantileSketch.fit(held, cells=cells)
    assert sketch.error == pytest.approx(1 / cells + 1 / held.size)
    check(sketch, held)


@given(st.lists(values, min_size=2, max_size=5), st.integers(2, 12))
def test_merged_sketches_are_a_sketch_of_all_values(parts: list[list[float]], cells: int) -> None:
    """As near as they say: their own errors, weighted by their rows, and one cell; of merged ones again."""
    arrays = [np.array(part) for part in parts]
    sketches = [QuantileSketch.fit(part, cells=cells) for part in arrays]
    whole = QuantileSketch.merge(sketches, cells=cells)
    held = np.concatenate(arrays)
    own = sum(sketch.rows * sketch.error for sketch in sketches) / held.size
    assert whole.error == pytest.approx(own + 1 / cells)
    check(whole, held)
    again = QuantileSketch.merge([QuantileSketch.merge(sketches[:1] + sketches[1:2], cells=cells), *sketches[2:]])
    check(again, held)


def test_large_merges_stay_near() -> None:
    """A hundred parts of other distributions: the error told is 9 %, and what is seen is a third of it."""
    random = np.random.default_rng(0)
    parts = [random.normal(at % 7, 1 + at % 3, 500) for at in range(100)]
    whole, held = QuantileSketch.merge([QuantileSketch.fit(part) for part in parts]), np.concatenate(parts)
    seen = max(abs(whole.share(x) - (held <= x).mean()) for x in np.quantile(held, np.linspace(0, 1, 99)).tolist())
    assert whole.error == pytest.approx(0.04 + 1 / 500 + 0.04)
    assert seen < 0.03


def test_nothing_and_numbers_that_are_none() -> None:
    """Infinite values and NaN are left out; of nothing nothing is told, and it adds nothing."""
    nothing = QuantileSketch.fit([np.nan, np.inf])
    assert (nothing.rows, nothing.cuts) == (0, ())
    some = QuantileSketch.fit([1.0, 2.0, np.nan])
    assert QuantileSketch.merge([nothing, some, nothing]) == some
    assert QuantileSketch.merge([]) == nothing
    with pytest.raises(UsageError, match="quantile"):
        nothing.quantile(0.5)
    with pytest.raises(UsageError, match="share"):
        nothing.share(0.5)
    with pytest.raises(UsageError, match="quantile"):
        some.quantile(1.5)


def test_a_sketch_is_short_and_survives_json() -> None:
    """Cuts are the shortest numbers that part the values as well."""
    sketch = QuantileSketch.fit(np.random.default_rng(0).normal(1e6, 1e3, 100_000))
    assert QuantileSketch.from_plain(json.loads(canonical_json(sketch))) == sketch
    assert len(canonical_json(sketch)) < 400
