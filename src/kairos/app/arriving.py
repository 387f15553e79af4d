"""How the labels of a model arrive, and what became of those by entity and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.monitor.delays import learn_maturity
from kairos.monitor.maturity import Maturity

__all__ = ["Arrivals", "arrivals_of"]

_RECENT = timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """How the labels of one model arrive."""

    maturity: Maturity
    joined: int
    """Labels by entity and time of the last four weeks that are about predictions in the log."""
    ambiguous: int
    unmatched: int


def arrivals_of(project: Project, model: ModelSettings) -> Arrivals:
    """How late labels are, as the log shows it now, and what became of those by entity and time."""
    now, log = project.clock.now(), project.predictions
    found = log.matches(model.name, since=now - _RECENT, until=now)
    given = log.entity_labels(model.name, since=now - _RECENT, until=now)
    return Arrivals(
        maturity=learn_maturity(log, model.name, model.monitor, now=now),
        joined=len(given) - len(found.ambiguous) - len(found.unmatched),
        ambiguous=len(found.ambiguous),
        unmatched=len(found.unmatched),
    )
