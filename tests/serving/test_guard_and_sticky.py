"""The output guard and the sticky split, as pure functions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.serving.guard import GuardAction, OutputGuard
from kairos.serving.sticky import is_in_share, prediction_id


@given(st.floats(allow_nan=True), st.sampled_from(["clip", "flag", "fallback", "refuse"]))
def test_what_is_not_finite_never_leaves(raw: float, action: GuardAction) -> None:
    """NaN and infinity give no output whatever the action; a finite output only leaves the range when flagged."""
    judged = OutputGuard(lower=0.0, upper=10.0, on_violation=action).judge(raw)
    if not math.isfinite(raw):
        assert judged.output is None
        assert judged.violation == "not_finite"
        assert judged.action in ("fallback", "refuse")
    elif 0 <= raw <= 10:
        assert judged.output == raw
        assert judged.violation is judged.action is None
    else:
        assert judged.action == action
        assert judged.output == {"clip": min(max(raw, 0.0), 10.0), "flag": raw}.get(action)


def test_an_empty_range_is_refused() -> None:
    """A range with its ends swapped is an error when it is made, not when it is used."""
    with pytest.raises(UsageError, match="holds no number"):
        OutputGuard(lower=1.0, upper=0.0)


@given(st.text(max_size=20), st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_growing_share_only_adds_keys(salt: str, key: str, one: float, other: float) -> None:
    """Who is in a small share is in every larger one; 0 holds nobody."""
    small, large = sorted((one, other))
    assert not is_in_share(salt, key, 0.0)
    assert is_in_share(salt, key, large) or not is_in_share(salt, key, small)


def test_the_share_is_met_and_the_salt_reshuffles() -> None:
    """Of 20,000 keys 10 % +- 1 % are in a share of 0.1, and another salt picks others."""
    keys = [f"user-{i}" for i in range(20_000)]
    first = {key for key in keys if is_in_share("a", key, 0.1)}
    second = {key for key in keys if is_in_share("b", key, 0.1)}
    assert 0.09 < len(first) / len(keys) < 0.11
    assert len(first & second) / len(first) < 0.2


def test_replayed_ids_repeat_and_differ() -> None:
    """An id depends on seed, model and request, and their boundaries cannot be shifted."""
    assert prediction_id("7", "demand", "1") == prediction_id("7", "demand", "1")
    assert (
        len({prediction_id("7", "demand", "1"), prediction_id("7", "deman", "d1"), prediction_id("8", "demand", "1")})
        == 3
    )
