"""The way to the oracles itself."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import oracle
from tests.oracles.oracle import ask


def test_what_is_given_arrives_and_what_is_answered_comes_back_to_the_bit() -> None:
    """Arrays become lists, and floats keep every bit both ways."""
    x = np.random.default_rng(0).normal(size=100)
    assert ask("answer = {'same': x, 'sum': a + 1}", x=x, a=2) == {"same": x.tolist(), "sum": 3}


def test_they_live_apart_from_ours() -> None:
    """The program cannot import Kairos, nor anything of this environment."""
    assert ask("import importlib.util; answer = importlib.util.find_spec('kairos') is None") is True


def test_a_program_that_fails_fails_the_test() -> None:
    """With the error of the program; so an oracle that changed its interface is not taken for agreement."""
    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"):
        ask("answer = 1 / 0")


def test_without_oracles_the_test_fails_and_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what to type."""
    monkeypatch.setattr(oracle, "PYTHON", oracle.PYTHON / "nowhere")
    with pytest.raises(pytest.fail.Exception, match="make oracles"):
        ask("answer = 1")
