"""Equal computations have equal fingerprints; anything that could change a result changes the fingerprint."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.pipeline.fingerprint import Fingerprint, explain_change, fingerprint
from kairos.pipeline.typed import typed, untyped
from kairos.values import canonical_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC) | st.none()).map(lambda moment: moment.replace(fold=0))
    | st.timedeltas()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$tuple", "$"]), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(max_size=2), max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.text("abcxyz.", min_size=1, max_size=4)
TEXTS = st.dictionaries(NAMES, st.text("0123ab:", max_size=4), max_size=3)
PARTS = st.fixed_dictionaries(
    {
        "code": TEXTS,
        "params": st.dictionaries(NAMES, VALUES, max_size=3),
        "inputs": TEXTS,
        "libraries": TEXTS,
        "options": st.dictionaries(NAMES, VALUES, max_size=2),
        "seed": st.integers(0, 2**40),
        "window": st.none() | st.text(max_size=5),
    }
)


def exact(value: object) -> str:
    """A text that differs whenever type or value do, independent of how typed JSON is made."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{key!r}:{exact(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(exact(item) for item in value)}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}[" + ",".join(exact(item) for item in value) + "]"
    return f"{type(value).__name__} {value!r}"


@given(VALUES)
def test_typed_json_comes_back_exactly(value: object) -> None:
    """Types included: a tuple stays a tuple, 1.0 stays a float."""
    assert exact(untyped(typed(value))) == exact(value)


@given(VALUES, VALUES)
def test_typed_json_is_injective(left: object, right: object) -> None:
    """Two values have the same bytes exactly if they are the same value of the same type."""
    assert (canonical_json(typed(left)) == canonical_json(typed(right))) == (exact(left) == exact(right))


@given(PARTS, PARTS)
def test_fingerprints_are_injective(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Digests are equal exactly if all parts are."""
    same = fingerprint("a", **left).digest == fingerprint("a", **right).digest
    assert same == (exact(left) == exact(right))


@given(PARTS)
def test_fingerprints_do_not_depend_on_order(parts: dict[str, Any]) -> None:
    """Mappings in another order, and a trip through JSON, change nothing."""
    turned: dict[str, Any] = {
        name: dict(reversed(part.items())) if isinstance(part, dict) else part for name, part in parts.items()
    }
    first, second = fingerprint("a", **parts), fingerprint("a", **turned)
    assert first.digest == second.digest == Fingerprint.from_plain(first.plain()).digest
    assert explain_change(first, second) == []


@given(PARTS, PARTS)
def test_a_difference_is_always_explained(left: dict[str, Any], right: dict[str, Any]) -> None:
    """There is a line exactly if the digests differ."""
    first, second = fingerprint("a", **left), fingerprint("a", **right)
    assert bool(explain_change(first, second)) == (first.digest != second.digest)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, "1"), (1, 1.0), (1, True), (0, None), (0.0, -0.0), ((1,), [1]), ("2011-01-01", date(2011, 1, 1)), ({}, [])],
)
def test_values_that_look_alike_differ(left: object, right: object) -> None:
    """The confusions that caches are known for."""
    assert canonical_json(typed(left)) != canonical_json(typed(right))


def test_the_format_is_pinned() -> None:
    """The digest of format 1 stays what it was; a change here is a new format."""
    made = fingerprint(
        "features",
        code={"pipeline.features": "ab" * 32},
        params={"lags": (1, 24), "start": datetime(2011, 1, 1, tzinfo=UTC), "gap": timedelta(hours=1), "none": None},
        inputs={"rentals": "table/polars:0123"},
        libraries={"polars": "2.0.0", "python": "3.11"},
        options={"kind": "step", "cpus": 1},
        seed=0,
        window=None,
    )
    assert made.digest == "5c06119b265b90648018f15acf8f0817f88a9c44cc901c14eb043f1a5356f6a6"


def test_changes_are_said_in_words() -> None:
    """One line for each thing that changed."""
    old = Fingerprint(
        step="a",
        code={"p.a": "1", "p.b": "1", "p.c": "1"},
        params={"lag": 1, "one": 1},
        inputs={"x": "table/polars:0123456789:ff", "file:d.csv": "0123456789"},
        libraries={"polars": "1"},
        window="w1",
    )
    new = Fingerprint(
        step="a",
        code={"p.a": "2", "p.b": "1", "p.d": "1"},
        params={"lag": "1", "one": 1},
        inputs={"x": "table/polars:9876543210:ff", "file:d.csv": "9876543210"},
        libraries={"polars": "2"},
        seed=3,
        window="w2",
    )
    assert explain_change(old, new) == [
        "code of p.a: changed",
        "code of p.c: no longer used",
        "code of p.d: new",
        "param lag: 1 -> '1'",
        "input file:d.csv: 01234567 -> 98765432",
        "input x: table/polars:01234567 -> table/polars:98765432",
        "library polars: 1 -> 2",
        "seed: 0 -> 3",
        "window: w1 -> w2",
    ]
    assert explain_change(None, new) == ["it has not run before"]


def test_values_that_cannot_be_written_are_refused() -> None:
    """The message says what is accepted."""
    with pytest.raises(UsageError, match="A function cannot be written as typed JSON"):
        typed(test_changes_are_said_in_words)
    with pytest.raises(UsageError, match=r"An object needs text as keys\. Given: 1"):
        typed({1: 2})
    with pytest.raises(UsageError, match="half of a surrogate pair"):
        typed("\ud800")
    with pytest.raises(UsageError, match=r"a tag that is not known. Given: \$odd"):
        untyped({"$odd": 1})
