"""What people say about going forward: they approve or refuse a version, freeze a model, and end a freeze."""

from __future__ import annotations

from datetime import datetime

from kairos.app.project import Project
from kairos.app.standing import differences, serving_now, settings_now
from kairos.delivery.stages import LOOP
from kairos.delivery.versions import ModelState, VersionState
from kairos.errors import TransitionRefused, UsageError
from kairos.ledger import Entry
from kairos.values import Json, VersionRef

__all__ = ["approve", "freeze", "refuse", "unfreeze"]


def approve(project: Project, ref: VersionRef, *, reason: str) -> Entry:
    """Says that a version may go forward, against what is live now and with the settings of now.

    Raises:
        UsageError: there is no reason.
        NotFound: there is no such version.
        TransitionRefused: the approval would not count, or nothing waits for it.
        LedgerMoved: somebody else wrote meanwhile; nothing is changed.
    """
    person = project.actor
    state = project.state()
    model = state.model(ref.model)
    version = model.version(ref.number)
    roles = {LOOP: "is the loop, and no person", version.registered_by: f"made {ref}"}
    if version.asked_by is not None:
        roles[version.asked_by] = f"asked for {ref} to be made live"
    if person in roles:
        raise TransitionRefused(
            f"{person} {roles[person]}, so this approval would not count.", hint="Ask another person to type it."
        )
    if model.champion_number == ref.number and not differences(version.live, serving_now(project, ref.model)):
        raise TransitionRefused(f"{ref} is live already, so nothing waits for it.", hint="Type: kairos live")
    return _say(project, model, version, "pass", reason, state.seq)


def refuse(project: Project, ref: VersionRef, *, reason: str) -> Entry:
    """Says that a version must not go forward; it stands until the same person approves the version.

    Raises:
        UsageError: there is no reason.
        NotFound: there is no such version.
        TransitionRefused: it is live already.
        LedgerMoved: somebody else wrote meanwhile; nothing is changed.
    """
    state = project.state()
    model = state.model(ref.model)
    version = model.version(ref.number)
    if model.champion_number == ref.number:
        hint = f"To take it back: kairos rollback {ref.model}"
        raise TransitionRefused(f"{ref} is live already, so a refusal would change nothing.", hint=hint)
    return _say(project, model, version, "fail", reason, state.seq)


def _say(project: Project, model: ModelState, version: VersionState, verdict: str, reason: str, expect: int) -> Entry:
    reason = _needed(reason, "An approval or refusal")
    champion = model.champion_ref
    body: dict[str, Json] = {
        "verdict": verdict,
        "reason": reason,
        "against": None if champion is None else str(champion),
        "package": version.package,
        **settings_now(project, model.model),
    }
    return project.tell("approval.decided", subject=str(version.ref), body=body, expect=expect)


def freeze(project: Project, name: str, *, reason: str, until: datetime | None = None) -> Entry:
    """Says that no version of a model goes forward, until a moment or until somebody ends it.

    Raises:
        UsageError: there is no reason, or the moment is past.
        NotFound: there is no such model.
    """
    model = project.state().model(name)
    reason = _needed(reason, "A freeze")
    if until is not None and until <= project.clock.now():
        raise UsageError("A freeze has to end later than now.", given=until.isoformat())
    body: dict[str, Json] = {"reason": reason, "until": until}
    return project.tell("freeze.begun", subject=model.model, body=body)


def unfreeze(project: Project, name: str, *, reason: str) -> Entry:
    """Ends all that people have begun; freezes of the settings go on.

    Raises:
        UsageError: there is no reason.
        NotFound: there is no such model.
        TransitionRefused: nobody has frozen it.
        LedgerMoved: somebody else wrote meanwhile; nothing is changed.
    """
    state = project.state()
    model = state.model(name)
    reason = _needed(reason, "The end of a freeze")
    if not model.freezes:
        raise TransitionRefused(f"Nobody has frozen {name!r}.", hint="Type: kairos live")
    ended = [{"person": one.person, "reason": one.reason} for one in model.freezes]
    return project.tell("freeze.ended", subject=name, body={"reason": reason, "ended": ended}, expect=state.seq)


def _needed(reason: str, what: str) -> str:
    if not reason.strip():
        raise UsageError(f"{what} needs a reason.", given=reason, hint='Type: --reason "why"')
    return reason.strip()
