"""Capture keeps only what was named; the rest leaves no trace."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.privacy import CapturePolicy, load_or_make_key, pseudonym

KEY = bytes(range(32))


def test_only_named_fields_are_kept() -> None:
    """A field that nobody named is dropped; a pseudonymised one never shows its value."""
    policy = CapturePolicy(keep=frozenset({"temp"}), pseudonymise=frozenset({"email"}), key=KEY)
    captured = policy.apply({"temp": 3.5, "email": "ann@example.org", "note": "call me"}, "card-17")
    assert captured.inputs["temp"] == 3.5
    assert set(captured.inputs) == {"temp", "email"}
    assert "ann" not in str(captured)
    assert "card-17" not in str(captured)


def test_a_missing_value_stays_missing() -> None:
    """``None`` gets no pseudonym: it would look like a person."""
    policy = CapturePolicy(keep=frozenset(), pseudonymise=frozenset({"email"}), key=KEY)
    assert policy.apply({"email": None}, None).inputs == {}
    assert policy.apply({"email": None}, None).key is None


NAMES = st.sampled_from(["temp", "email", "note", "city"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(
    st.sets(NAMES),
    st.sets(NAMES),
    st.sampled_from(["pseudonym", "drop", "raw"]),
    st.dictionaries(NAMES, st.lists(VALUES, min_size=3, max_size=3)),
    st.lists(st.none() | st.text(), min_size=3, max_size=3),
)
def test_columns_are_kept_as_rows_are(
    keep: set[str], hide: set[str], entity: Any, columns: dict[str, list[Any]], entities: list[str | None]
) -> None:
    """Whatever the policy, what is written of many rows at once is what would be written of each."""
    policy = CapturePolicy(keep=frozenset(keep - hide), pseudonymise=frozenset(hide), entity=entity, key=KEY)
    kept, keys = policy.apply_columns(columns, entities)
    for row in range(3):
        alone = policy.apply({name: values[row] for name, values in columns.items()}, entities[row])
        assert keys[row] == alone.key
        present = {name: list(values)[row] for name, values in kept.items()}
        assert {n: v for n, v in present.items() if v is not None or n not in hide} == alone.inputs


def test_the_entity_can_be_dropped_or_kept_raw() -> None:
    """The owner chooses; the default is a pseudonym."""
    assert CapturePolicy(keep=frozenset(), entity="drop").apply({}, "a").key is None
    assert CapturePolicy(keep=frozenset(), entity="raw").apply({}, "a").key == "a"
    assert CapturePolicy(keep=frozenset(), key=KEY).apply({}, "a").key == pseudonym("a", key=KEY, purpose="entity")


def test_pseudonyms_without_a_key_are_refused() -> None:
    """There is no unkeyed fallback."""
    with pytest.raises(UsageError, match="need a key"):
        CapturePolicy(keep=frozenset())


def test_a_field_in_both_lists_is_refused() -> None:
    """Which of the two was meant is not guessed."""
    with pytest.raises(UsageError, match="'email' is both"):
        CapturePolicy(keep=frozenset({"email"}), pseudonymise=frozenset({"email"}), key=KEY)


@given(st.text(), st.text(), st.text(), st.text())
def test_pseudonyms_differ_by_value_and_purpose(a: str, b: str, purpose: str, other: str) -> None:
    """Equal value and purpose, equal pseudonym; anything else differs."""
    same = (a, purpose) == (b, other)
    assert (pseudonym(a, key=KEY, purpose=purpose) == pseudonym(b, key=KEY, purpose=other)) is same


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    """Eight makers at once agree; only the owner can read the file; no draft stays behind."""
    path = tmp_path / "keys" / "capture.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_or_make_key(path), range(8)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["capture.key"]


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    """A new key would silently break every join."""
    path = tmp_path / "capture.key"
    path.write_text("not hex")
    with pytest.raises(UsageError, match="Restore it"):
        load_or_make_key(path)
