"""Changing what is live: every change is a fact with its reasons, checked against the head it was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kairos.app.project import Project
from kairos.app.standing import differences, restored, serving_now, settings_now
from kairos.delivery.rollout import StageStep
from kairos.delivery.versions import MEETS_TRAFFIC, Live, ModelState, VersionState
from kairos.errors import TransitionRefused, UsageError
from kairos.ledger import Entry, Fact
from kairos.values import Json, Verdict, VersionRef

__all__ = ["deploy", "move", "restore", "rollback"]


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
            on trial. With ``facts["verdict"]``, where a gate is missing: its verdict, or ``None`` if it met none.
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
        return _serve_anew(project, version, override=override, expect=state.seq)
    other = model.challenger
    if other is not None and other.ref == ref:
        if override is None and step.share <= other.share:
            raise TransitionRefused(f"{ref} is in {other.stage} already.", hint="Type: kairos live")
        other = None
    if other is not None and step.stage != "live" and instead is None:
        raise TransitionRefused(
            f"{other.ref} is on trial.", given=f"deploy {ref}", hint=f"End its trial first: kairos rollback {ref.model}"
        )
    if override is None:
        _require_gate(model, version, step)
        if step.share > first.share:
            raise TransitionRefused(
                f"{ref} would skip stages of the rollout.",
                given=step.stage,
                accepted=first.stage,
                hint='To do it all the same: --override "why"',
            )
    facts = []
    if other is not None:
        reasons = [instead if instead is not None else f"gave way to {ref}"]
        facts.append(_change(project, other, "retired", verdict="hold", reasons=reasons))
    facts.append(
        _change(
            project,
            version,
            step.stage,
            share=step.share if step.stage == "canary" else 0.0,
            verdict=version.verdict or "hold",
            reasons=[override] if override else _reasons(model, version),
            override=override,
        )
    )
    return project.tell_all(facts, expect=state.seq)[-1]


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
            verdict=None,
            reasons=[reason],
            expect=state.seq,
        )
        return (ended,)
    if found.champion is None or found.former is None:
        raise TransitionRefused(f"{model!r} has no former version to go back to.", hint="Type: kairos models")
    return restore(project, found, found.former, verdict=None, reasons=[reason], expect=state.seq)


def restore(
    project: Project,
    model: ModelState,
    former: Live,
    *,
    verdict: Verdict | None,
    reasons: list[str],
    basis: Mapping[str, Json] | None = None,
    expect: int,
) -> tuple[Entry, ...]:
    """Makes what was live before live again, as it was served then, and marks the champion as rolled back.

    Both, or nothing. Where both are the same version with other settings, only the settings go back.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``; nothing is changed.
    """
    champion = model.champion
    assert champion is not None  # the caller has looked
    version = model.version(former.ref.number)
    what = restored(project, version, former)
    is_settings_only = version.ref == champion.ref
    place = f"in place of {champion.ref}" + (" with its later settings" if is_settings_only else "")
    back = _change(
        project,
        version,
        "live",
        verdict=verdict,
        reasons=[place, *reasons, _as_it_was(project, former)],
        basis={**(basis or _NO_BASIS), **{key: what[key] for key in ("settings", "serving")}, "restored": what},
    )
    if is_settings_only:
        return project.tell_all([back], expect=expect)
    ended = _change(project, champion, "rolled_back", verdict=verdict, reasons=reasons, basis=basis)
    return project.tell_all([back, ended], expect=expect)


def move(
    project: Project,
    version: VersionState,
    to: str,
    *,
    verdict: Verdict | None,
    reasons: list[str],
    share: float = 0.0,
    basis: Mapping[str, Json] | None = None,
    expect: int | None = None,
) -> Entry:
    """Writes one change of stage.

    Args:
        project: Whose ledger.
        version: As it stands.
        to: Its new stage.
        verdict: What led there; ``None``: a person's own word.
        reasons: The same in sentences.
        share: In canary, the part of requests that it answers.
        basis: ``evidence`` and ``policy`` of a decision that can be made again; ``None`` for a person's own.
        expect: The head of the ledger that this was decided on.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``; nothing is changed.
    """
    fact = _change(project, version, to, share=share, verdict=verdict, reasons=reasons, basis=basis)
    return project.tell_all([fact], expect=expect)[0]


_NO_BASIS: Mapping[str, Json] = MappingProxyType({"evidence": None, "policy": None})
"""Of a person's own word."""


