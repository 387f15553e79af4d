"""The rollout as a state machine: whatever evidence comes, in whatever order, it takes no step that is not earned."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kairos.delivery.rollout import RolloutPolicy, StageStep
from kairos.delivery.rollout.deciding import SPLIT_LIMIT, RolloutDecision, decide, decide_bake
from kairos.delivery.rollout.evidence import Guard, PairedLoss, RolloutEvidence
from kairos.delivery.stages import Stage
from kairos.stats.badevents import harm_log_e, safety_log_e
from kairos.stats.rates import rate_log_e
from tests.delivery.trials import START

HOUR = timedelta(hours=1)
COUNTS = st.integers(0, 400)
RAMP = tuple(StageStep.parse(text) for text in ("shadow", "canary:1%", "canary:5%", "canary:25%", "canary:50%", "live"))
TABLE = {0.01: (10.0, 300), 0.05: (4.0, 1000), 0.25: (2.0, 4000), 0.5: (1.5, 8000), 1.0: (1.25, 0)}
"""Share: ratio and requests, written down once more, as the design says them."""


class Rollout(RuleBasedStateMachine):
    """One version, from shadow to wherever its evidence leads."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = RolloutPolicy(max_wait=timedelta(days=3), bake=timedelta(days=1), critical=())
        self.begin()

    def begin(self) -> None:
        """A version comes to shadow; nothing is known of it."""
        self.stage: Stage = "shadow"
        self.share = 0.0
        self.evidence = RolloutEvidence(as_of=START, since=START, on_trial_since=START, loss=None)
        self.visited = [RAMP[0]]
        self.errors = Guard(name="errors", what="errors")
        self.slow = Guard(name="slow_p95", what="slow answers", by=("shares",), reference=0.05)

    @initialize(with_alpha=st.sampled_from([0.01, 0.05, 0.2]))
    def choose(self, with_alpha: float) -> None:
        """How sure one wants to be."""
        self.policy = replace(self.policy, alpha=with_alpha)

    @property
    def is_running(self) -> bool:
        """Whether anything may still happen to it by itself."""
        return self.stage in ("shadow", "canary", "live")

    @precondition(lambda self: self.is_running)
    @rule(hours=st.integers(1, 40), requests=st.integers(0, 100_000))
    def time_passes(self, hours: int, requests: int) -> None:
        """With requests, which both predict and nothing bad happens to."""
        mine = round(requests * self.share)
        self.evidence = replace(
            self.evidence,
            as_of=self.evidence.as_of + hours * HOUR,
            requests=self.evidence.requests + requests,
            pairs=self.evidence.pairs + requests,
        )
        self.errors = replace(self.errors, own=(self.errors.own[0], self.errors.own[1] + requests))
        if self.stage == "canary":
            had = self.evidence.asked.get(str(self.share), (0, 0))
            asked = {**self.evidence.asked, str(self.share): (had[0] + mine, had[1] + requests - mine)}
            self.evidence = replace(self.evidence, asked=asked)
        if self.share > 0:
            self.slow = replace(self.slow, own=(self.slow.own[0], self.slow.own[1] + mine))

    @precondition(lambda self: self.is_running)
    @rule(mine=COUNTS, theirs=COUNTS)
    def errors_on_pairs(self, mine: int, theirs: int) -> None:
        """Requests on which only one of the two failed."""
        (a, b), (bad, n) = self.errors.pairs, self.errors.own
        self.errors = replace(self.errors, pairs=(a + mine, b + theirs), own=(bad + mine, n + mine + theirs))

    @precondition(lambda self: self.stage == "canary")
    @rule(mine=COUNTS, theirs=COUNTS)
    def slow_answers(self, mine: int, theirs: int) -> None:
        """Of the version that was asked first."""
        had, (bad, n) = self.slow.asked.get(str(self.share), (0, 0)), self.slow.own
        asked = {**self.slow.asked, str(self.share): (had[0] + mine, had[1] + theirs)}
        self.slow = replace(self.slow, asked=asked, own=(bad + mine, n + mine))

    @precondition(lambda self: self.is_running)
    @rule(pairs=st.integers(1, 500), upper=st.floats(-5, 15), harm=st.floats(-5, 8))
    def labels_come(self, pairs: int, upper: float, harm: float) -> None:
        """And say something about the losses."""
        loss = PairedLoss(
            pairs=pairs, champion_mean=50.0, challenger_mean=45.0, lower=-20.0, upper=upper, harm_log_e=harm
        )
        self.evidence = replace(self.evidence, loss=loss)

    @precondition(lambda self: self.stage == "canary")
    @rule(log_e=st.floats(-5, 9))
    def split_is_looked_at(self, log_e: float) -> None:
        """Users reach the two as drawn, or not."""
        self.evidence = replace(self.evidence, split_log_e=log_e)

    @precondition(lambda self: self.evidence.is_overdue and self.stage == "shadow")
    @rule()
    def a_person_lets_it_go_on(self) -> None:
        """By deploying it to shadow once more, with a reason."""
        self.evidence = replace(self.evidence, is_overdue=False, since=self.evidence.as_of)

    @precondition(lambda self: self.is_running)
    @rule(days=st.integers(1, 3))
    def all_goes_well(self, days: int) -> None:
        """Many requests, good labels, no more bad events than the champion has; and the loop looks."""
        self.time_passes(24 * days, 60_000 * days)
        self.labels_come(400, -2.0, -2.0)
        self.errors_on_pairs(2, 2)
        if self.stage == "canary":
            self.slow_answers(round(3000 * days * self.share), round(3000 * days * (1 - self.share)))
        self.the_loop_looks()

    @precondition(lambda self: not self.is_running)
    @rule()
    def another_version_comes(self) -> None:
        """With evidence of its own."""
        self.begin()

    @precondition(lambda self: self.is_running)
    @rule()
    def the_loop_looks(self) -> None:
        """And does what is decided, if that was earned."""
        known = replace(self.evidence, guards=(self.errors, self.slow))
        if self.stage == "live":
            decision = decide_bake(self.policy, known)
            self.check(decision, known)
            if decision.action != "wait":
                self.stage = "rolled_back" if decision.action == "rollback" else "retired"
            return
        decision = decide(self.policy, self.stage, self.share, known)
        self.check(decision, known)
        if decision.action == "rollback":
            self.stage, self.share = "rolled_back", 0.0
        elif decision.to is not None:
            self.stage, self.share = decision.to.stage, decision.to.share
            is_overdue = decision.action == "hold"
            self.evidence = replace(self.evidence, since=self.evidence.as_of, is_overdue=is_overdue)
            self.visited.append(decision.to)

    def check(self, decision: RolloutDecision, known: RolloutEvidence) -> None:
        """What an action has to have behind it, worked out from the counts once more."""
        assert (decision.action == "rollback") == self.is_harm_proven(known)
        if decision.action == "hold":
            assert decision.to == RAMP[0]
            assert known.as_of - known.since >= self.policy.max_wait
        if decision.action == "advance" and self.stage != "live":
            assert decision.verdict == "pass"
            assert not known.is_overdue
            assert known.split_log_e < SPLIT_LIMIT
            assert decision.to == RAMP[[step.share for step in RAMP].index(self.share) + 1], "no step is skipped"
            assert known.loss is not None
            assert known.loss.upper < 5.0
            assert known.loss.pairs >= 100
        if decision.action == "advance" and self.share > 0 and decision.verdict == "pass":
            assert self.is_safe(known)

    def is_harm_proven(self, known: RolloutEvidence) -> bool:
        """Whether any of the three guards is at its part of alpha."""
        pairs = harm_log_e({0.5: self.errors.pairs})
        shares = harm_log_e({float(share): pair for share, pair in self.slow.asked.items()})
        losses = -math.inf if known.loss is None else known.loss.harm_log_e
        return max(losses, math.log((math.exp(pairs) + 1) / 2), shares) >= math.log(3 / self.policy.alpha)

    def is_safe(self, known: RolloutEvidence) -> bool:
        """Whether both kinds of bad events are proven to be few enough for the next step."""
        ratio, requests = TABLE[self.share]
        following = RAMP[min([step.share for step in RAMP].index(self.share) + 1, len(RAMP) - 1)].share
        hours = {0.05: 0.5, 0.25: 2.0, 0.5: 4.0, 1.0: 24.0}[following]
        answers = following * known.requests_per_day * hours / 24
        if self.stage == "canary" and answers > 3 and known.canary_requests < min(requests, answers):
            return False
        spare = 3 / answers if answers > 0 else math.inf
        by_shares = {float(share): pair for share, pair in self.slow.asked.items()}
        errors = [safety_log_e({0.5: self.errors.pairs}, ratio), safety_log_e({}, ratio)]
        slow = [safety_log_e(by_shares, ratio)]
        for rate, guard, logs in (
            (max(0.001, spare), self.errors, errors),
            (max(0.001, 0.05 * ratio, 0.05 + spare), self.slow, slow),
        ):
            if rate < 1:
                logs.append(rate_log_e(*guard.own, rate, "less"))
                mean = sum(math.exp(min(log, 700)) for log in logs) / len(logs)
                if not mean >= 1 / self.policy.alpha * (1 - 1e-9):
                    return False
        return True

    @invariant()
    def shares_grow_step_by_step_and_fall_only_to_shadow(self) -> None:
        """The way of a version is a walk on the ramp."""
        for before, after in zip(self.visited, self.visited[1:], strict=False):
            assert after == RAMP[0] or RAMP.index(after) == RAMP.index(before) + 1


TestRollout = Rollout.TestCase
TestRollout.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
