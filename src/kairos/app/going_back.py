"""Going back: the end of a trial, or what was live before in place of what is live now, exactly as it was."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.app.changing import NO_BASIS, change, move
from kairos.app.project import Project
from kairos.app.standing import differences, restored, serving_now
from kairos.delivery.versions import Live, ModelState
from kairos.errors import TransitionRefused
from kairos.ledger import Entry
from kairos.values import Json, Verdict

__all__ = ["restore", "rollback"]


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
    back = change(
        project,
        version,
        "live",
        verdict=verdict,
        reasons=[place, *reasons, _as_it_was(project, former)],
        basis={**(basis or NO_BASIS), **{key: what[key] for key in ("settings", "serving")}, "restored": what},
    )
    if is_settings_only:
        return project.tell_all([back], expect=expect)
    ended = change(project, champion, "rolled_back", verdict=verdict, reasons=reasons, basis=basis)
    return project.tell_all([back, ended], expect=expect)


def _as_it_was(project: Project, former: Live) -> str:
    """What comes back, in a sentence."""
    package = f"the package {former.package[:8]}"
    if former.serving is None:
        return f"{package} comes back; its settings were not recorded then, so it is served as kairos.toml says"
    known = former.ref.model in project.settings.models
    changes = differences(former, serving_now(project, former.ref.model)) if known else []
    other = f" (in kairos.toml {'; '.join(changes)})" if changes else ""
    return f"{package} comes back with the output guard and the capture policy that it had{other}"
