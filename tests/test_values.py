"""Values: one canonical JSON form, windows that split without gaps, errors that survive pickling."""

from __future__ import annotations

import itertools
import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import InputRefused, KairosError, UsageError, did_you_mean
from kairos.values import Window, canonical_json, duration_text, parse_duration, plain, unplain

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda k: k != "$float"), inner),
)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2030, 1, 1)).map(  # noqa: DTZ001
    lambda m: m.replace(tzinfo=UTC)
)


@given(json_values)
def test_json_round_trips(value: object) -> None:
    """What is written in the canonical form is read back equal, infinities included."""
    assert unplain(json.loads(canonical_json(value))) == value


@given(json_values)
def test_canonical_json_has_one_form(value: object) -> None:
    """Writing what was read gives the same bytes."""
    once = canonical_json(value)
    assert canonical_json(json.loads(once)) == once


@given(moments, moments, st.sampled_from(["1h", "1d", "7d"]))
def test_a_split_window_has_no_gap_and_no_overlap(a: datetime, b: datetime, every: str) -> None:
    """The parts, put together, are the window."""
    window = Window(min(a, b), min(min(a, b) + timedelta(days=60), max(a, b)))
    parts = list(window.split(parse_duration(every)))
    edges = [p.start for p in parts] + [window.end]
    assert edges[0] == window.start if parts else window.start == window.end
    assert all(left.end == right.start for left, right in itertools.pairwise(parts))
    assert all(p.end - p.start <= parse_duration(every) for p in parts)


@given(moments, moments)
def test_a_window_reads_what_it_writes(a: datetime, b: datetime) -> None:
    """Text and back gives the same window."""
    window = Window(min(a, b), max(a, b))
    assert Window.parse(str(window)) == window


def test_a_date_as_the_end_includes_its_day() -> None:
    """``..2011-06-30`` means up to the end of June."""
    assert Window.parse("2011-06-01..2011-06-30").end == datetime(2011, 7, 1, tzinfo=UTC)


@given(st.integers(1, 10**6))
def test_durations_round_trip(seconds: int) -> None:
    """Text and back gives the same length."""
    length = timedelta(seconds=seconds)
    assert parse_duration(duration_text(length)) == length


def test_what_has_no_plain_form_is_refused() -> None:
    """A function in a fact is an error, not its address."""
    with pytest.raises(UsageError, match="no JSON form"):
        plain({"f": len})


def test_errors_survive_pickling() -> None:
    """An error from a worker process arrives whole."""
    error = InputRefused("Row 3 lacks 'temp'.", given={"a": 1}, accepted="temp", hint="Send it.", row=3)
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error) == "Row 3 lacks 'temp'. Given: {'a': 1}. Accepted: temp. Send it."
    assert back.facts == {"row": 3}
    assert (back.code, back.http_status, back.exit_code) == ("input_refused", 422, 2)


def test_every_error_prints_its_message() -> None:
    """Errors that also derive from builtins still print as sentences."""

    def tree(kind: type[KairosError]) -> list[type[KairosError]]:
        return [kind, *(k for sub in kind.__subclasses__() for k in tree(sub))]

    for kind in tree(KairosError):
        assert str(kind("It broke.", hint="Mend it.")) == "It broke. Mend it."


def test_nearest_name() -> None:
    """Typos get a suggestion; nonsense does not."""
    assert did_you_mean("harm_magin", ["harm_margin", "alpha"]) == "Did you mean 'harm_margin'?"
    assert did_you_mean("qqq", ["harm_margin"]) is None
