"""What requests are worth: a guard that takes back, and where a margin is stated a proof that live asks for."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from kairos.delivery.rollout import RolloutPolicy, ValueRule
from kairos.delivery.rollout.deciding import decide, decide_again, decide_bake
from kairos.delivery.rollout.evidence import RolloutEvidence, Valued
from kairos.delivery.rollout.harm import alarms
from kairos.delivery.rollout.worth import worth_of
from kairos.values import canonical_json, plain
from tests.delivery.trials import evidence

REVENUE = ValueRule(name="revenue", better="higher", range=(0.0, 500.0))
ASKED = {"0.25": (5_000, 15_000), "0.5": (10_000, 10_000)}


def sums(mine: float, theirs: float, *, rate: float = 0.1, reach: float | None = 500.0, **more: Any) -> Valued:
    """One request in ten brings something, each as much as it says."""
    events = {share: (round(a * rate), round(b * rate)) for share, (a, b) in ASKED.items()}

    def by(power: int) -> dict[str, tuple[float, float]]:
        return {share: (a * mine**power, b * theirs**power) for share, (a, b) in events.items()}

    return Valued(name="revenue", reach=reach, events=events, totals=by(1), sizes=by(1), squares=by(2), **more)


def trial(valued: Valued, **more: Any) -> RolloutEvidence:
    """Of a challenger that stands at a half, with nothing else against it."""
    given = {"requests": 40_000, "pairs": 40_000, "asked": ASKED, "values": (valued,), **more}
    return evidence(days=5, **given)


def rollout(rule: ValueRule = REVENUE, **more: Any) -> RolloutPolicy:
    return RolloutPolicy(values=(rule,), **more)


def test_a_challenger_that_requests_are_worth_less_with_is_taken_back() -> None:
    """Half as much: the sentence has the difference, its bounds, and how many values there are."""
    decision = decide(rollout(), "canary", 0.5, trial(sums(50.0, 100.0)))
    assert (decision.action, decision.verdict) == ("rollback", "fail")
    assert "requests are worth less: revenue 5 lower a request (" in decision.sentence
    assert "lower, 4000 values)" in decision.sentence
    assert "worth less" in decision.words[0]


def test_which_way_is_better_is_the_owners_word() -> None:
    """Minutes of waiting: twice as many are harm, half as many are none."""
    rule = ValueRule(name="revenue", better="lower", range=(0.0, 500.0))
    assert decide(rollout(rule), "canary", 0.5, trial(sums(100.0, 50.0))).action == "rollback"
    assert decide(rollout(rule), "canary", 0.5, trial(sums(50.0, 100.0))).action == "advance"


def test_as_much_or_more_holds_nobody_up() -> None:
    """Without a margin nothing has to be proven; what is known is told with the step forward."""
    decision = decide(rollout(), "canary", 0.5, trial(sums(110.0, 100.0)))
    assert decision.action == "advance"
    assert "revenue 1 higher a request" in decision.sentence
    assert "With it, so far: revenue 1 higher a request" in decision.words[1]


def test_a_margin_is_asked_for_before_live_and_not_earlier() -> None:
    """At a quarter the challenger goes on; at a half it owes the proof that it brings at most so much less."""
    strict = rollout(ValueRule(name="revenue", better="higher", range=(0.0, 500.0), margin=0.5))
    lax = rollout(ValueRule(name="revenue", better="higher", range=(0.0, 500.0), margin=8.0))
    known = trial(sums(100.0, 100.0))
    assert decide(strict, "canary", 0.25, known).action == "advance"
    waits = decide(strict, "canary", 0.5, known)
    assert waits.action == "wait"
    assert "revenue may still be more than 0.5 lower a request: revenue the same a request (" in waits.sentence
    assert "proof that revenue is at most 0.5 lower a request" in waits.words[0]
    assert decide(lax, "canary", 0.5, known).action == "advance"
    assert decide(strict, "canary", 0.5, trial(Valued(name="revenue"))).action == "wait"


def test_values_share_alpha_with_the_other_guards() -> None:
    """Each acts at a part of it: with one kind of value more, all others act later."""
    few = {one.name: one.log_limit for one in alarms(RolloutPolicy(critical=()), trial(sums(1.0, 1.0)))}
    more = {one.name: one.log_limit for one in alarms(rollout(critical=()), trial(sums(1.0, 1.0)))}
    assert "value:revenue" in more
    assert "value:revenue" not in few
    assert more["loss"] > few["loss"]


def test_a_kind_without_a_range_is_silent_before_fifty_values_of_each() -> None:
    """Nothing is known then, and that is told."""
    rule = ValueRule(name="revenue", better="higher")
    early = sums(1.0, 100.0, rate=0.003, reach=None)
    assert min(map(sum, zip(*early.events.values(), strict=True))) < 50
    assert decide(rollout(rule), "canary", 0.5, trial(early)).action == "advance"
    assert [str(each) for each in worth_of(rollout(rule), trial(early))] == ["revenue unknown yet (120 values)"]
    assert decide(rollout(rule), "canary", 0.5, trial(sums(1.0, 100.0, reach=None))).action == "rollback"


def test_what_was_cut_to_the_range_is_told() -> None:
    """Then another thing is compared than what was paid."""
    (worth,) = worth_of(rollout(), trial(sums(100.0, 100.0, clipped=7)))
    assert str(worth).endswith("4000 values, 7 of them cut to the range)")


def test_a_version_that_is_live_goes_back_for_it_as_well() -> None:
    """In its bake, by what was seen while both answered users."""
    assert decide_bake(rollout(), trial(sums(50.0, 100.0))).action == "rollback"
    assert decide_bake(rollout(), trial(sums(100.0, 100.0), as_of=evidence(days=20).as_of)).action == "advance"


@pytest.mark.parametrize("mine", [50.0, 100.0])
def test_the_decision_is_made_again_from_what_the_ledger_holds(mine: float) -> None:
    """To the byte; and what was written before there were values is read as before."""
    policy, known = (
        rollout(ValueRule(name="revenue", better="higher", range=(0, 500), margin=8.0)),
        trial(sums(mine, 100.0)),
    )
    first = decide(policy, "canary", 0.5, known)
    question = {"about": "trial", "stage": "canary", "share": 0.5}
    kept = [json.loads(canonical_json(plain(each))) for each in (policy, known)]
    again = decide_again(question, kept[0], kept[1])
    assert canonical_json(plain(again)) == canonical_json(plain(first))
    for old in kept:
        del old["values"]
    assert decide_again(question, kept[0], kept[1]) == decide(
        RolloutPolicy(), "canary", 0.5, trial(sums(1, 1), values=())
    )


def test_rules_that_make_no_sense_are_refused() -> None:
    """A margin without a canary, a range without 0."""
    with pytest.raises(Exception, match="canary"):
        RolloutPolicy(
            stages=RolloutPolicy().stages[-1:],
            values=(ValueRule(name="revenue", better="higher", margin=1.0),),
        )
    with pytest.raises(Exception, match="0 between"):
        ValueRule(name="stars", better="higher", range=(1.0, 5.0))
    assert RolloutPolicy(min_dwell=timedelta(0)).values == ()
