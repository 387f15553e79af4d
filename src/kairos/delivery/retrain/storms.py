"""What holds a training back, so that one trouble does not lead to a hundred models."""

from __future__ import annotations

from datetime import datetime, timedelta

from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.retrain.reasons import Reason, waiting_cost
from kairos.values import length_words

__all__ = ["held_back", "held_until", "new_rows_lacking"]


def held_back(policy: RetrainPolicy, facts: RetrainFacts, reasons: tuple[Reason, ...]) -> str | None:
    """Why not now, or ``None``. One cause is told, the one that is asked for first.

    One training at a time, whose reasons come together; a pause after each, longer after versions proven bad and
    shorter after trainings that came to no end; a budget; something new to learn from; and, after a version proven
    bad, a reason that has become clearly stronger.
    """
    if facts.challenger_on_trial:
        return "a challenger is on trial"
    pause = _pause(policy, facts)
    if facts.trained_at and facts.now - facts.trained_at[-1] < pause:
        return f"the last training was less than {length_words(pause)} ago"
    since = facts.now - timedelta(days=policy.budget_days)
    finished = facts.trained_at[: len(facts.trained_at) - facts.unfinished_in_a_row]
    spent = sum(at > since for at in finished)
    if spent >= policy.budget:
        return f"{spent} trainings within {policy.budget_days} days, {policy.budget} are allowed"
    if facts.unfinished_in_a_row:
        return None  # that training had its reasons, and learnt nothing yet
    if facts.same_data:
        return "it would learn from the very data that were learnt from already, so nothing new can come of it"
    if new_rows_lacking(policy, facts):
        return f"{facts.new_rows} of {_needed_rows(policy, facts)} new rows with a known truth"
    if {reason.origin for reason in reasons} == {"regret"} and facts.tried_regret is not None:
        least = (1 + policy.hysteresis) * facts.tried_regret
        if waiting_cost(policy, facts).regret < least:
            return f"the last version was proven bad; waiting has to have cost {least:.3g}"
    return None


def held_until(policy: RetrainPolicy, facts: RetrainFacts) -> datetime | None:
    """When what holds a training back is over of itself; ``None``: nothing does, or time alone does not end it.

    Rows that are missing are told by ``new_rows_lacking``; when they are there only the labels say.
    """
    if facts.challenger_on_trial or not facts.trained_at:
        return None
    ends = [facts.trained_at[-1] + _pause(policy, facts)]
    finished = facts.trained_at[: len(facts.trained_at) - facts.unfinished_in_a_row]
    if len(finished) >= policy.budget:
        ends.append(finished[-policy.budget] + timedelta(days=policy.budget_days))
    return max(ends) if max(ends) > facts.now else None


def new_rows_lacking(policy: RetrainPolicy, facts: RetrainFacts) -> int:
    """How many more rows with a known truth a training asks for; 0 also where nobody counted."""
    if facts.new_rows is None or facts.unfinished_in_a_row:
        return 0
    return max(0, _needed_rows(policy, facts) - facts.new_rows)


def _needed_rows(policy: RetrainPolicy, facts: RetrainFacts) -> int:
    return max(policy.min_new_rows, round(policy.min_new_share * (facts.train_rows or 0)))


def _pause(policy: RetrainPolicy, facts: RetrainFacts) -> timedelta:
    longest = max(policy.max_cooldown, policy.cooldown)
    pause = min(_doubled(policy.cooldown, facts.failures_in_a_row), longest)
    if facts.unfinished_in_a_row:
        pause = min(_doubled(policy.retry, facts.unfinished_in_a_row - 1), pause)
    return pause


def _doubled(pause: timedelta, times: int) -> timedelta:
    return pause * (1 << min(times, 16))
