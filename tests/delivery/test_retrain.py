"""Retraining: what waiting costs, harm and age ask for it; trials, pauses, budgets and faults hold it back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kairos.delivery.retrain.age import Slope
from kairos.delivery.retrain.decide import RetrainDecision, decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.readings import Reading
from kairos.delivery.retrain.reasons import period, waiting_cost
from kairos.delivery.retrain.regret import excess_bounds, regret
from kairos.delivery.retrain.slope import risk_slope
from kairos.delivery.retrain.storms import held_until, new_rows_lacking
from kairos.errors import SettingsError
from kairos.gates.policy import Margin
from kairos.values import Window, canonical_json

NOW = datetime(2012, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = RetrainPolicy()
QUIET = RetrainFacts(
    now=NOW,
    champion_trained_at=NOW - timedelta(days=29),
    alarms=(),
    trained_at=(NOW - timedelta(days=29),),
)


def readings(*excesses: float, se: float = 0.0, fresh: float = 40.0) -> tuple[Reading, ...]:
    """Weeks of one row a day, one after the other, the last one up to now.

    ``se`` is the standard error of a week's mean if its days are independent.
    """
    start = NOW - len(excesses) * 7 * DAY
    swing = se * math.sqrt(7) * np.array([1.0, -1.0, 1.0, 0.0, -1.0, 1.0, -1.0])
    return tuple(
        Reading(
            window=Window(start + week * 7 * DAY, start + (week + 1) * 7 * DAY),
            rows=(1,) * 7,
            champion=tuple((fresh + excess + swing).tolist()),
            tried={"all": (fresh,) * 7},
            chosen="all",
            age_days=3.5 + 7 * week,
        )
        for week, excess in enumerate(excesses)
    )


def known(*excesses: float, loss: float = 40.0, se: float = 0.0) -> RetrainFacts:
    """Facts with readings."""
    return replace(QUIET, usual_loss=loss, readings=readings(*excesses, se=se))


def test_a_quiet_young_model_stays() -> None:
    """No alarm, no age: nothing to do."""
    decision = decide_retrain(POLICY, QUIET)
    assert (decision.action, decision.origin, decision.reasons) == ("wait", None, ("no reason to change",))
    assert not decision.makes_version


def test_an_alarm_asks_for_a_new_model() -> None:
    """The reason names the check."""
    decision = decide_retrain(POLICY, replace(QUIET, alarms=("quality",)))
    assert (decision.action, decision.origin, decision.reasons) == ("retrain", "finding", ("alarm: quality",))


def test_an_alarm_that_the_policy_does_not_name_is_not_enough() -> None:
    """Impossible values are stopped by the guard; they do not by themselves ask for a new model."""
    assert decide_retrain(POLICY, replace(QUIET, alarms=("impossible_values",))).action == "wait"


def test_what_holds_a_training_back_says_until_when() -> None:
    """The pause after the last one, or the budget; rows that are missing are counted, and a trial has no date."""
    asked = replace(QUIET, alarms=("quality",), trained_at=(NOW - 5 * DAY,))
    assert held_until(POLICY, asked) == NOW + 2 * DAY
    spent = replace(asked, trained_at=tuple(NOW - days * DAY for days in (29, 24, 16, 8)))
    assert "4 trainings within 30 days" in decide_retrain(POLICY, spent).reasons[-1]
    assert held_until(POLICY, spent) == NOW + DAY
    assert decide_retrain(POLICY, replace(spent, now=NOW + DAY)).action == "retrain"
    failed = replace(asked, trained_at=(NOW - timedelta(minutes=30),), unfinished_in_a_row=1)
    assert held_until(POLICY, failed) == NOW + timedelta(minutes=30)
    assert held_until(POLICY, replace(asked, challenger_on_trial=True)) is None
    assert held_until(POLICY, replace(asked, trained_at=())) is None
    few = replace(QUIET, alarms=("quality",), new_rows=30)
    assert decide_retrain(POLICY, few).action == "wait"
    assert (held_until(POLICY, few), new_rows_lacking(POLICY, few)) == (None, 70)
    assert new_rows_lacking(POLICY, QUIET) == 0


def test_waiting_that_has_cost_as_much_as_a_change_asks_for_one() -> None:
    """A change is worth the champion's loss of a day, 40; seven days of 5 more a row are 35 and not enough, 6 are."""
    assert decide_retrain(POLICY, known(5.0, se=0.0)).action == "wait"
    decision = decide_retrain(POLICY, known(6.0, se=0.0))
    assert (decision.action, decision.origin) == ("retrain", "regret")
    assert decision.reasons == (
        "regret: not changing has cost at least 42 a row for a day (80%), a change is worth 40; on the last 7 rows "
        "the live version lost 46, a fresh one 40",
    )


