"""Between codecs and versions: what a version takes, which version a request names, and what leaves of a reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import cast

from kairos.errors import NotFound, Unavailable
from kairos.models.order import ranks_within
from kairos.models.outputs import told_row
from kairos.serving.deployment import LoadedRoute, LoadedVersion, Role
from kairos.serving.guard import Said
from kairos.serving.outcomes import Outcome, Outcomes, Reply, Request, each_row
from kairos.serving.rows import Answers, Intake, Told

__all__ = ["answers_of", "intake_of", "named", "only"]


def intake_of(version: LoadedVersion) -> Intake:
    """What a codec has to know of a version."""
    return version.intake


def named(route: LoadedRoute, number: int) -> tuple[Role, LoadedVersion]:
    """The loaded version of that number, with its role.

    Raises:
        NotFound: it is not loaded.
    """
    for role, version in route.versions:
        if version.ref.number == number:
            return role, version
    raise NotFound(
        f"Version {number} of {route.model!r} is not loaded.",
        accepted=", ".join(sorted({str(version.ref.number) for _, version in route.versions})),
    )


def only(route: LoadedRoute, version: LoadedVersion) -> LoadedRoute:
    """The route if there were no other version, and nothing on trial."""
    return LoadedRoute(
        model=route.model, champion=version, challenger=None, previous=None, share=0.0, salt=route.salt, compared=()
    )


def answers_of(request: Request, reply: Reply) -> list[Answers | Unavailable]:
    """What leaves of a reply to each of its clients: her rows, all of them, or that there is no answer."""
    model, ids = request.route.model, request.ids
    if (whole := _whole(request, reply)) is not None:
        number = whole.version.ref.number
        return [
            Answers(
                model=model,
                outputs=_told(whole.version, whole.outputs[span.start : span.stop]),
                ids=ids[span.start : span.stop],
                versions=[number] * len(span),
                actions=whole.actions[span.start : span.stop],
                captured=reply.captured,
                ranks=_ranks(request, span, whole.outputs[span.start : span.stop]),
            )
            for span in request.spans
        ]
    every = list(each_row(reply.outcomes))
    answers = {each.row: each for each in every if each.answered and each.output is not None}
    usable: Set[int] = answers.keys()
    if len(answers) < len(ids):  # rows are withheld for another row's sake, which is the one to be told
        usable |= {each.row for each in every if each.output is not None}
    return [_answers(request, span, answers, usable, captured=reply.captured) for span in request.spans]


def _told(version: LoadedVersion, said: Sequence[Said | None]) -> Sequence[Told]:
    """What versions gave, none of which is ``None``, with names where they are several numbers."""
    outputs = version.signature.outputs
    if not outputs:
        return cast("Sequence[float]", said)
    return [told_row(outputs, cast("tuple[float, ...]", each)) for each in said]


def _whole(request: Request, reply: Reply) -> Outcomes | None:
    """The only call, if it answers every row."""
    if len(reply.outcomes) != 1:
        return None
    [only_one] = reply.outcomes
    is_whole = len(only_one) == len(request.ids) and all(only_one.answered) and None not in only_one.outputs
    return only_one if is_whole else None


def _answers(
    request: Request, span: range, answers: Mapping[int, Outcome], usable: Set[int], *, captured: bool
) -> Answers | Unavailable:
    given = [answers[row] for row in span if row in answers]
    if len(given) < len(span):
        lost = next((row for row in span if row not in usable), span.start) - span.start
        return Unavailable("No version gave an answer that may leave.", row=lost, hint="See the server's log.")
    return Answers(
        model=request.route.model,
        outputs=[_told(outcome.version, [outcome.output])[0] for outcome in given],
        ids=request.ids[span.start : span.stop],
        versions=[outcome.version.ref.number for outcome in given],
        actions=[outcome.action for outcome in given],
        captured=captured,
        ranks=_ranks(request, span, [outcome.output for outcome in given]),
    )


def _ranks(request: Request, span: range, scores: Sequence[Said | None]) -> Sequence[int] | None:
    """The place of each row of a client's in its list; ``None``: the model ranks nothing."""
    if request.lists is None:
        return None
    lists = [each.whole for each in request.lists[span.start : span.stop]]
    return cast("Sequence[int]", ranks_within(lists, cast("Sequence[float]", scores)))  # each row has a score
