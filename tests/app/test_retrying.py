"""Deciding again until nobody was faster, but not for ever."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.app.retrying import decide_again
from kairos.errors import LedgerMoved, TransitionRefused
from kairos.ledger import SqliteLedger
from tests.app.worlds import START


@given(st.integers(0, 40))
def test_nineteen_times_somebody_may_be_faster(losses: int) -> None:
    """Each try is a new decision; after the twentieth its refusal is the caller's."""
    tries = 0

    def act() -> int:
        nonlocal tries
        tries += 1
        if tries <= losses:
            raise LedgerMoved("Somebody was faster.")
        return tries

    if losses < 20:
        assert decide_again(act) == losses + 1
    else:
        with pytest.raises(LedgerMoved):
            decide_again(act)
    assert tries == min(losses + 1, 20)


def test_another_refusal_is_not_tried_again() -> None:
    """What the rules forbid stays forbidden."""
    tries = []

    def act() -> None:
        tries.append(1)
        raise TransitionRefused("No.")

    with pytest.raises(TransitionRefused):
        decide_again(act)
    assert tries == [1]


def test_four_writers_lose_no_fact_and_none_is_decided_on_old_ground(tmp_path: Path) -> None:
    """Each fact holds the count that it was decided on: 0, 1, 2, … without a gap or a repetition."""
    path = tmp_path / "ledger.db"
    SqliteLedger(path)

    def write() -> None:
        ledger = SqliteLedger(path)
        for _ in range(5):

            def act() -> None:
                head = ledger.head()
                ledger.append("count", subject="x", body={"n": head}, actor="t", at=START, expect=head)

            decide_again(act)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.body["n"] for entry in SqliteLedger(path).read()] == list(range(20))