def _change(
    project: Project,
    version: VersionState,
    to: str,
    *,
    verdict: Verdict | None,
    reasons: list[str],
    share: float = 0.0,
    basis: Mapping[str, Json] | None = None,
    override: str | None = None,
) -> Fact:
    """The fact; where the version meets live traffic from then on, with the settings that it is served with."""
    basis = basis or _NO_BASIS
    body: dict[str, Json] = {
        "from": version.stage,
        "to": to,
        "share": share,
        "verdict": verdict,
        "reasons": reasons,
        "override": override,
        **basis,
    }
    if to in MEETS_TRAFFIC and "serving" not in basis:
        body |= settings_now(project, version.ref.model)
    return Fact(kind="stage.changed", subject=str(version.ref), body=body)


def _serve_anew(project: Project, version: VersionState, *, override: str | None, expect: int) -> Entry:
    """Deploys the live version once more if ``kairos.toml`` says otherwise about how it is served."""
    changes = differences(version.live, serving_now(project, version.ref.model))
    if not changes:
        raise TransitionRefused(f"{version.ref} is live already.", hint="Type: kairos live")
    reasons = [override] if override else [f"its settings change: {'; '.join(changes)}"]
    fact = _change(project, version, "live", verdict=version.verdict, reasons=reasons, override=override)
    return project.tell_all([fact], expect=expect)[0]


def _as_it_was(project: Project, former: Live) -> str:
    """What comes back, in a sentence."""
    package = f"the package {former.package[:8]}"
    if former.serving is None:
        return f"{package} comes back; its settings were not recorded then, so it is served as kairos.toml says"
    known = former.ref.model in project.settings.models
    changes = differences(former, serving_now(project, former.ref.model)) if known else []
    other = f" (in kairos.toml {'; '.join(changes)})" if changes else ""
    return f"{package} comes back with the output guard and the capture policy that it had{other}"


def _first_step(project: Project, model: ModelState) -> StageStep:
    steps = project.settings.model(model.model).delivery.stages
    return steps[0] if model.champion is not None else steps[-1]


def _require_gate(model: ModelState, version: VersionState, step: StageStep) -> None:
    """Refuses what no gate, or a gate on other ground, has let pass."""
    anyway = 'To deploy it all the same: --override "why"'
    again = f"Type: kairos gate {version.ref}. {anyway}"
    if version.was_taken_back:
        raise TransitionRefused(
            f"{version.ref} was rolled back: what live requests have shown counts more than its gate.", hint=anyway
        )
    if version.verdict != "pass" and not (version.verdict == "hold" and step.stage == "shadow"):
        said = f"The gate's verdict on {version.ref} is {version.verdict}." if version.verdict else None
        raise TransitionRefused(
            said or f"{version.ref} met no gate.",
            accepted="a version that passed its gate",
            hint=again,
            verdict=version.verdict,
        )
    champion = model.champion
    if champion is not None and version.verdict_against != champion.ref:
        other = version.verdict_against or "a simple baseline"
        raise TransitionRefused(
            f"The gate compared {version.ref} with {other}, and {champion.ref} is live now.", hint=again, verdict=None
        )


def _reasons(model: ModelState, version: VersionState) -> list[str]:
    if version.verdict == "hold":
        return ["its gate holds; what both versions make of live requests will tell"]
    return ["passed its gate"] if model.champion is not None else ["passed its gate", "nothing was live"]
