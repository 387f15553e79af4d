"""Labels: none lies on another, whatever their places."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.web.pictures.layout import spread, stagger

places = st.lists(st.floats(0, 1000), max_size=25)
labels = st.lists(st.tuples(st.floats(0, 1000), st.floats(1, 200)), max_size=25).map(sorted)


@given(labels)
def test_staggered_labels_cover_neither_each_other_nor_a_post(labels: list[tuple[float, float]]) -> None:
    """To the right of a label's post, as far as the label goes, no post rises to the label's row."""
    rows = stagger(labels)
    for (place, width, row), (other, _, reached) in combinations(
        [(place, width, row) for (place, width), row in zip(labels, rows, strict=True)], 2
    ):
        assert reached < row or place + width <= other


@given(places)
def test_labels_that_do_not_meet_stand_in_the_lowest_row(places: list[float]) -> None:
    """Rows are used only where they are needed."""
    apart = [1000.0 * n for n in range(len(places))]
    assert stagger([(place, 999.0) for place in apart]) == [0] * len(apart)


@given(places, st.floats(1, 50))
def test_spread_places_keep_their_order_and_distance(places: list[float], gap: float) -> None:
    """Neighbours are at least a gap apart, in the order in which they were."""
    moved = spread(places, gap)
    assert all(b - a > gap - 1e-6 for a, b in pairwise(sorted(moved)))
    order = sorted(range(len(places)), key=lambda i: places[i])
    assert [moved[i] for i in order] == sorted(moved)


@given(places, st.floats(1, 50))
def test_spreading_moves_the_mean_nowhere(places: list[float], gap: float) -> None:
    """Labels are pushed apart evenly, to both sides."""
    assert sum(spread(places, gap)) == pytest.approx(sum(places), abs=1e-6)


def test_places_that_are_far_enough_apart_stay() -> None:
    """Nothing is moved without need."""
    assert spread([90.0, 10.0, 50.0], 20) == [90.0, 10.0, 50.0]
