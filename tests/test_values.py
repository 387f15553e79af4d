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
from kairos.values import (
    VersionRef,
    Window,
    canonical_json,
    duration_text,
    is_model_name,
    parse_duration,
    plain,
    unplain,
    without_secrets,
)

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


def test_no_time_is_too_late_to_be_answered_in_a_sentence() -> None:
    """Beyond the year 9999 there is no window and no length; up to it, a window can be cut."""
    with pytest.raises(UsageError, match="after the last day there is"):
        Window.parse("2011-01-01..9999-12-31")
    with pytest.raises(UsageError, match="longer than time"):
        parse_duration("1000000000d")
    window = Window.parse("9999-12-20..9999-12-30")
    assert [part.end for part in window.split(timedelta(days=7))][-1] == window.end


@given(st.integers(1, 10**6))
def test_durations_round_trip(seconds: int) -> None:
    """Text and back gives the same length."""
    length = timedelta(seconds=seconds)
    assert parse_duration(duration_text(length)) == length


@pytest.mark.parametrize("model", ["demand", "bike-demand", "_d", "2nd", "m" * 100])
def test_a_version_reads_what_it_writes(model: str) -> None:
    """Every name that a model may have comes back from a version's text, hyphens included."""
    assert is_model_name(model)
    assert VersionRef.parse(str(VersionRef(model, 12))) == VersionRef(model, 12)


@pytest.mark.parametrize("model", ["", "-d", "a/b", "..", "a@b", "a b", "a.b", "démand", "demand\n", "m" * 101])
def test_a_version_that_could_not_be_read_back_cannot_be_made(model: str) -> None:
    """Nothing can write a version into the ledger that breaks every later reading of it."""
    assert not is_model_name(model)
    with pytest.raises(UsageError, match="cannot be called so"):
        VersionRef(model, 1)
    with pytest.raises(UsageError, match="MODEL@NUMBER"):
        VersionRef.parse(f"{model}@1")


@pytest.mark.parametrize("number", ["", "0", "-1", "01", "\N{SUPERSCRIPT TWO}", "\u0663", "9" * 5000])
def test_a_version_number_that_is_none_is_refused(number: str) -> None:
    """Digits of other alphabets are not taken for numbers, and no number is too long to refuse."""
    with pytest.raises(UsageError, match="MODEL@NUMBER"):
        VersionRef.parse(f"demand@{number}")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://mlflow.example:5000/team", "https://mlflow.example:5000/team"),
        ("https://ann:s3cret@mlflow.example", "https://mlflow.example"),
        ("https://s3cret@mlflow.example/team", "https://mlflow.example/team"),
        ("https://ann:s3cret@?/#@mlflow.example", "https://mlflow.example"),
        ("https://mlflow.example/team?token=s3cret#s3cret", "https://mlflow.example/team"),
        ("ann:s3cret@mlflow.example", "mlflow.example"),
        ("ann:s3cret://x@mlflow.example", "mlflow.example"),
        ("https://[::1]:5000", "https://[::1]:5000"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_opens_it(address: str, shown: str) -> None:
    """Whatever stands before the last @, and what follows the path; the rest tells which server it is."""
    assert without_secrets(address) == shown


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
