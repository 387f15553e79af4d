"""The layer that keeps what leaves in range, and asks another version where the first gave nothing usable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from kairos.clock import Clock
from kairos.serving.calling import predict
from kairos.serving.guard import GuardAction
from kairos.serving.layers import Layer
from kairos.serving.outcomes import Outcomes, Owed, Reply, Request

__all__ = ["Guard", "judge"]


class Guard:
    """Keeps what leaves in range. Where nothing of a version may leave, champion and previous are asked in turn.

    A client's request is answered as a whole: if nothing may leave for one row, no row of it is answered.
    """

    def __init__(self, following: Layer, *, clock: Clock) -> None:
        self._next = following
        self._clock = clock

    def __call__(self, request: Request, rows: Sequence[int]) -> Reply:
        """The reply of the next layer, judged."""
        reply = self._next(request, rows)
        outcomes = [judge(each) for each in reply.outcomes]
        if not any(None in each.outputs for each in outcomes):
            return replace(reply, outcomes=tuple(outcomes))
        rescues: list[Outcomes] = []
        for index, each in enumerate(outcomes):
            lost = [
                row
                for row, answers, output in zip(each.rows, each.answered, each.outputs, strict=True)
                if answers and output is None
            ]
            if lost:
                found = self._rescue(request, each, lost)
                rescues += found
                outcomes[index] = _replaced(each, lost, saved=_answered(found))
        outcomes += rescues
        answered = _answered(outcomes)
        if len(answered) < len(rows):
            withheld = [row for span in request.spans if not answered.issuperset(span) for row in span]
            outcomes = [_withheld(each, answered.intersection(withheld)) for each in outcomes]
        return replace(reply, outcomes=tuple(outcomes), owed=_without(reply.owed, rescues))

    def _rescue(self, request: Request, given: Outcomes, lost: Sequence[int]) -> list[Outcomes]:
        """Asks the versions that users had before, each for the rows for which nothing may leave yet."""
        refused = {row for row, action in zip(given.rows, given.actions, strict=True) if action == "refuse"}
        left = [row for row in lost if row not in refused]
        tried: list[Outcomes] = []
        for role, version in request.route.versions:
            if role == "challenger" or version is given.version or not left:
                continue
            for each in predict(version, role, request, left, self._clock, answers=True):
                judged = judge(each)
                useless = {row for row, output in zip(judged.rows, judged.outputs, strict=True) if output is None}
                tried.append(_marked(judged, dict.fromkeys(useless)))
            left = [row for row in left if row not in _answered(tried)]
        return tried


def judge(given: Outcomes) -> Outcomes:
    """Sets what may leave. Of a version that does not answer, only what is done to the value itself is an action."""
    if given.error is not None:
        actions: list[GuardAction | None] = ["fallback" if answers else None for answers in given.answered]
        return replace(given, actions=actions)
    guard, raws = given.version.policy.guard, given.raws
    outputs = given.version.signature.outputs
    if outputs:
        judged = [guard.judge_all(raw, outputs) for raw in raws if isinstance(raw, tuple)]
    elif guard.lets_all(raws):
        return replace(given, outputs=raws)
    else:
        judged = [guard.judge(raw) for raw in raws if isinstance(raw, float)]
    return replace(
        given,
        outputs=[each.output for each in judged],
        violations=[each.violation for each in judged],
        actions=[
            each.action if answers or each.action in ("clip", "flag") else None
            for each, answers in zip(judged, given.answered, strict=True)
        ],
    )


def _answered(outcomes: Sequence[Outcomes]) -> set[int]:
    return {row for each in outcomes for row, answers in zip(each.rows, each.answered, strict=True) if answers}


def _marked(given: Outcomes, actions: Mapping[int, GuardAction | None]) -> Outcomes:
    """The same, where these rows do not answer and have these actions."""
    if not actions:
        return given
    return replace(
        given,
        answered=[answers and row not in actions for row, answers in zip(given.rows, given.answered, strict=True)],
        actions=[actions.get(row, action) for row, action in zip(given.rows, given.actions, strict=True)],
    )


def _replaced(given: Outcomes, lost: Sequence[int], *, saved: set[int]) -> Outcomes:
    return _marked(given, {row: "fallback" if row in saved else "refuse" for row in lost})


def _withheld(given: Outcomes, rows: set[int]) -> Outcomes:
    """Outcomes that could leave, in a request that is refused for another row's sake.

    ``refuse`` says that this version was to answer, which the split of users is counted by; a value that was clipped
    stays one, because it is no bad event.
    """
    told = zip(given.rows, given.answered, given.actions, strict=True)
    return _marked(
        given,
        {row: "clip" if action == "clip" else "refuse" for row, answers, action in told if answers and row in rows},
    )


def _without(owed: Sequence[Owed], asked: Sequence[Outcomes]) -> tuple[Owed, ...]:
    left = []
    for debt in owed:
        done = {row for each in asked if each.version is debt.version for row in each.rows}
        rows = [row for row in debt.rows if row not in done] if done else debt.rows
        if rows:
            left.append(replace(debt, rows=rows))
    return tuple(left)
