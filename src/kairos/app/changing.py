"""One change of a version's stage, as a fact with its reasons and the settings that it is served with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kairos.app.project import Project
from kairos.app.standing import settings_now
from kairos.delivery.stages import MEETS_TRAFFIC
from kairos.delivery.versions import VersionState
from kairos.ledger import Entry, Fact
from kairos.values import Json, Verdict

__all__ = ["NO_BASIS", "change", "move"]

NO_BASIS: Mapping[str, Json] = MappingProxyType({"evidence": None, "policy": None})
"""Of a person's own word."""


def change(
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
    basis = basis or NO_BASIS
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
    fact = change(project, version, to, share=share, verdict=verdict, reasons=reasons, basis=basis)
    return project.tell_all([fact], expect=expect)[0]
