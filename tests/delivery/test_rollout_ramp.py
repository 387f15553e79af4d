"""How much a step asks for: what three bad answers allow, and never more than the table. See docs/design/0003."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.rollout import GuardRule, RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import Guard
from kairos.delivery.rollout.power import power
from kairos.delivery.rollout.proof import allowed_rate, exposure, missing
from kairos.delivery.rollout.steps import DEFAULT_STAGES, demand
from kairos.errors import SettingsError
from tests.delivery.trials import clean_guards, evidence

POLICY = RolloutPolicy()


def test_the_default_ramp_is_that_of_the_table() -> None:
    """Shadow, then four canaries, then live."""
    assert [(step.stage, step.share) for step in DEFAULT_STAGES] == [
        ("shadow", 0.0), ("canary", 0.01), ("canary", 0.05), ("canary", 0.25), ("canary", 0.5), ("live", 1.0),
    ]  # fmt: skip
    asked = [POLICY.demand(step.share) for step in DEFAULT_STAGES[1:]]
    assert [each.max_ratio for each in asked] == [10.0, 4.0, 2.0, 1.5, 1.25]
    assert [each.min_requests for each in asked] == [300, 1000, 4000, 8000, 0]
    hours = [each.dwell / timedelta(hours=1) for each in asked]
    assert hours == pytest.approx([1 / 6, 0.5, 2, 4, 24])


@given(st.floats(0.001, 0.9), st.floats(0.01, 1.0))
def test_other_shares_keep_to_the_same_bound_of_harm(share: float, following: float) -> None:
    """(m - 1) times the next share is 0.5, within what the table ever asks for; n and time come from the row below."""
    found = demand(share, max(share, following))
    rows = {0.0: 500, 0.01: 300, 0.05: 1000, 0.25: 4000, 0.5: 8000}
    assert found.min_requests == rows[max(s for s in rows if s <= share)]
    if share not in rows and share >= 0.01:
        expected = 0.5 / max(share, following)
        assert found.max_ratio - 1 == pytest.approx(min(9.0, max(0.25, expected)))


@pytest.mark.parametrize(
    ("per_day", "share", "answers", "requests", "rate"),
    [
        (24, 0.01, 0.025, 0, None),  # less than one answer in half an hour at 5 %: nothing can go wrong
        (24, 0.25, 2.0, 0, None),
        (24, 0.5, 24.0, 24, 3 / 24),
        (1_000, 0.5, 1_000.0, 1_000, 0.003),
        (1_000, 0.05, 1_000 / 48, 21, 3 * 48 / 1_000),
        (8_640_000, 0.5, 8_640_000.0, 8_000, 0.001),
    ],
)
def test_a_step_asks_for_what_three_bad_answers_allow(
    per_day: int, share: float, answers: float, requests: int, rate: float | None
) -> None:
    """The design's examples, from 24 requests a day to 100 a second."""
    found = evidence(days=10, per_day=per_day, asked={})
    assert exposure(POLICY, share, found) == pytest.approx(answers if share != 0.05 else per_day * 0.25 / 12)
    guard = Guard(name="errors", what="errors", own=(0, 10))
    allowed = allowed_rate(POLICY, share, found, guard)
    assert (allowed >= 1) if rate is None else (allowed == pytest.approx(rate))
    texts = [each.text for each in missing(POLICY, "canary", share, found)]
    assert texts == ([f"0 of {requests} requests answered by the challenger itself"] if requests else [])


@given(st.integers(1, 10**7), st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0]), st.floats(0, 0.2))
def test_nobody_has_to_prove_more_than_the_table_asks(per_day: int, share: float, reference: float) -> None:
    """The rate that suffices is never below the cap, nor below m times what was known of the champion."""
    found = evidence(days=10, per_day=per_day)
    guard = Guard(name="g", by=("shares",), reference=reference)
    allowed = allowed_rate(POLICY, share, found, guard)
    assert allowed >= max(0.001, POLICY.demand(share).max_ratio * reference)
    answers = exposure(POLICY, share, found)
    assert (allowed - reference) * answers >= 3 - 1e-9 or allowed >= 1


