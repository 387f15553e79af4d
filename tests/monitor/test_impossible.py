"""When impossible answers become an alarm."""

from __future__ import annotations

import numpy as np

from kairos.monitor.checks.impossible import impossible_values
from kairos.values import Window

WINDOW = Window.parse("2012-01-01..2012-01-31")


def test_no_impossible_answer_is_no_finding() -> None:
    """Silence when nothing happened."""
    assert impossible_values(0, 5000, window=WINDOW, version=1) is None


def test_one_impossible_answer_is_worth_a_line() -> None:
    """A single one is named but is no proof of a rate."""
    found = impossible_values(1, 5000, window=WINDOW, version=2)
    assert found is not None
    assert (found.level, found.version, found.lower) == ("info", 2, None)


def test_many_impossible_answers_are_an_alarm_with_a_sentence() -> None:
    """The sentence says how many, of how many, and what was tolerated."""
    found = impossible_values(30, 1000, window=WINDOW, version=1)
    assert found is not None
    assert found.level == "alarm"
    assert "30 of 1000 answers (3.00%)" in found.sentence
    assert "0.10% tolerated" in found.sentence


def test_a_rate_at_the_cap_seldom_alarms_however_often_one_looks() -> None:
    """400 streams at exactly the cap, looked at every 250 answers: at most 5 % (+ 3 standard errors) ever alarm."""
    rng = np.random.default_rng(7)
    ever = 0
    for _ in range(400):
        k = np.cumsum(rng.random(4000) < 0.01)[249::250]
        found = (impossible_values(int(c), 250 * (i + 1), window=WINDOW, version=1, cap=0.01) for i, c in enumerate(k))
        ever += any(f is not None and f.level == "alarm" for f in found)
    assert ever / 400 <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