def test_what_a_change_is_worth_may_be_one_number() -> None:
    """As a share of the champion's loss of a day, or in its unit; the second needs no usual loss."""
    facts = known(6.0, se=0.0)
    assert waiting_cost(replace(POLICY, cost=Margin.parse("50%")), facts).price == 20.0
    absolute = replace(POLICY, cost=Margin.parse(41))
    assert waiting_cost(absolute, replace(facts, usual_loss=None)).is_too_dear
    assert waiting_cost(POLICY, replace(facts, usual_loss=None)).price is None
    assert decide_retrain(POLICY, replace(facts, usual_loss=None)).action == "wait"


def test_only_what_is_proven_counts_as_lost() -> None:
    """The bound is below the mean of the last four blocks by a t quantile of the error; below zero nothing is lost."""
    first, second = excess_bounds(readings(6.0, 6.0, se=4.0), confidence=0.8)
    assert first < 6.0 - 0.84 * 4.0 * 0.9
    assert first > 6.0 - 1.1 * 4.0
    assert first < second < 6.0
    assert regret(readings(-3.0, -1.0), confidence=0.8) == 0.0
    blind = tuple(replace(one, champion=()) for one in readings(5.0))
    assert excess_bounds(blind, confidence=0.8) == (-math.inf,)
    assert regret(blind, confidence=0.8) == 0.0


def test_a_good_week_long_ago_pays_for_nothing() -> None:
    """Where a fresh model was worse, the champion earned no credit; and old blocks leave the pool."""
    bad = readings(9.0, 9.0, 9.0, 9.0)
    after_good = readings(-50.0, 9.0, 9.0, 9.0, 9.0)
    assert regret(after_good, confidence=0.8) > 0
    assert excess_bounds(after_good, confidence=0.8)[-1] == excess_bounds(bad, confidence=0.8)[-1]


@given(slope=st.floats(0.01, 10.0), price=st.floats(1.0, 1000.0))
def test_for_steady_ageing_the_rule_fires_at_the_best_period(slope: float, price: float) -> None:
    """Read in short blocks and without noise, it fires within a block of ``sqrt(2 c / a)``."""
    best = math.sqrt(2 * price / slope)
    if not 2 < best < 200:
        return
    spent, block = 0.0, 0
    while spent < price:
        at = Window(NOW + block * 2 * DAY, NOW + (block + 1) * 2 * DAY)
        age = 2 * block + 1.0
        champion = (100 * slope * age,) * 2
        one = Reading(window=at, rows=(100, 100), champion=champion, tried={"all": (0, 0)}, chosen="all", age_days=age)
        spent += regret([one], confidence=0.8)  # without noise there is nothing to pool
        block += 1
    assert best - 1e-6 <= 2 * block <= best + 2


def test_age_alone_is_enough() -> None:
    """Before anything is known about ageing, 30 days are a model's time; that is a refresh, not a finding."""
    decision = decide_retrain(POLICY, replace(QUIET, champion_trained_at=NOW - timedelta(days=30)))
    assert (decision.action, decision.origin) == ("retrain", "age")
    assert decision.reasons == ("age: the live version is 30 days old, 30d is its time",)


def test_a_models_time_follows_from_how_fast_it_ages() -> None:
    """Proven ageing: the best period. Not proven: four times as long as champions lasted. A setting beats both."""
    proven, unproven = Slope(estimate=0.4, lower=0.1, upper=0.7), Slope(estimate=0.1, lower=-0.1, upper=0.3)
    facts = replace(QUIET, usual_loss=45.0, slope=proven)
    assert period(POLICY, facts) == 15 * DAY
    assert period(POLICY, replace(facts, slope=unproven)) == 120 * DAY
    assert period(POLICY, replace(facts, slope=unproven, periods_days=(10.0, 20.0, 30.0))) == 80 * DAY
    assert period(POLICY, replace(facts, slope=unproven, periods_days=(300.0,))) == 180 * DAY
    assert period(POLICY, replace(facts, slope=replace(proven, estimate=100.0))) == 7 * DAY  # not below the cooldown
    assert period(replace(POLICY, max_age=9 * DAY), facts) == 9 * DAY


