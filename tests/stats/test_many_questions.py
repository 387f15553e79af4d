"""e-BH, LORD++ and e-LOND: by hand, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import UsageError
from kairos.stats.online import e_bh, e_lond, lord


def test_e_values_are_rejected_by_rank() -> None:
    """Of four at 5 %: 80 alone for one, 40 each for two, 26.7 each for three."""
    assert e_bh(np.log([80, 1, 1, 1]), alpha=0.05).tolist() == [True, False, False, False]
    assert e_bh(np.log([79, 1, 1, 1]), alpha=0.05).sum() == 0
    assert e_bh(np.log([27, 27, 27, 1]), alpha=0.05).sum() == 3
    assert e_bh([], alpha=0.05).size == 0
    assert e_bh([math.inf, -math.inf], alpha=0.05).tolist() == [True, False]


@given(st.lists(st.floats(-5, 12), min_size=1, max_size=30), st.integers(0, 29), st.floats(0, 5))
def test_more_evidence_never_rejects_less(log_e: list[float], place: int, more: float) -> None:
    """Raising one e-value keeps every rejection; the order of the questions does not matter."""
    rejected = e_bh(log_e, alpha=0.1)
    raised = list(log_e)
    raised[place % len(log_e)] += more
    assert (e_bh(raised, alpha=0.1) >= rejected).all()
    assert e_bh(log_e[::-1], alpha=0.1)[::-1].tolist() == rejected.tolist()


def test_levels_of_a_stream_follow_the_formula() -> None:
    """The first levels by hand, before and after two rejections."""
    gamma = [0.07720838 * math.log(max(j, 2)) / (j * math.exp(math.sqrt(math.log(j)))) for j in range(1, 6)]
    rejected, levels = lord([1e-6, 0.9, 1e-6, 0.9, 0.9], alpha=0.05, first_wealth=0.02)
    assert rejected.tolist() == [True, False, True, False, False]
    assert levels.tolist() == pytest.approx(
        [
            gamma[0] * 0.02,
            gamma[1] * 0.02 + 0.03 * gamma[0],
            gamma[2] * 0.02 + 0.03 * gamma[1],
            gamma[3] * 0.02 + 0.03 * gamma[2] + 0.05 * gamma[0],
            gamma[4] * 0.02 + 0.03 * gamma[3] + 0.05 * gamma[1],
        ]
    )
    rejected, levels = e_lond([20.0, 0.0, 20.0, 0.0], alpha=0.05)
    assert rejected.tolist() == [True, False, True, False]
    assert levels.tolist() == pytest.approx([0.05 * gamma[0], 0.10 * gamma[1], 0.10 * gamma[2], 0.15 * gamma[3]])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(1, 60))
def test_an_answer_is_given_before_the_next_question(p: list[float], n: int) -> None:
    """Later p-values change nothing about earlier answers; levels never add up to more than the wealth allows."""
    whole, part = lord(p, alpha=0.05), lord(p[:n], alpha=0.05)
    for one, other in zip(whole, part, strict=True):
        assert one[: other.size].tolist() == pytest.approx(other.tolist())
    assert whole[1].sum() <= 0.05 * max(int(whole[0].sum()), 1) + 1e-9


def test_a_stream_with_some_effects_keeps_its_share_of_false_answers() -> None:
    """A tenth of 400 questions has an effect: the share of false ones among the rejected is at most 5 % on average."""
    rng = np.random.default_rng(0)
    shares, e_shares = [], []
    for _ in range(200):
        real = rng.uniform(size=400) < 0.1
        z = rng.normal(size=400) + 4.0 * real
        p = np.array([0.5 * math.erfc(one / math.sqrt(2)) for one in z])
        rejected, _ = lord(p, alpha=0.05)
        shares.append((rejected & ~real).sum() / max(rejected.sum(), 1))
        e_rejected, _ = e_lond(4.0 * z - 8.0, alpha=0.05)
        e_shares.append((e_rejected & ~real).sum() / max(e_rejected.sum(), 1))
        assert e_bh(4.0 * z - 8.0, alpha=0.05).sum() >= 1
    assert np.mean(shares) <= 0.05
    assert np.mean(e_shares) <= 0.05


def test_what_is_no_stream_of_answers_is_refused() -> None:
    """NaN, p-values above 1, a wealth above alpha."""
    with pytest.raises(UsageError, match="compared"):
        e_bh([math.nan], alpha=0.05)
    with pytest.raises(UsageError, match="compared"):
        e_lond([math.nan], alpha=0.05)
    with pytest.raises(UsageError, match="tested"):
        lord([1.2], alpha=0.05)
    with pytest.raises(UsageError, match="tested"):
        lord([0.2], alpha=0.05, first_wealth=0.06)
