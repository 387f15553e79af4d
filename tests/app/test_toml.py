"""Reading a table key by key: what is there comes back, what is wrong is named in full, nothing is left unread."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.app.toml import Reader
from kairos.errors import SettingsError
from kairos.values import Window

Read = Callable[[Reader], Any]

READERS: dict[str, tuple[Read, type | tuple[type, ...]]] = {
    "text": (lambda r: r.text("k"), str),
    "optional text": (lambda r: r.optional_text("k"), str),
    "number": (lambda r: r.number("k", 1.0), (int, float)),
    "optional number": (lambda r: r.optional_number("k"), (int, float)),
    "whole": (lambda r: r.whole("k", 1), int),
    "flag": (lambda r: r.flag("k", default=False), bool),
    "length": (lambda r: r.length("k", timedelta(1)), str),
    "texts": (lambda r: r.texts("k"), list),
    "numbers": (lambda r: r.numbers("k"), list),
    "table": (lambda r: r.table("k").raw("x", None), dict),
}

scalars = st.text(max_size=5) | st.integers() | st.floats(allow_nan=False) | st.booleans()
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=3), scalars, max_size=2)


@given(how=st.sampled_from(sorted(READERS)), value=values)
def test_a_value_comes_back_or_its_key_is_named(how: str, value: Any) -> None:
    """A value of another type is never turned into one that fits: ``true`` is no number and ``1`` no text."""
    read, kind = READERS[how]
    fits = isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)
    try:
        found = read(Reader({"k": value}, "model.demand"))
    except SettingsError as error:
        assert "model.demand.k" in error.what  # noqa: PT017 - whether it may be raised is asked below
        assert not fits or how in ("length", "texts", "numbers")
        return
    assert fits
    if how not in ("length", "table"):
        assert (list(found) if isinstance(value, list) else found) == value


def test_what_is_left_out_has_its_default_or_is_asked_for() -> None:
    """Only a text without a default is required."""
    reader = Reader({}, "project")
    assert (reader.number("a", 2), reader.whole("b", 3), reader.flag("c", default=True)) == (2.0, 3, True)
    assert (reader.length("d", timedelta(2)), reader.texts("e", ("x",)), reader.numbers("f")) == (
        timedelta(2),
        ("x",),
        None,
    )
    assert (reader.optional_text("g"), reader.optional_number("h")) == (None, None)
    assert reader.tables("i") == {}
    reader.table("j").done()
    with pytest.raises(SettingsError, match=r"project\.name is missing.*text"):
        reader.text("name")
    reader.done()


def read_all(top: Reader) -> None:
    """As the settings are read: one key of one table in a table."""
    for model in top.tables("model").values():
        gate = model.table("gate")
        gate.number("alpha", 0.05)
        gate.done()
        model.done()
    top.done()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[model.demand.gate]\nalfa = 1", r"no setting 'model\.demand\.gate\.alfa'.*Accepted: alpha\..*mean 'alpha'"),
        ("[model]\ndemand = 3", r"model needs named tables.*demand = 3.*\[model\.NAME\]"),
        ("model = 3", r"model has the wrong type.*a table"),
        ("[model.demand]\ngate = 3", r"model\.demand\.gate has the wrong type"),
        ("[model.demand.gate]\nalpha = 2012-01-01", r"model\.demand\.gate\.alpha has the wrong type"),
        ("[other]", "no setting 'other'"),
        ("models = []", r"no setting 'models'.*Did you mean 'model'"),
    ],
)
def test_what_is_wrong_is_named_with_its_full_path(text: str, complaint: str) -> None:
    """As it would have to be written in the file."""
    with pytest.raises(SettingsError, match=complaint):
        read_all(Reader(tomllib.loads(text)))


@pytest.mark.parametrize("value", [[1, True], [1, "2"], ["x"], [None], [[1]]])
def test_a_list_of_numbers_holds_numbers(value: list[Any]) -> None:
    """Every one of them."""
    with pytest.raises(SettingsError, match=r"output\.range holds something that is not a number"):
        Reader({"range": value}, "output").numbers("range")


def test_a_word_is_one_of_those_it_can_be() -> None:
    """The nearest is suggested."""
    with pytest.raises(SettingsError, match=r"loss is not one.*Given: abs\b.*Accepted: absolute, squared"):
        Reader({"loss": "abs"}).choice("loss", ("absolute", "squared"), "squared")
    with pytest.raises(SettingsError, match="Did you mean 'squared'"):
        Reader({"loss": "sqared"}).choice("loss", ("absolute", "squared"), "squared")
    assert Reader({}).choice("loss", ("absolute", "squared"), "squared") == "squared"


def test_what_a_parser_complains_about_is_put_after_the_keys_name() -> None:
    """With its hint and what it accepts."""
    reader = Reader({}, "replay")
    with pytest.raises(SettingsError, match=r"replay\.window: A window cannot be read.*2011.*START\.\.END"):
        reader.parsed("window", Window.parse, "2011")


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(), max_size=6), st.sets(st.sampled_from("abcdef")))
def test_every_key_is_known_or_refused(table: dict[str, int], known: set[str]) -> None:
    """There is no third way: a key that nobody reads has no silent effect."""
    reader = Reader(table)
    for key in sorted(known):
        assert reader.has(key) == (key in table)
        reader.whole(key, 0)
        assert not reader.has(key)
    if set(table) <= known:
        reader.done()
    else:
        with pytest.raises(SettingsError, match="there is no setting"):
            reader.done()
