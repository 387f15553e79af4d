"""What stands against learning, and what the alarms about a live version ask for, where one would be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kairos.app.project import Project
from kairos.app.recalibrating import may_recalibrate
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.state import ModelState
from kairos.ledger import Entry

__all__ = ["is_told", "nothing_new", "open_trouble", "trainings", "triaged"]


def triaged(
    project: Project, watch: Watch, model: ModelSettings, state: ModelState, facts: RetrainFacts
) -> RetrainFacts:
    """The facts with open faults, and with what the triage of the alarms says.

    The triage reads weeks of the log, so it is asked only where an alarm wants a new version and nothing holds it back.

    Args:
        project: Whose.
        watch: Of the model.
        model: Its settings.
        state: Of the model.
        facts: Without faults and advice.
    """
    facts = replace(facts, faults=_faults(watch, state))
    action = decide_retrain(model.retrain, facts).action
    refused = _refused(project, model.name)
    if action == "wait" and refused is not None:  # when the pause is over it is tried again, and may go well
        return replace(facts, faults=(*facts.faults, refused))
    if action != "retrain" or not any(alarm in model.retrain.on for alarm in facts.alarms):
        return facts
    found = watch.triage()
    if found.advice == "investigate":
        return replace(facts, advice="investigate", faults=found.reasons)
    if found.advice == "recalibrate" and may_recalibrate(project, watch, model, state) is None:
        return replace(facts, advice="recalibrate")
    return facts


def trainings(project: Project, model: str) -> list[Entry]:
    """The facts that say that a version was to be made, in order; not those that say why none is."""
    told = project.ledger.read(kinds=["retrain.decided"], subject=model)
    return [entry for entry in told if entry.body.get("action") not in ("investigate", "wait")]


def nothing_new(project: Project, state: ModelState) -> bool:
    """Whether the last fact about training since the champion went live is that nothing new would come of it."""
    if state.champion is None:
        return False
    told = list(project.ledger.read(after=state.champion.stage_seq, kinds=["retrain.decided"], subject=state.model))
    return bool(told) and told[-1].body.get("action") == "wait"


def is_told(project: Project, state: ModelState, facts: RetrainFacts) -> bool:
    """Whether the ledger says already, since the champion went live, that somebody has to look at these faults."""
    told = {fault for entry in _investigated(project, state) for fault in entry.body["facts"]["faults"]}
    return bool(told) and set(facts.faults) <= told


def open_trouble(project: Project, state: ModelState, *, until: datetime | None = None) -> Entry | None:
    """The last fact that stopped the learning, if nothing was learnt since; ``until``: as of an earlier moment."""
    told = _investigated(project, state, until)
    if not told:
        return None
    done = project.ledger.read(after=told[-1].seq, kinds=["run.finished", "version.registered"], until=until)
    return None if any(True for _ in done) else told[-1]


def _investigated(project: Project, state: ModelState, until: datetime | None = None) -> list[Entry]:
    if state.champion is None:
        return []
    after = state.champion.stage_seq
    told = project.ledger.read(after=after, kinds=["retrain.decided"], subject=state.model, until=until)
    return [entry for entry in told if entry.body.get("action") == "investigate"]


def _faults(watch: Watch, state: ModelState) -> tuple[str, ...]:
    """Trouble that is open now, a sentence each, without numbers: the same trouble has the same words tomorrow."""
    challenger = state.challenger
    if challenger is None or all(finding.check != "request_split" for finding in watch.told(challenger)):
        return ()
    return (f"requests do not reach {challenger.ref} as designed",)


def _refused(project: Project, model: str) -> str | None:
    """Why the pipeline refused its data in the last training, if it did and nothing has finished since."""
    made = trainings(project, model)
    if not made:
        return None
    runs = list(project.ledger.read(after=made[-1].seq, kinds=["run.finished", "run.failed"]))
    if not runs or runs[-1].kind == "run.finished" or runs[-1].body["failure"]["type"] != "DataRefused":
        return None
    return f"step {runs[-1].body['failure']['step']!r} refused its data"
