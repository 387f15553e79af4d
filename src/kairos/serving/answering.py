"""Between codecs and versions: what a version takes, which version a request names, and what leaves of a reply."""

from __future__ import annotations

from kairos.errors import NotFound, Unavailable
from kairos.serving.deployment import LoadedRoute, LoadedVersion, Role
from kairos.serving.layers import Reply, Request
from kairos.serving.rows import Answers, Intake

__all__ = ["answers_of", "intake_of", "named", "only"]


def intake_of(version: LoadedVersion) -> Intake:
    """What a codec has to know of a version."""
    return Intake(signature=version.signature, entity=version.entity, time=version.time)


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


def answers_of(request: Request, reply: Reply) -> Answers:
    """What leaves of a reply.

    Raises:
        Unavailable: a row has no answer that may leave.
    """
    answers = {outcome.row: outcome for outcome in reply.outcomes if outcome.answered and outcome.output is not None}
    outputs = []
    for row in range(len(request.rows)):
        outcome = answers.get(row)
        if outcome is None or outcome.output is None:
            raise Unavailable("No version gave an answer that may leave.", row=row, hint="See the server's log.")
        outputs.append(outcome.output)
    return Answers(
        model=request.route.model,
        outputs=outputs,
        ids=request.ids,
        versions=[answers[row].version.ref.number for row in range(len(outputs))],
        actions=[answers[row].action for row in range(len(outputs))],
        captured=reply.captured,
    )
