"""What a challenger still owes: it goes on when nothing is missing. Every part has to be proven, each at alpha."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from kairos.delivery.rollout.evidence import Guard, RolloutEvidence, Valued
from kairos.delivery.rollout.harm import EVEN, log_mean, share_counts
from kairos.delivery.rollout.policy import RolloutPolicy
from kairos.delivery.rollout.rules import ValueRule
from kairos.delivery.rollout.steps import demand
from kairos.delivery.rollout.worth import valued, worth_of, worth_safety
from kairos.delivery.stages import Stage
from kairos.stats.badevents import safety_log_e
from kairos.stats.rates import rate_log_e
from kairos.values import length_words

__all__ = ["Missing", "allowed_rate", "exposure", "missing", "safety"]

_FEWEST = 20
"""Requests that both predicted before a refit goes on at all: of any other version the labels ask for more."""

_FAR_DAYS = 365
_JUST_BEGUN = timedelta(minutes=1)
"""What is due later is not promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One thing that is not proven yet."""

    text: str
    """What, with its numbers."""
    due: datetime | None = None
    """When it will be there at the present rate; ``None``: that cannot be told."""
    words: str | None = None
    """The same for everybody; ``None``: the text will do."""


def missing(policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence) -> list[Missing]:
    """What is not proven at a stage; empty when the challenger may go on."""
    found = [
        _loss(policy, evidence) if stage != "live" and not policy.loss_is_proven else None,
        _requests(policy, share, evidence) if stage != "live" else None,
        *((_guard if share > 0 else _aside)(policy, share, evidence, guard) for guard in evidence.guards),
        *(_value(policy, evidence, rule, each) for rule, each in _owed_values(policy, stage, share, evidence)),
        _dwell(policy, stage, share, evidence),
    ]
    return [each for each in found if each is not None]


def exposure(policy: RolloutPolicy, share: float, evidence: RolloutEvidence) -> float:
    """Answers that the challenger will give in the next step before the table looks again; of ``live``, in a day."""
    following = min(1.0, policy.after("canary", share).share)
    dwell = demand(following, 1.0).dwell
    return following * evidence.requests_per_day * (dwell / timedelta(days=1))


def allowed_rate(policy: RolloutPolicy, share: float, evidence: RolloutEvidence, guard: Guard) -> float:
    """The rate of bad events below which a guard is content whatever the champion's is; 1 or more asks for nothing."""
    answers = exposure(policy, share, evidence)
    reachable = guard.reference + policy.bad_answers / answers if answers > 0 else math.inf
    stated = policy.cap if guard.cap is None else guard.cap
    return max(stated, policy.demand(share).max_ratio * guard.reference, reachable)


def safety(policy: RolloutPolicy, share: float, evidence: RolloutEvidence, guard: Guard) -> float:
    """Natural log of the e-value against "as many bad events as this step does not allow, or more"."""
    ratio = policy.demand(share).max_ratio
    rate = allowed_rate(policy, share, evidence, guard)
    if rate >= 1:
        return math.inf
    parts = [rate_log_e(*guard.own, rate, "less")]
    if "pairs" in guard.by:
        parts.append(safety_log_e({EVEN: guard.pairs}, ratio))
    if "shares" in guard.by:
        parts.append(safety_log_e(share_counts(guard.asked), ratio))
    return log_mean(parts)


def _loss(policy: RolloutPolicy, evidence: RolloutEvidence) -> Missing | None:
    loss = evidence.loss
    pairs = 0 if loss is None else loss.pairs
    if loss is None or pairs < policy.min_pairs:
        text = f"{pairs} of {policy.min_pairs} labelled requests that both answered"
        return Missing(text=text, due=_due_pairs(evidence, policy.min_pairs - pairs))
    margin = policy.harm_margin * loss.champion_mean
    if loss.upper < margin:
        return None
    text = f"the mean loss may still be {loss.upper:.4g} higher, {margin:.4g} is allowed ({pairs} requests)"
    said = f"proof that its predictions are at most {100 * policy.harm_margin:.3g} % worse ({pairs} labels so far)"
    difference = loss.challenger_mean - loss.champion_mean
    reach = (loss.upper - difference) / (margin - difference) if difference < margin else math.inf
    if not reach < _FAR_DAYS:
        return Missing(text=text, words=said)
    return Missing(text=text, due=_due_pairs(evidence, pairs * (reach**2 - 1)), words=said)  # as 1 / sqrt(n)


def _requests(policy: RolloutPolicy, share: float, evidence: RolloutEvidence) -> Missing | None:
    is_both = share == 0 or policy.loss_is_proven  # a refit answers as its twin did; what is new is seen in shadow too
    own = evidence.pairs if is_both else evidence.canary_requests
    needed = policy.min_canary_requests if share > 0 else None
    if needed is None:
        answers = exposure(policy, share, evidence)
        table = policy.demand(share).min_requests
        needed = 0 if answers <= policy.bad_answers else min(table, math.ceil(answers))
        if policy.loss_is_proven:
            needed = max(needed, _FEWEST)
    if own >= needed:
        return None
    whose = "requests that both predicted" if is_both else "requests answered by the challenger itself"
    rate = evidence.requests_per_day * (1.0 if is_both else share)
    return Missing(text=f"{own} of {needed} {whose}", due=_due(evidence, needed - own, rate))