def test_the_slope_of_ageing_is_found_with_its_bounds() -> None:
    """Through nothing at age 0; too few readings tell nothing."""
    ages = [3.5 + 7 * week for week in range(8)]
    exact = risk_slope(readings(*[0.3 * age for age in ages]))
    assert exact is not None
    assert (exact.estimate, exact.lower, exact.upper) == pytest.approx((0.3, 0.3, 0.3))
    assert exact.is_proven
    swinging = risk_slope(readings(*[(-1) ** week * 5.0 for week in range(8)]))
    assert swinging is not None
    assert not swinging.is_proven
    assert risk_slope(readings(1.0, 2.0, 3.0, 4.0)) is None


def test_as_many_new_rows_as_it_learnt_from_are_a_reason() -> None:
    """A share that the policy names; not where nobody counted."""
    grown = replace(QUIET, new_rows=4000, train_rows=4000)
    assert decide_retrain(POLICY, grown).reasons == ("growth: 4000 new rows, it learnt from 4000",)
    assert decide_retrain(POLICY, replace(grown, new_rows=3999)).action == "wait"
    assert decide_retrain(POLICY, replace(grown, train_rows=None)).action == "wait"


def test_another_contract_asks_for_another_model() -> None:
    """What it learnt from does not look like what it is asked any more."""
    decision = decide_retrain(POLICY, replace(QUIET, contract_changed=True))
    assert (decision.action, decision.origin) == ("retrain", "contract")


def test_all_reasons_come_together_and_the_gravest_gives_its_name() -> None:
    """So that a training that waited knows all that asked for it."""
    facts = replace(known(9.0), alarms=("quality",), champion_trained_at=NOW - timedelta(days=40))
    decision = decide_retrain(POLICY, facts)
    assert decision.origin == "finding"
    assert [reason.partition(":")[0] for reason in decision.reasons] == ["alarm", "regret", "age"]


def test_one_challenger_at_a_time() -> None:
    """While one is on trial, the reasons are kept and nothing is trained."""
    decision = decide_retrain(POLICY, replace(QUIET, alarms=("quality",), challenger_on_trial=True))
    assert decision.action == "wait"
    assert decision.reasons == ("alarm: quality", "waits: a challenger is on trial")


def test_failures_lengthen_the_pause_up_to_a_limit() -> None:
    """7 days, then 14, then 28, then 30 at the most."""
    for failures, days in ((0, 7), (1, 14), (2, 28), (3, 30), (500, 30)):
        tried = replace(QUIET, alarms=("quality",), failures_in_a_row=failures)
        early = replace(tried, trained_at=(NOW - timedelta(days=days) + timedelta(seconds=1),))
        assert decide_retrain(POLICY, early).action == "wait"
        assert decide_retrain(POLICY, replace(tried, trained_at=(NOW - timedelta(days=days),))).makes_version


def test_a_budget_is_not_overdrawn() -> None:
    """Four trainings in thirty days; those that came to no end are not counted."""
    days = (29, 22, 15, 8)
    spent = replace(QUIET, alarms=("quality",), trained_at=tuple(NOW - timedelta(days=day) for day in days))
    assert decide_retrain(POLICY, spent).reasons[-1] == "waits: 4 trainings within 30 days, 4 are allowed"
    assert decide_retrain(POLICY, replace(spent, now=NOW + timedelta(days=1, seconds=1))).makes_version
    assert decide_retrain(POLICY, replace(spent, unfinished_in_a_row=1)).makes_version


def test_there_has_to_be_something_new_to_learn() -> None:
    """Rows with a known truth, and other bytes than the last training had; unless that one came to no end."""
    asked = replace(QUIET, alarms=("quality",), new_rows=99, train_rows=4000)
    assert decide_retrain(POLICY, asked).reasons[-1] == "waits: 99 of 100 new rows with a known truth"
    assert decide_retrain(POLICY, replace(asked, train_rows=50_000, new_rows=999)).action == "wait"
    assert decide_retrain(POLICY, replace(asked, new_rows=100)).makes_version
    same = replace(QUIET, alarms=("quality",), same_data=True)
    assert decide_retrain(POLICY, same).reasons[-1] == (
        "waits: it would learn from the very data that were learnt from already, so nothing new can come of it"
    )
    assert decide_retrain(POLICY, replace(same, unfinished_in_a_row=1)).makes_version


