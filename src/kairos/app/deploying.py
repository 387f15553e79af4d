"""Changing what is live: every change is a fact with its reasons, checked against the head it was decided on."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.app.project import Project
from kairos.delivery.rollout import StageStep
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import TransitionRefused
from kairos.ledger import Entry
from kairos.values import Json, Verdict, VersionRef

__all__ = ["deploy", "move", "restore", "rollback"]


def deploy(project: Project, ref: VersionRef, *, to: StageStep | None = None, override: str | None = None) -> Entry:
    """Begins to make a version live.

    It comes to the first stage of the rollout; the loop takes it further. If nothing is live there is nothing to
    compare with, so it goes live at once. A version whose gate holds may go to shadow: there it answers nobody, and the
    evidence that is missing comes in.

    Args:
        project: Whose version.
        ref: Which one.
        to: Another stage than the first.
        override: The reason for going against the gate or around the rollout.

    Raises:
        TransitionRefused: the gate has not passed it, it stands there already, or another version is on trial. With
            ``facts["verdict"]``: the gate's verdict, or ``None`` if it met none.
        NotFound: there is no such version.
    """
    state = project.state()
    model = state.model(ref.model)
    version = model.version(ref.number)
    first = _first_step(project, model)
    step = to or first
    if model.champion_number == ref.number:
        raise TransitionRefused(f"{ref} is live already.", hint="Type: kairos live")
    other = model.challenger
    if other is not None and other.ref != ref and step.stage != "live":
        raise TransitionRefused(
            f"{other.ref} is on trial.", given=f"deploy {ref}", hint=f"End its trial first: kairos rollback {ref.model}"
        )
    if override is None:
        _require_gate(version, step)
        if step.share > first.share:
            raise TransitionRefused(
                f"{ref} would skip stages of the rollout.",
                given=step.stage,
                accepted=first.stage,
                hint='To do it all the same: --override "why"',
            )
    if other is not None and other.ref != ref:
        move(project, other, "retired", verdict="hold", reasons=[f"gave way to {ref}"], expect=state.seq)
        state = project.state()
    reasons = [override] if override else _reasons(model, version)
    return move(
        project,
        version,
        step.stage,
        share=step.share if step.stage == "canary" else 0.0,
        verdict=version.verdict or "hold",
        reasons=reasons,
        override=override,
        expect=state.seq,
    )


def rollback(project: Project, model: str, *, reason: str) -> tuple[Entry, ...]:
    """Ends the trial of the challenger if there is one; else goes back to the former champion.

    Raises:
        TransitionRefused: there is nothing to go back to.
    """
    state = project.state()
    found = state.model(model)
    if found.challenger is not None:
        ended = move(
            project,
            found.challenger,
            "rolled_back",
            verdict="fail",
            reasons=[reason],
            override=reason,
            expect=state.seq,
        )
        return (ended,)
    if found.champion is None or found.former is None:
        raise TransitionRefused(f"{model!r} has no former version to go back to.", hint="Type: kairos models")
    return restore(project, found, verdict="fail", reasons=[reason], override=reason, expect=state.seq)


def restore(
    project: Project,
    model: ModelState,
    *,
    verdict: Verdict,
    reasons: list[str],
    basis: Mapping[str, Json] | None = None,
    override: str | None = None,
    expect: int,
) -> tuple[Entry, ...]:
    """Makes the former champion live again, then marks the champion as rolled back: users are safe first."""
    champion, former = model.champion, model.former
    assert champion is not None  # the caller has looked
    assert former is not None
    back = [f"in place of {champion.ref}", *reasons]
    first = move(project, former, "live", verdict=verdict, reasons=back, basis=basis, override=override, expect=expect)
    second = move(
        project,
        champion,
        "rolled_back",
        verdict=verdict,
        reasons=reasons,
        basis=basis,
        override=override,
        expect=first.seq,
    )
    return first, second


def move(
    project: Project,
    version: VersionState,
    to: str,
    *,
    verdict: Verdict,
    reasons: list[str],
    share: float = 0.0,
    basis: Mapping[str, Json] | None = None,
    override: str | None = None,
    expect: int | None = None,
) -> Entry:
    """Writes one change of stage.

    Args:
        project: Whose ledger.
        version: As it stands.
        to: Its new stage.
        verdict: What led there.
        reasons: The same in sentences.
        share: In canary, the part of requests that it answers.
        basis: ``evidence`` and ``policy`` of a decision that can be made again; ``None`` for a person's own.
        override: A person's reason for going against the gate or around the rollout.
        expect: The head of the ledger that this was decided on.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``; nothing is changed.
    """
    body: Mapping[str, Json] = {
        "from": version.stage,
        "to": to,
        "share": share,
        "verdict": verdict,
        "reasons": reasons,
        "override": override,
        **(basis or {"evidence": None, "policy": None}),
    }
    return project.tell("stage.changed", subject=str(version.ref), body=dict(body), expect=expect)


def _first_step(project: Project, model: ModelState) -> StageStep:
    steps = project.settings.model(model.model).delivery.stages
    return steps[0] if model.champion is not None else steps[-1]


def _require_gate(version: VersionState, step: StageStep) -> None:
    if version.verdict == "pass" or (version.verdict == "hold" and step.stage == "shadow"):
        return
    said = (
        f"The gate's verdict on {version.ref} is {version.verdict}."
        if version.verdict
        else f"{version.ref} met no gate."
    )
    raise TransitionRefused(
        said,
        accepted="a version that passed its gate",
        hint=f'Type: kairos gate {version.ref}. To deploy it all the same: --override "why"',
        verdict=version.verdict,
    )


def _reasons(model: ModelState, version: VersionState) -> list[str]:
    if version.verdict == "hold":
        return ["its gate holds; what both versions make of live requests will tell"]
    return ["passed its gate"] if model.champion is not None else ["passed its gate", "nothing was live"]
