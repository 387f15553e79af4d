"""Retraining: harm and age ask for it, trials and cooldowns hold it back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kairos.delivery.retrain import RetrainFacts, RetrainPolicy, decide_retrain

NOW = datetime(2012, 6, 1, tzinfo=UTC)
POLICY = RetrainPolicy()
QUIET = RetrainFacts(
    now=NOW,
    champion_trained_at=NOW - timedelta(days=29),
    alarms=(),
    last_training_at=NOW - timedelta(days=29),
    failures_in_a_row=0,
    challenger_on_trial=False,
)


def test_a_quiet_young_model_stays() -> None:
    """No alarm, no age: nothing to do."""
    assert not decide_retrain(POLICY, QUIET).train


def test_an_alarm_asks_for_a_new_model() -> None:
    """The reason names the check."""
    decision = decide_retrain(POLICY, replace(QUIET, alarms=("quality",)))
    assert (decision.train, decision.origin, decision.reasons) == (True, "finding", ("alarm: quality",))


def test_an_alarm_that_the_policy_does_not_name_is_not_enough() -> None:
    """Impossible values are stopped by the guard; they do not by themselves ask for a new model."""
    assert not decide_retrain(POLICY, replace(QUIET, alarms=("impossible_values",))).train


def test_age_alone_is_enough() -> None:
    """A quiet model is renewed when it is too old; that is a refresh, not a finding."""
    decision = decide_retrain(POLICY, replace(QUIET, champion_trained_at=NOW - timedelta(days=30)))
    assert (decision.train, decision.origin) == (True, "age")


def test_one_challenger_at_a_time() -> None:
    """While one is on trial, the reasons are kept and nothing is trained."""
    decision = decide_retrain(POLICY, replace(QUIET, alarms=("quality",), challenger_on_trial=True))
    assert not decision.train
    assert decision.reasons == ("alarm: quality", "waits: a challenger is on trial")


def test_failures_lengthen_the_pause_up_to_a_limit() -> None:
    """7 days, then 14, then 28, then 30 at the most."""
    for failures, days in ((0, 7), (1, 14), (2, 28), (3, 30), (500, 30)):
        tried = replace(QUIET, alarms=("quality",), failures_in_a_row=failures)
        early = replace(tried, last_training_at=NOW - timedelta(days=days) + timedelta(seconds=1))
        assert not decide_retrain(POLICY, early).train
        assert decide_retrain(POLICY, replace(tried, last_training_at=NOW - timedelta(days=days))).train


def test_without_a_champion_there_is_nothing_to_replace() -> None:
    """The first model is deployed by a person."""
    facts = replace(QUIET, champion_trained_at=None, alarms=("quality",))
    assert decide_retrain(POLICY, facts).reasons == ("nothing is live",)