def test_a_service_with_a_request_an_hour_goes_through_the_whole_ramp_in_days() -> None:
    """Once its losses are proven: the steps up to 25 % ask for time only, the last for as many answers as a day has."""
    for share, wanted in ((0.01, "advance"), (0.05, "advance"), (0.25, "advance"), (0.5, "wait")):
        found = evidence(days=10, asked={}, guards=clean_guards(240, 0))
        assert decide(POLICY, "canary", share, found).action == wanted
    done = evidence(days=12, asked={"0.5": (24, 24)}, guards=clean_guards(288, 24))
    assert decide(POLICY, "canary", 0.5, done).action == "advance"


def test_the_due_date_is_when_the_slowest_of_what_is_missing_is_there() -> None:
    """100 labelled requests at 24 a day, of which a day counts one day after its end: in the morning of the sixth."""
    decision = decide(POLICY, "shadow", 0.0, evidence(None, days=0.5, labels_after=timedelta(days=1)))
    assert decision.due is not None
    assert decision.due.isoformat() == "2012-01-07T00:00:00+00:00"
    assert decision.words[1] == "At the present rate that is there on 7 January 2012, 00:00 UTC."
    half = decide(POLICY, "shadow", 0.0, evidence(None, days=0.5, share_labelled=0.5))
    assert half.due is not None
    assert half.due.isoformat() == "2012-01-10T00:00:00+00:00"
    nobody = decide(POLICY, "shadow", 0.0, evidence(None, days=0.5, per_day=0))
    assert (nobody.due, nobody.words[1]) == (None, "When that is there cannot be told yet.")


def test_silence_says_what_it_would_have_heard() -> None:
    """With many bad events of the champion a small excess is heard, with few a large one, without any a rate."""
    limit = 3.0
    many = power(Guard(name="errors", by=("shares",), asked={"0.25": (1000, 3000)}), limit)
    few = power(Guard(name="errors", by=("shares",), asked={"0.25": (10, 30)}), limit)
    none = power(Guard(name="errors", by=("shares",), asked={"0.25": (0, 0)}, own=(0, 1000)), limit)
    assert 1.0 < many.ratio < 1.2 < few.ratio < 3.0
    assert str(few) == f"errors: r >= {few.ratio:.2g}"
    assert (none.ratio, none.rate) == (float("inf"), 0.004)
    assert str(none) == "errors: a rate of 0.004"
    assert str(power(Guard(name="errors"), limit)) == "errors: nothing yet"


@pytest.mark.parametrize(
    ("text", "kind", "cap", "limit_us"),
    [
        ("p99_latency < 50ms", "over_50000us", 0.01, 50_000),
        ("p95_latency<0.2s", "over_200000us", 0.05, 200_000),
        ("p99.9_latency < 800us", "over_800us", 0.001, 800),
        ("error_rate < 0.1%", "errors", 0.001, None),
        ("impossible_rate < 1 %", "impossible", 0.01, None),
        ("timeout_rate < 2%", "timeouts", 0.02, None),
    ],
)
def test_a_limit_is_read_as_it_is_written(text: str, kind: str, cap: float, limit_us: int | None) -> None:
    """A quantile of a latency becomes a rate: of ``p99`` one in a hundred may be slower."""
    found = GuardRule.parse(text)
    assert (found.text, found.kind, found.limit_us) == (text, kind, limit_us)
    assert found.cap == pytest.approx(cap)


@pytest.mark.parametrize(
    "text",
    ["", "fast", "p99_latency > 50ms", "p99_latency < 50", "p99_latency < 1%", "p00_latency < 5ms", "p99_latency < 0ms",
     "error_rate < 5ms", "error_rate < 0%", "error_rate < 100%", "errors < 1%", "complaint_rate < 1%"],
)  # fmt: skip
def test_a_limit_that_says_nothing_is_refused(text: str) -> None:
    """With examples of what can be written."""
    with pytest.raises(SettingsError, match="p99_latency < 50ms"):
        GuardRule.parse(text)
