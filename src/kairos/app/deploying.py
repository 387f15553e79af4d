"""Going forward: what the rules forbid is refused, and who goes past them says why."""

from __future__ import annotations

from collections.abc import Sequence

from kairos.app.changing import NO_BASIS, change, move
from kairos.app.control import ask, refusal
from kairos.app.going_back import restore, rollback
from kairos.app.project import Project
from kairos.app.standing import differences, serving_now
from kairos.delivery.rollout import StageStep
from kairos.delivery.stages import Stage
from kairos.delivery.versions import ModelState, VersionState
from kairos.errors import TransitionRefused, UsageError
from kairos.ledger import Entry
from kairos.values import Json, VersionRef

__all__ = ["deploy", "move", "restore", "rollback"]

_ANYWAY = 'To do it all the same: --override "why"'


def deploy(
    project: Project,
    ref: VersionRef,
    *,
    to: StageStep | None = None,
    override: str | None = None,
    instead: str | None = None,
) -> Entry:
    """Begins to make a version live.

    It comes to the first stage of the rollout; the loop takes it further. If nothing is live there is nothing to
    compare with, so it goes live at once. A version whose gate holds may go to shadow: there it answers nobody, and the
    evidence that is missing comes in.

    Args:
        project: Whose version.
        ref: Which one.
        to: Another stage than the first.
        override: The reason for going against the gate or around the rollout.
        instead: The reason for ending the trial of another version; ``None``: then it is in the way, unless this one
            goes live at once.

    Raises:
        TransitionRefused: the gate has not passed it, it stands there already, it was taken back, or another version is
            on trial. With ``facts["verdict"]``, where a gate is missing: its verdict, or ``None`` if it met none; where
            a freeze, an approval or a rehearsal is in the way: ``hold``, or ``fail`` if a person refused it.
        NotFound: there is no such version.
        UsageError: the override has no reason.
        LedgerMoved: somebody else wrote meanwhile; nothing is changed.
    """
    if override is not None and not override.strip():
        raise UsageError("An override needs a reason.", given=override, hint='Type: --override "why"')
    state = project.state()
    model = state.model(ref.model)
    version = model.version(ref.number)
    first = _first_step(project, model)
    step = to or first
    if model.champion_number == ref.number:
        return _serve_anew(project, model, version, override=override, expect=state.seq)
    other = model.challenger
    if other is not None and other.ref == ref:
        if override is None and step.share <= other.share:
            raise TransitionRefused(f"{ref} is in {other.stage} already.", hint="Type: kairos live")
        other = None
    if other is not None and step.stage != "live" and instead is None:
        raise TransitionRefused(
            f"{other.ref} is on trial.", given=f"deploy {ref}", hint=f"End its trial first: kairos rollback {ref.model}"
        )
    in_the_way = [_gate_refusal(model, version, step), _skipping(ref, step, first)]
    if not step.share < version.share:  # a smaller share is no step forward
        in_the_way += _control_refusal(project, model, version, step.stage, override)
    refusals = [one for one in in_the_way if one is not None]
    if refusals and override is None:
        raise refusals[0]
    facts = []
    if other is not None:
        reasons = [instead if instead is not None else f"gave way to {ref}"]
        facts.append(change(project, other, "retired", verdict="hold", reasons=reasons))
    facts.append(
        change(
            project,
            version,
            step.stage,
            share=step.share if step.stage == "canary" else 0.0,
            verdict=version.verdict or "hold",
            reasons=[override] if override else _reasons(model, version),
            override=override,
            basis=_basis(project, model, refusals),
        )
    )
    return project.tell_all(facts, expect=state.seq)[-1]


def _serve_anew(
    project: Project, model: ModelState, version: VersionState, *, override: str | None, expect: int
) -> Entry:
    """Deploys the live version once more if ``kairos.toml`` says otherwise about how it is served."""
    changes = differences(version.live, serving_now(project, version.ref.model))
    if not changes:
        raise TransitionRefused(f"{version.ref} is live already.", hint="Type: kairos live")
    refusals = _control_refusal(project, model, version, "live", override)
    if refusals and override is None:
        raise refusals[0]
    reasons = [override] if override else [f"its settings change: {'; '.join(changes)}"]
    basis = _basis(project, model, refusals)
    fact = change(project, version, "live", verdict=version.verdict, reasons=reasons, override=override, basis=basis)
    return project.tell_all([fact], expect=expect)[0]


def _first_step(project: Project, model: ModelState) -> StageStep:
    steps = project.settings.model(model.model).delivery.stages
    return steps[0] if model.champion is not None else steps[-1]


def _gate_refusal(model: ModelState, version: VersionState, step: StageStep) -> TransitionRefused | None:
    """What no gate, or a gate on other ground, has let pass."""
    again = f"Type: kairos gate {version.ref}. {_ANYWAY}"
    if version.was_taken_back:
        return TransitionRefused(
            f"{version.ref} was rolled back: what live requests have shown counts more than its gate.", hint=_ANYWAY
        )
    if version.verdict != "pass" and not (version.verdict == "hold" and step.stage == "shadow"):
        said = f"The gate's verdict on {version.ref} is {version.verdict}." if version.verdict else None
        return TransitionRefused(
            said or f"{version.ref} met no gate.",
            accepted="a version that passed its gate",
            hint=again,
            verdict=version.verdict,
        )
    champion = model.champion
    if champion is not None and version.verdict_against != champion.ref:
        other = version.verdict_against or "a simple baseline"
        return TransitionRefused(
            f"The gate compared {version.ref} with {other}, and {champion.ref} is live now.", hint=again, verdict=None
        )
    return None


def _skipping(ref: VersionRef, step: StageStep, first: StageStep) -> TransitionRefused | None:
    """What goes around the rollout."""
    if step.share <= first.share:
        return None
    return TransitionRefused(
        f"{ref} would skip stages of the rollout.", given=step.stage, accepted=first.stage, hint=_ANYWAY
    )


def _control_refusal(
    project: Project, model: ModelState, version: VersionState, to: Stage, override: str | None
) -> list[TransitionRefused]:
    """What freezes, people and a missing rehearsal hold up.

    Raises:
        TransitionRefused: something holds it up that no override goes past.
    """
    decision = ask(project, model, version, to)
    if decision.verdict == "pass":
        return []
    rest = decision.past(project.settings.model(model.model).control)
    if override is not None and rest.verdict != "pass":
        where = f"model.{model.model}.control.override_approvals"
        raise refusal(rest, hint=f"An override does not go past it, because {where} is not set.")
    hint = _ANYWAY if rest.verdict == "pass" else f"Another person types: kairos approve {version.ref} --reason ..."
    return [refusal(decision, hint=hint)]


def _basis(project: Project, model: ModelState, overridden: Sequence[TransitionRefused]) -> dict[str, Json]:
    """What a person's step forward rests on: the rules of that time, and what she went past."""
    control = project.settings.model(model.model).control
    return {**NO_BASIS, "control": control.plain(), "overridden": [one.what for one in overridden]}


def _reasons(model: ModelState, version: VersionState) -> list[str]:
    if version.verdict == "hold":
        return ["its gate holds; what both versions make of live requests will tell"]
    return ["passed its gate"] if model.champion is not None else ["passed its gate", "nothing was live"]
