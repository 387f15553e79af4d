"""Rows of several requests join into one, and are taken out again."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kairos.serving.rows import Intake, Rows, join, take, told_rows
from tests.serving.toys import SIGNATURE

MOMENT = datetime(2012, 3, 3, tzinfo=UTC)


@st.composite
def some_rows(draw: st.DrawFn) -> Rows:
    """Rows of the toy signature, about somebody or not."""
    objects = draw(st.lists(st.fixed_dictionaries({"temperature": st.floats(-9, 9)}), min_size=1, max_size=3))
    count = len(objects)
    return Rows(
        columns=SIGNATURE.parse_rows(objects),
        count=count,
        entities=draw(st.none() | st.lists(st.none() | st.text(), min_size=count, max_size=count)),
        times=draw(st.none() | st.lists(st.sampled_from([None, MOMENT]), min_size=count, max_size=count)),
    )


@given(st.lists(some_rows(), min_size=1, max_size=4))
def test_what_is_joined_can_be_taken_apart(several: list[Rows]) -> None:
    """Columns keep their types, and every row its entity and time."""
    together, start = join(several), 0
    for rows in several:
        back = take(together, range(start, start + rows.count))
        start += rows.count
        for name, values in rows.columns.items():
            assert back.columns[name].dtype == values.dtype
            np.testing.assert_array_equal(back.columns[name], values)
        assert list(back.entities or [None] * rows.count) == list(rows.entities or [None] * rows.count)
        assert list(back.times or [None] * rows.count) == list(rows.times or [None] * rows.count)
    assert together.count == start


def test_told_rows_are_what_was_sent() -> None:
    """As JSON again: whole numbers stay whole, and what an optional column lacks is left out."""
    sent = [{"temperature": 20.5, "hour": 7, "weather": "rain", "holiday": True}, {"temperature": 1.0, "note": "x"}]
    intake = Intake(signature=SIGNATURE)
    rows = Rows(columns=intake.signature.parse_rows(sent), count=2)
    assert told_rows(rows.columns, SIGNATURE) == sent
    assert type(told_rows(rows.columns, SIGNATURE)[0]["hour"]) is int
