"""Every decision in two sentences that need no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.proof import Missing
from kairos.delivery.rollout.steps import StageStep
from kairos.delivery.rollout.worth import worth_of
from kairos.delivery.stages import Stage
from kairos.values import duration_text

__all__ = ["Words", "advanced", "baked", "due_date", "frozen", "held", "proof", "taken_back", "waiting"]

Words = tuple[str, str]


def due_date(missing: Sequence[Missing]) -> datetime | None:
    """When everything will be there; ``None`` if that cannot be told of one thing."""
    dates = [each.due for each in missing]
    known = [date for date in dates if date is not None]
    return max(known) if known and len(known) == len(dates) else None


def proof(policy: RolloutPolicy, evidence: RolloutEvidence) -> str:
    """What lets a challenger go on, for the statistician."""
    loss = evidence.loss
    worth = "".join(f"; {each}" for each in worth_of(policy, evidence))
    if policy.loss_is_proven or loss is None:
        return f"its twin passed the gate, and no harm shows in {evidence.pairs} requests that both predicted{worth}"
    return (
        f"mean loss {loss.challenger_mean:.4g} against {loss.champion_mean:.4g} on {loss.pairs} requests; the "
        f"difference is below {loss.upper:.4g} at any time with {1 - policy.alpha:.0%}{worth}"
    )


def taken_back(policy: RolloutPolicy, reason: str, *, by_proof: bool) -> Words:
    """Of a rollback."""
    second = (
        f"A version that does no harm is taken back in less than {_odds(policy)} rollouts, however often one looks."
    )
    if not by_proof:
        second = "That needs no statistics: it could not do its work where the live version could."
    return f"The new version is taken back: {reason}.", second


def advanced(policy: RolloutPolicy, evidence: RolloutEvidence, to: StageStep) -> Words:
    """Of a step forward."""
    loss = evidence.loss
    known = ", ".join(str(each) for each in worth_of(policy, evidence))
    worth = f" With it, so far: {known}." if known else ""
    whom = "every request" if to.stage == "live" else f"{_percent(to.share)} of the requests"
    if policy.loss_is_proven or loss is None:
        return (
            f"The new version may answer {whom}: it learnt as one that passed the gate did, only from newer rows as "
            f"well, and in {evidence.pairs} requests nothing speaks against it.",
            f"If it does harm after all, it is taken back as soon as that is proven.{worth}",
        )
    return (
        f"The new version may answer {whom}: on {loss.pairs} labelled requests its mean loss was "
        f"{loss.challenger_mean:.4g} against {loss.champion_mean:.4g}, and nothing else speaks against it.",
        f"Were its mean loss more than {_percent(policy.harm_margin)} worse, it would get this far in less than "
        f"{_odds(policy)} rollouts.{worth}",
    )


def waiting(stage: Stage, share: float, missing: Sequence[Missing], *, is_overdue: bool) -> Words:
    """Of a version that stays where it is."""
    what = _list(missing)
    if is_overdue:
        first = f"The new version waits {_where(stage, share)}, for a person, because its time was over"
        second = f"Still missing is: {what}." if missing else "What was missing then is there by now."
        return f"{first}.", second
    due = due_date(missing)
    second = "When that is there cannot be told yet."
    if due is not None:
        second = f"At the present rate that is there on {_date(due)}."
    return f"The new version stays {_where(stage, share)}: no harm is proven, and still missing is: {what}.", second


def held(policy: RolloutPolicy, missing: Sequence[Missing]) -> Words:
    """Of a version whose time is over."""
    return (
        f"Within {duration_text(policy.max_wait)} the new version has not shown that it may go on, so it waits in "
        "shadow, where it answers nobody, for a person.",
        f"Missing was: {_list(missing)}.",
    )


def frozen(stage: Stage, share: float) -> Words:
    """Of a version whose requests do not reach it as drawn."""
    return (
        f"The new version stays {_where(stage, share)}, because requests do not reach the two versions as drawn.",
        "Until that is explained no comparison of the two can be trusted; look at how clients send the entity.",
    )


def baked(policy: RolloutPolicy, missing: Sequence[Missing]) -> Words:
    """Of a bake that is over."""
    first = f"The new version has been live for {duration_text(policy.bake)} without proven harm"
    if missing:
        first = (
            f"The new version is live, and {duration_text(policy.max_wait)} have not shown harm, nor that all is well"
        )
    return f"{first}; the one before it is not kept warm any longer.", "Going back to it stays possible at any time."


def _where(stage: Stage, share: float) -> str:
    if stage == "shadow":
        return "in shadow, where it answers nobody"
    return f"at {_percent(share)} of the requests" if stage == "canary" else "live beside the one before it"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _odds(policy: RolloutPolicy) -> str:
    return f"one of {1 / policy.alpha:.0f}"


def _date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _list(missing: Sequence[Missing]) -> str:
    return "; ".join(each.words or each.text for each in missing)
