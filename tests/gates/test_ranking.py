"""Losses of an order: equal scores count as all their orders, short lists end where they end, and a list is a row."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import DataRefused, SettingsError, ShapeMismatch, UsageError
from kairos.gates.lists import LONGEST_LIST, Lists, in_lists
from kairos.gates.loss_names import check_loss_name
from kairos.gates.losses import loss_named
from kairos.gates.metrics import metric_named

A_LIST = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 3), min_size=n, max_size=n), st.lists(st.integers(0, 2), min_size=n, max_size=n)
    )
)


def by_hand(relevance: list[int], score: list[int], first: int) -> float:
    """The mean of 1 - NDCG over every order that the scores allow."""
    orders = [o for o in permutations(range(len(score))) if all(score[a] >= score[b] for a, b in pairwise(o))]

    def gain(order: tuple[int, ...]) -> float:
        return sum((2.0 ** relevance[row] - 1) / math.log2(2 + place) for place, row in enumerate(order[:first]))

    best = gain(tuple(sorted(range(len(score)), key=lambda row: -relevance[row])))
    return 1 - float(np.mean([gain(order) for order in orders])) / best if best else 0.0


@given(A_LIST, st.integers(1, 6), st.integers(0, 3))
def test_ndcg_is_the_mean_over_all_orders_that_scores_allow(
    case: tuple[list[int], list[int]], first: int, more: int
) -> None:
    """Whatever stands behind the end of a shorter list."""
    relevance, score = case
    truth = np.array([[*relevance, *[np.nan] * more]], dtype=np.float64)
    said = np.array([[*score, *[9.0] * more]], dtype=np.float64)
    assert loss_named(f"ndcg:{first}")(truth, said)[0] == pytest.approx(by_hand(relevance, score, first), abs=1e-12)


@given(A_LIST)
def test_pairwise_error_counts_pairs(case: tuple[list[int], list[int]]) -> None:
    """Of unequal relevance; equal scores are half wrong."""
    y, s = case
    pairs = [(a, b) for a in range(len(y)) for b in range(len(y)) if y[a] > y[b]]
    wrong = sum(1.0 if s[a] < s[b] else 0.5 if s[a] == s[b] else 0.0 for a, b in pairs)
    found = loss_named("pairwise_error")(np.array([[*y, np.nan]]), np.array([[*s, 7.0]]))
    assert found[0] == pytest.approx(wrong / len(pairs) if pairs else 0.0)


def test_rows_become_lists_and_those_that_tell_no_order_are_left_out() -> None:
    """In the order in which lists are met, whatever the order of the rows."""
    keys = np.array(["b", "a", "b", "c", "a", "b"])
    truth, answers, firsts = in_lists(keys, np.array([1, 0, 0, 5, 0, 2]), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    assert truth.tolist() == [[1.0, 0.0, 2.0]]
    assert answers.tolist() == [[0.1, 0.3, 0.6]]
    assert firsts.tolist() == [0]
    assert Lists.of(keys).together.tolist() == [0, 2, 5, 1, 4, 3]
    assert Lists.of(np.array([], dtype=np.str_)).padded(np.array([]), 0.0).shape == (0, 0)


def test_what_cannot_be_ranked_is_refused() -> None:
    """With what is accepted."""
    with pytest.raises(DataRefused, match=rf"too many rows.*{LONGEST_LIST + 1}.*up to {LONGEST_LIST}"):
        Lists.of(np.zeros(LONGEST_LIST + 1)).padded(np.zeros(LONGEST_LIST + 1), 0.0)
    with pytest.raises(UsageError, match="a relevance from 0 to 31"):
        loss_named("ndcg:3")(np.array([[-1.0, 2.0]]), np.zeros((1, 2)))
    with pytest.raises(ShapeMismatch, match="lists"):
        loss_named("pairwise_error")(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("name", ["ndcg:0", "ndcg:", "ndcg:ten", "ndcg:1001", "ndcg:-1"])
def test_places_are_a_number(name: str) -> None:
    """Of at least one place."""
    with pytest.raises(SettingsError, match="such as ndcg:10"):
        check_loss_name(name)


def test_metrics_of_an_order_have_words_and_no_unit() -> None:
    """Lower is better."""
    assert metric_named("ndcg:10").title == "mean of 1 - NDCG@10"
    assert metric_named("pairwise_error").better == "lower"
    with pytest.raises(SettingsError, match="ndcg:PLACES, pairwise_error"):
        metric_named("ndcg")
