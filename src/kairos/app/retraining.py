"""Training anew where there is a reason, and taking what came of it to its trial."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from kairos.app.control import end_if_refused, is_held
from kairos.app.deploying import deploy, move
from kairos.app.inspecting import log_checks
from kairos.app.judging import judge
from kairos.app.novelty import contract_changed, learns_the_same
from kairos.app.project import Project
from kairos.app.reading import learning, with_readings
from kairos.app.recalibrating import RECALIBRATION, recalibrate
from kairos.app.refitting import judge_refit, may_refit, refit
from kairos.app.settings import ModelSettings
from kairos.app.training import recent_window, train
from kairos.app.triaging import is_told, nothing_new, trainings, triaged
from kairos.app.watching import Watch
from kairos.delivery.retrain.decide import decide_retrain
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.state import ModelState, VersionState
from kairos.ledger import Entry
from kairos.pipeline.result import StepEvent
from kairos.values import VersionRef

_log = logging.getLogger("kairos.loop")

__all__ = ["retrain", "retrain_facts", "settle"]

_TOLD_TRAININGS = 16
"""As many of the last trainings as a decision keeps; the budget looks at fewer."""


def retrain(project: Project, watch: Watch, model: ModelSettings, *, announce: Callable[[], None]) -> None:
    """Trains anew if there is a reason, judges the outcome, and begins its rollout if it passes."""
    state = project.state()
    found = state.model(model.name)
    facts = with_readings(project, model, found, retrain_facts(project, watch, model, found))
    facts = triaged(project, watch, model, found, facts)
    window, learn = recent_window(project), learning(project, model)
    if decide_retrain(model.retrain, facts).action == "retrain":
        facts = replace(facts, same_data=learns_the_same(project, model, found, window, learn))
    decision = decide_retrain(model.retrain, facts)
    if decision.action == "wait" and (not facts.same_data or nothing_new(project, found)):
        return
    if decision.action == "investigate" and is_told(project, found, facts):
        return
    body = {**decision.plain(), "window": str(window), "policy": model.retrain.plain(), "facts": facts.plain()}
    project.tell("retrain.decided", subject=model.name, body=body, expect=state.seq)
    announce()
    if decision.origin is None:  # a person has to look first, or nothing new can come of it
        return
    if decision.action == "recalibrate" and found.champion is not None:
        recalibrate(project, watch, model, found.champion, reasons=list(decision.reasons))
        announce()
        settle(project, model, announce=announce)
        return
    trained = train(
        project,
        window=window,
        origin=decision.origin,
        reasons=decision.reasons,
        learn=learn,
        on_event=_log_wait,
    )
    log_checks(trained.data_checks)
    announce()
    settle(project, model, announce=announce)


def _log_wait(event: StepEvent) -> None:
    if event.what == "waits":
        _log.info("step %s waits for %s", event.step, event.why[0])


def settle(project: Project, model: ModelSettings, *, announce: Callable[[], None]) -> None:
    """Judges the newest version if the loop made it and nobody has taken it further; begins its rollout or ends it.

    So a loop that was stopped after a training goes on with what came of it. While a trial is under way that must
    not be disturbed, the version waits. A refresh, because of age or of what waiting costs, has to be no worse; a
    change because of a finding has to be better. Where the gate holds, shadow gathers the missing evidence, if the
    rollout begins there.
    """
    now = project.state()
    state = now.model(model.name)
    version = _waiting(state)
    if version is None or _is_on_trial(state):
        return
    if end_if_refused(project, version, to="rejected", expect=now.seq):
        return
    if version.verdict is None or version.verdict_against != state.champion_ref:
        _judge(project, version, expect=now.seq)
        announce()
    now = project.state()
    state = now.model(model.name)
    version = state.version(version.ref.number)
    if version.stage != "registered" or _is_on_trial(state):  # somebody was faster
        return
    if version.verdict == "fail":
        reasons = [_last_gate(project, version.ref)]
        move(project, version, "rejected", verdict="fail", reasons=reasons, expect=now.seq)
        if version.twin is not None:  # it goes on without what made its refit worse
            settle(project, model, announce=announce)
        return
    if version.verdict == "pass" and may_refit(project, model, state, version) is None:
        made = refit(project, model, version)
        announce()
        if made is not None:
            settle(project, model, announce=announce)
            return
        now = project.state()
        state = now.model(model.name)
    _begin(project, model, state, version, expect=now.seq)


def _judge(project: Project, version: VersionState, *, expect: int) -> None:
    if version.twin is not None:
        judge_refit(project, version.ref, expect=expect)
        return
    is_by_choice = version.origin in _BY_CHOICE
    judge(project, version.ref, require=None if is_by_choice else "non_inferior", expect=expect)


def _begin(project: Project, model: ModelSettings, state: ModelState, version: VersionState, *, expect: int) -> None:
    """Begins the rollout of a version whose gate does not forbid it; its twin, if it is a refit, makes way."""
    first = model.delivery.stages[0].stage
    if version.verdict != "pass" and first != "shadow":
        return
    twin = None if version.twin is None else state.version(version.twin)
    if twin is not None and twin.stage == "registered":
        reasons = [f"gives way to {version.ref}, which learnt from newer rows as well"]
        expect = move(project, twin, "retired", verdict=twin.verdict, reasons=reasons, expect=expect).seq
    if is_held(project, state, version, to=first, expect=expect):
        return
    deploy(project, version.ref, instead=f"gives way to {version.ref}, which has newer data")


_BY_CHOICE = ("finding", "contract", RECALIBRATION)
"""Origins that change the model because of trouble; the others refresh it."""


def _last_gate(project: Project, ref: VersionRef) -> str:
    """What the gate said about a version, in a sentence."""
    [*_, gate] = project.ledger.read(kinds=["gate.decided"], subject=str(ref))
    return str(gate.body["sentence"])


def retrain_facts(project: Project, watch: Watch, model: ModelSettings, state: ModelState) -> RetrainFacts:
    """What is known when it is decided whether to train anew."""
    champion = state.champion
    made = trainings(project, model.name)
    last_finished = max((e.seq for e in project.ledger.read(kinds=_FINISHED) if _is_finished(e, model.name)), default=0)
    return RetrainFacts(
        now=project.clock.now(),
        champion_trained_at=None if champion is None else champion.registered_at,
        alarms=watch.alarms(),
        contract_changed=contract_changed(project, model, champion),
        periods_days=_periods_days(state),
        trained_at=tuple(entry.at for entry in made[-_TOLD_TRAININGS:]),
        unfinished_in_a_row=sum(entry.seq > last_finished for entry in made),
        failures_in_a_row=state.failures_in_a_row,
        was_recalibrated=champion is not None and state.was_recalibrated(champion.ref.number),
        challenger_on_trial=_is_on_trial(state),
    )


_FINISHED = ("run.finished", "version.registered")


def _is_finished(entry: Entry, model: str) -> bool:
    """Whether a training came to an end with it: a run, or a recalibration, which needs none."""
    if entry.kind == "run.finished":
        return True
    return entry.body.get("origin") == RECALIBRATION and VersionRef.parse(entry.subject).model == model


def _periods_days(state: ModelState) -> tuple[float, ...]:
    """How long former champions were live, in the order in which they were; those gone back from do not count."""
    began = [state.versions[live.ref.number].registered_at for live in state.was_live]
    return tuple((later - earlier).total_seconds() / 86400 for earlier, later in pairwise(began) if later > earlier)


def _waiting(state: ModelState) -> VersionState | None:
    """The version that the loop made last, if it still stands where it was made and is newer than what is live."""
    newest, champion = state.newest, state.champion
    if newest is not None and newest.twin is not None and newest.stage == "rejected":
        newest = state.version(newest.twin)  # the refit was no good
    if newest is None or champion is None or newest.origin == "manual" or newest.stage != "registered":
        return None
    return newest if newest.ref.number > champion.ref.number else None


def _is_on_trial(state: ModelState) -> bool:
    """Whether something is under way that a newer version must not disturb.

    A version in shadow whose gate held is not: it waits for evidence, and one with newer data may do better. Nor is one
    that waits for a person, because a stage took too long.
    """
    challenger = state.challenger
    if challenger is None:
        return state.previous is not None
    return not challenger.is_overdue and (challenger.verdict == "pass" or challenger.stage != "shadow")
