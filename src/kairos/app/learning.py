"""Whether something asks for a new version now, what that waits for, and until when: for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from kairos.app.gathering import labelled_rows_per_day
from kairos.app.project import Project
from kairos.app.retraining import retrain_facts
from kairos.app.settings import ModelSettings
from kairos.app.triaging import nothing_new
from kairos.app.watching import Watch
from kairos.delivery.retrain.decide import WAITS, decide_retrain
from kairos.delivery.retrain.storms import held_until, new_rows_lacking
from kairos.delivery.state import ModelState

__all__ = ["Learning", "learning_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """A new version that is asked for, and what it waits for."""

    reasons: tuple[str, ...]
    """What asks for it."""
    waits: str | None
    """What holds it back; ``None``: nothing, the loop's next turn decides."""
    due: datetime | None
    """When that is over; ``None``: nothing is waited for, or that cannot be told."""


def learning_of(project: Project, model: ModelSettings, found: ModelState, watch: Watch) -> Learning | None:
    """What would be decided now, but for the triage, which costs more than a look. Nothing is written.

    Args:
        project: Whose.
        model: Its settings.
        found: Where its versions stand.
        watch: Of the model; how labels arrive says when missing rows are there.
    """
    facts = replace(retrain_facts(project, watch, model, found), same_data=nothing_new(project, found))
    decision = decide_retrain(model.retrain, facts)
    waits = [reason for reason in decision.reasons if reason.startswith(WAITS)]
    reasons = tuple(reason for reason in decision.reasons if reason not in waits)
    if decision.action == "wait" and not waits:
        return None
    due = held_until(model.retrain, facts) if waits else None
    lacking = new_rows_lacking(model.retrain, facts)
    if waits and due is None and lacking:
        maturity, rate = watch.maturity(), labelled_rows_per_day(project, model) or 0.0
        if maturity.share_labelled > 0:
            due = maturity.due(lacking, rate / maturity.share_labelled, now=project.clock.now())
    return Learning(reasons=reasons, waits=waits[0].removeprefix(WAITS) if waits else None, due=due)
