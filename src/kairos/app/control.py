"""Asking whether a step forward may be taken now, and writing down once what it waits for."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.app.changing import NO_BASIS, move
from kairos.app.project import Project
from kairos.app.standing import serving_now, settings_now
from kairos.delivery.control import ControlDecision, may_go_forward, refusals
from kairos.delivery.stages import MEETS_TRAFFIC, Stage
from kairos.delivery.versions import ModelState, VersionState
from kairos.errors import TransitionRefused
from kairos.values import Json, canonical_json

__all__ = ["ask", "end_if_refused", "is_held", "refusal"]


def ask(project: Project, model: ModelState, version: VersionState, to: Stage) -> ControlDecision:
    """Whether whoever acts in this project may bring the version to that stage now."""
    return may_go_forward(
        project.settings.model(model.model).control,
        model,
        version,
        to=to,
        serving=canonical_json(serving_now(project, model.model)).decode(),
        by=project.actor,
        now=project.clock.now(),
    )


def refusal(decision: ControlDecision, *, hint: str) -> TransitionRefused:
    """The error for what may not go forward; a command ends with the exit code of its verdict."""
    return TransitionRefused(" ".join(decision.sentences), hint=hint, verdict=decision.verdict)


def is_held(
    project: Project,
    model: ModelState,
    version: VersionState,
    *,
    to: Stage,
    share: float = 0.0,
    basis: Mapping[str, Json] | None = None,
    expect: int,
) -> bool:
    """Whether the loop has to wait with a step that its evidence allows.

    What it waits for is written down, with the evidence, once in a stage for each set of obstacles.

    Args:
        project: Whose.
        model: Where its versions stand.
        version: The one that would go forward, or the former champion at the end of a bake.
        to: Its next stage.
        share: In canary, the part of requests that it would answer.
        basis: ``evidence`` and ``policy`` of the decision that would be acted upon.
        expect: The head of the ledger that it was decided on.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``; nothing is written.
    """
    decision = ask(project, model, version, to)
    if decision.verdict == "pass":
        return False
    if " ".join(decision.kinds) not in version.held_for:
        body: dict[str, Json] = {
            "from": version.stage,
            "to": to,
            "share": share,
            "verdict": decision.verdict,
            "waits_for": list(decision.kinds),
            "reasons": decision.sentences,
            **(basis or NO_BASIS),
            "control": project.settings.model(model.model).control.plain(),
        }
        if to in MEETS_TRAFFIC:
            body |= settings_now(project, model.model)
        project.tell("rollout.held", subject=str(version.ref), body=body, expect=expect)
    return True


def end_if_refused(project: Project, version: VersionState, *, to: Stage, expect: int) -> bool:
    """Ends the way of a version that a person has refused; whether it did.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``; nothing is written.
    """
    found = [obstacle.sentence for obstacle in refusals(version)]
    if found:
        control = project.settings.model(version.ref.model).control.plain()
        move(project, version, to, verdict="fail", reasons=found, basis={**NO_BASIS, "control": control}, expect=expect)
    return bool(found)