def test_after_a_version_proven_bad_the_cost_of_waiting_has_to_be_clearly_higher() -> None:
    """By a fifth of what it was then; an alarm needs no more than its pause."""
    facts = replace(known(6.0, se=0.0), tried_regret=40.0, failures_in_a_row=1)
    decision = decide_retrain(POLICY, facts)
    assert decision.reasons[-1] == "waits: the last version was proven bad; waiting has to have cost 48"
    assert decide_retrain(POLICY, replace(facts, readings=readings(7.0, se=0.0))).makes_version
    assert decide_retrain(POLICY, replace(facts, alarms=("quality",))).makes_version


def test_nothing_is_learnt_from_a_broken_pipeline() -> None:
    """Under an open fault, or if the triage says so, a person is asked; without a reason nobody is."""
    faulty = replace(QUIET, faults=("the data contract is broken",))
    assert decide_retrain(POLICY, faulty).action == "wait"
    decision = decide_retrain(POLICY, replace(faulty, alarms=("quality",)))
    assert (decision.action, decision.makes_version) == ("investigate", False)
    assert decision.reasons == ("alarm: quality", "fault: the data contract is broken")
    assert decide_retrain(POLICY, replace(QUIET, alarms=("quality",), advice="investigate")).action == "investigate"


def test_a_bias_that_leaves_the_ranking_intact_is_mended_without_training() -> None:
    """Once; if the bias is proven again, recalibrating does not mend it. Other reasons ask for more."""
    biased = replace(QUIET, alarms=("prediction_bias",), advice="recalibrate")
    decision = decide_retrain(POLICY, biased)
    assert (decision.action, decision.makes_version) == ("recalibrate", True)
    assert decide_retrain(POLICY, replace(biased, was_recalibrated=True)).action == "retrain"
    old = replace(biased, champion_trained_at=NOW - timedelta(days=60))
    assert decide_retrain(POLICY, old).action == "retrain"


def test_without_a_champion_there_is_nothing_to_replace() -> None:
    """The first model is deployed by a person."""
    facts = replace(QUIET, champion_trained_at=None, alarms=("quality",))
    assert decide_retrain(POLICY, facts).reasons == ("nothing is live",)


def test_a_decision_is_made_again_from_what_the_ledger_keeps() -> None:
    """Policy, facts and decision survive JSON to the byte."""
    facts = replace(
        known(9.0, -math.inf, math.nan),
        slope=Slope(estimate=0.1, lower=-math.inf, upper=math.inf),
        periods_days=(3.5,),
        faults=("x",),
        alarms=("quality",),
    )
    policy = replace(POLICY, cost=Margin.parse(3.5), max_age=45 * DAY, retry=timedelta(seconds=90))
    decision = decide_retrain(policy, facts)
    told = json.loads(canonical_json({"p": policy.plain(), "f": facts.plain(), "d": decision.plain()}))
    read = RetrainPolicy.from_plain(told["p"]), RetrainFacts.from_plain(told["f"])
    assert read[0] == policy
    assert canonical_json(read[1]) == canonical_json(facts)
    assert RetrainDecision.from_plain(told["d"]) == decision == decide_retrain(*read)
    assert RetrainPolicy.from_plain(POLICY.plain()) == POLICY
    assert RetrainFacts.from_plain(QUIET.plain()) == QUIET


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 0.5},
        {"cost": Margin(kind="absolute", value=0.0)},
        {"block": timedelta(0)},
        {"max_age": timedelta(0)},
        {"cooldown": -DAY},
        {"budget": 0},
        {"min_block_rows": 1},
        {"growth": 0.0},
        {"hysteresis": -0.1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """Before anything is decided by it; the setting is named."""
    with pytest.raises(SettingsError, match=f"retraining's {next(iter(wrong))} is"):
        replace(POLICY, **wrong)  # type: ignore[arg-type]