def _guard(policy: RolloutPolicy, share: float, evidence: RolloutEvidence, guard: Guard) -> Missing | None:
    log_e = safety(policy, share, evidence, guard)
    if log_e >= math.log(1 / policy.alpha):
        return None
    rate, (bad, predictions) = allowed_rate(policy, share, evidence, guard), guard.own
    text = f"{guard.what} may still be more than {rate:.3g} of all ({bad} of {predictions} so far)"
    if "cap" not in guard.by:
        text += f", or {policy.demand(share).max_ratio:.4g} times the champion's"
    said = f"proof that {guard.what} are rare enough ({bad} of {predictions} so far)"
    if bad > rate * predictions:
        return Missing(text=text, words=said)
    per_day = evidence.requests_per_day * (1.0 if "pairs" in guard.by else share)
    needed = _predictions_for(bad / predictions if predictions else 0.0, rate, policy.alpha)
    return Missing(text=text, due=_due(evidence, needed - predictions, per_day), words=said)


def _owed_values(
    policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence
) -> Iterator[tuple[ValueRule, Valued]]:
    """Values with a margin. It is asked for before live, where both versions have been compared best."""
    if stage == "canary" and policy.after(stage, share).stage == "live":
        yield from ((rule, each) for rule, each in valued(policy, evidence) if rule.margin is not None)


def _value(policy: RolloutPolicy, evidence: RolloutEvidence, rule: ValueRule, each: Valued) -> Missing | None:
    margin = rule.margin or 0.0
    if worth_safety(rule, each, evidence, margin) >= math.log(1 / policy.alpha):
        return None
    less = "lower" if rule.better == "higher" else "higher"
    known = next((str(worth) for worth in worth_of(policy, evidence) if worth.rule == rule), f"{rule.name} unknown yet")
    text = f"{rule.name} may still be more than {margin:.4g} {less} a request: {known}"
    return Missing(text=text, words=f"proof that {rule.name} is at most {margin:.4g} {less} a request")


def _aside(policy: RolloutPolicy, share: float, evidence: RolloutEvidence, guard: Guard) -> Missing | None:
    """In shadow nothing has to be proven about speed; but who is far too slow there does not come to users."""
    rate = allowed_rate(policy, policy.after("canary", share).share, evidence, guard)
    if rate >= 1 or rate_log_e(*guard.aside, rate, "greater") < math.log(1 / policy.alpha):
        return None
    slow, predictions = guard.aside
    return Missing(text=f"{guard.what}: {slow} of {predictions} in shadow, {rate:.3g} of all are allowed")


def _dwell(policy: RolloutPolicy, stage: Stage, share: float, evidence: RolloutEvidence) -> Missing | None:
    needed = policy.bake if stage == "live" else policy.demand(share).dwell
    waited = evidence.as_of - evidence.since
    if waited >= needed:
        return None
    where = "live beside the former champion" if stage == "live" else "in this stage"
    over = "which have just begun" if waited < _JUST_BEGUN else f"of which {length_words(waited)} are over"
    return Missing(text=f"{length_words(needed)} {where}, {over}", due=evidence.since + needed)


def _due_pairs(evidence: RolloutEvidence, count: float) -> datetime | None:
    """When so many more labelled pairs are there: whole UTC days count, some time after they ended."""
    began = evidence.on_trial_since or evidence.since
    per_day = evidence.requests_per_day * evidence.share_labelled
    if not per_day > 0 or count / per_day > _FAR_DAYS:
        return None
    first_open = max(began, _day(evidence.as_of - evidence.labels_after))
    last = first_open + timedelta(days=max(0.0, count / per_day))
    return max(evidence.as_of, _day(last + timedelta(days=1, microseconds=-1)) + evidence.labels_after)


def _day(moment: datetime) -> datetime:
    """When its UTC day began."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _due(evidence: RolloutEvidence, count: float, per_day: float) -> datetime | None:
    """When so many more are there at that rate."""
    days = count / per_day if per_day > 0 else math.inf
    return evidence.as_of + timedelta(days=max(0.0, days)) if days <= _FAR_DAYS else None


def _predictions_for(rate: float, allowed: float, alpha: float) -> float:
    """About how many predictions with that rate of bad events show that it is below ``allowed``."""
    divergence = (1 - rate) * math.log((1 - rate) / (1 - allowed))
    if rate > 0:
        divergence += rate * math.log(rate / allowed)
    return math.log(1 / alpha) / divergence if divergence > 0 else math.inf
