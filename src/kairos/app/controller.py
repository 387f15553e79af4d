"""The loop: look at what is live, move the rollout on or back, train anew. Each tick looks once and writes what it did.

Decisions are made in ``delivery`` and ``gates`` from values; here evidence is gathered and the outcome written down.
All state is in the ledger: a controller that is stopped anywhere goes on where it was, and of two controllers only one
decides, because every change names the head of the ledger that it was decided on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from kairos.app.deploying import deploy, move, restore
from kairos.app.judging import judge
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import recent_window, train
from kairos.app.watching import Watch
from kairos.delivery.retrain import RetrainFacts, decide_retrain
from kairos.delivery.rollout import RolloutEvidence, RolloutPolicy, decide, decide_bake
from kairos.delivery.state import ModelState, Stage, VersionState
from kairos.errors import LedgerMoved
from kairos.ledger import Entry
from kairos.values import VersionRef, plain

__all__ = ["Controller"]

_log = logging.getLogger("kairos.loop")

_STAGE_AFTER: Mapping[str, Stage] = MappingProxyType({"rollback": "rolled_back", "withdraw": "retired"})


class Controller:
    """Runs the loop of one project.

    Args:
        project: Whose; its clock says when a tick is.
        on_entry: Told of every fact that a tick writes, as soon as it is written.
    """

    def __init__(self, project: Project, *, on_entry: Callable[[Entry], None] = lambda entry: None) -> None:
        self._project = project
        self._on_entry = on_entry
        self._told = project.ledger.head()
        self._watches = {name: Watch(project, model) for name, model in project.settings.models.items()}

    def tick(self) -> None:
        """Looks once at every model, in the order of their names.

        A tick whose ground was moved by somebody else stops for that model; the next one sees what they did. Trouble
        with one model, or with the log of predictions, keeps no other from being watched.

        Raises:
            Exception: the first trouble, once all models have had their turn; others are logged.
        """
        troubles: list[Exception] = []
        turns: list[Callable[[], object]] = [self._project.predictions.roll]
        turns += [partial(self._turn, name) for name in sorted(self._watches)]
        for turn in turns:
            try:
                turn()
            except LedgerMoved:
                continue
            except Exception as trouble:  # a user's pipeline or model may raise anything
                troubles.append(trouble)
            finally:
                self._announce()
        for other in troubles[1:]:
            _log.error("The loop could not finish its turn: %s", other, exc_info=other)
        if troubles:
            raise troubles[0]

    def _turn(self, name: str) -> None:
        if name not in self._project.state().models:
            return
        model = self._project.settings.model(name)
        try:
            self._watches[name].look()
        finally:  # what is on trial is judged even where the watching is in trouble
            self._judge_bake(model)
            self._judge_trial(model)
        self._settle(model)
        self._retrain(model)

    def _announce(self) -> None:
        for entry in self._project.ledger.read(after=self._told):
            self._told = entry.seq
            self._on_entry(entry)

    def _judge_bake(self, model: ModelSettings) -> None:
        """Goes back to the former champion, or lets it go, as the evidence says."""
        state = self._project.state()
        found = state.model(model.name)
        if found.champion is None or found.previous is None:
            return
        evidence = self._watches[model.name].rollout(found.previous, found.champion)
        decision = decide_bake(model.delivery, evidence)
        basis = plain({"evidence": evidence, "policy": model.delivery})
        verdict, reasons = decision.verdict, [decision.sentence]
        if decision.action == "rollback":
            restore(self._project, found, verdict=verdict, reasons=reasons, basis=basis, expect=state.seq)
        elif decision.action == "advance":
            move(
                self._project,
                found.previous,
                "retired",
                verdict=verdict,
                reasons=reasons,
                basis=basis,
                expect=state.seq,
            )

    def _judge_trial(self, model: ModelSettings) -> None:
        """Moves a challenger on or back, as the evidence says."""
        state = self._project.state()
        found = state.model(model.name)
        if found.champion is None or found.challenger is None:
            return
        evidence = self._watches[model.name].rollout(found.champion, found.challenger)
        policy = _owed_proof(model, found.challenger, evidence)
        decision = decide(policy, found.challenger.stage, found.challenger.share, evidence)
        to = _STAGE_AFTER.get(decision.action)
        if decision.action == "freeze":
            self._watches[model.name].tell_wrong_split(found.challenger, evidence, decision.sentence)
        elif decision.action == "advance" and decision.to is not None:
            to = decision.to.stage
        if to is not None:
            move(
                self._project,
                found.challenger,
                to,
                share=decision.to.share if decision.to is not None and to == "canary" else 0.0,
                verdict=decision.verdict,
                reasons=[decision.sentence],
                basis=plain({"evidence": evidence, "policy": policy}),
                expect=state.seq,
            )

    def _retrain(self, model: ModelSettings) -> None:
        """Trains anew if there is a reason, judges the outcome, and begins its rollout if it passes."""
        state = self._project.state()
        decision = decide_retrain(model.retrain, self._retrain_facts(model, state.model(model.name)))
        if not decision.train or decision.origin is None:
            return
        window = recent_window(self._project)
        body = {"train": True, "origin": decision.origin, "reasons": list(decision.reasons), "window": str(window)}
        self._project.tell("retrain.decided", subject=model.name, body=body, expect=state.seq)
        self._announce()
        train(self._project, window=window, origin=decision.origin, reasons=decision.reasons)
        self._announce()
        self._settle(model)

    def _settle(self, model: ModelSettings) -> None:
        """Judges the newest version if the loop made it and nobody has taken it further; begins its rollout or ends it.

        So a loop that was stopped after a training goes on with what came of it. While a trial is under way that must
        not be disturbed, the version waits. A refresh because of age has to be no worse; a change because of a finding
        has to be better. Where the gate holds, shadow gathers the missing evidence, if the rollout begins there.
        """
        state = self._project.state().model(model.name)
        version = _waiting(state)
        if version is None or _is_on_trial(state):
            return
        if version.verdict is None or version.verdict_against != state.champion_ref:
            judge(self._project, version.ref, require="non_inferior" if version.origin == "age" else None)
            self._announce()
        now = self._project.state()
        state = now.model(model.name)
        version = state.version(version.ref.number)
        if version.stage != "registered" or _is_on_trial(state):  # somebody was faster
            return
        may_shadow = model.delivery.stages[0].stage == "shadow"
        if version.verdict == "fail":
            reasons = [self._last_gate(version.ref)]
            move(self._project, version, "rejected", verdict="fail", reasons=reasons, expect=now.seq)
        elif version.verdict == "pass" or may_shadow:
            deploy(self._project, version.ref, instead=f"gives way to {version.ref}, which has newer data")

    def _last_gate(self, ref: VersionRef) -> str:
        """What the gate said about a version, in a sentence."""
        [*_, gate] = self._project.ledger.read(kinds=["gate.decided"], subject=str(ref))
        return str(gate.body["sentence"])

    def _retrain_facts(self, model: ModelSettings, state: ModelState) -> RetrainFacts:
        champion = state.champion
        trainings = list(self._project.ledger.read(kinds=["retrain.decided"], subject=model.name))
        finished = [entry.seq for entry in self._project.ledger.read(kinds=["run.finished"])]
        last_finished = finished[-1] if finished else 0
        return RetrainFacts(
            now=self._project.clock.now(),
            champion_trained_at=None if champion is None else champion.registered_at,
            alarms=self._watches[model.name].alarms(),
            last_training_at=trainings[-1].at if trainings else None,
            unfinished_in_a_row=sum(entry.seq > last_finished for entry in trainings),
            failures_in_a_row=state.failures_in_a_row,
            challenger_on_trial=_is_on_trial(state),
        )


def _waiting(state: ModelState) -> VersionState | None:
    """The version that the loop made last, if it still stands where it was made and is newer than what is live."""
    newest, champion = state.newest, state.champion
    if newest is None or champion is None or newest.origin == "manual" or newest.stage != "registered":
        return None
    return newest if newest.ref.number > champion.ref.number else None


def _is_on_trial(state: ModelState) -> bool:
    """Whether something is under way that a newer version must not disturb.

    A version in shadow whose gate held is not: it waits for evidence, and one with newer data may do better.
    """
    challenger = state.challenger
    if challenger is None:
        return state.previous is not None
    return challenger.verdict == "pass" or challenger.stage != "shadow"


def _owed_proof(model: ModelSettings, challenger: VersionState, evidence: RolloutEvidence) -> RolloutPolicy:
    """The rollout's policy; a version whose gate held owes the proof here, by the gate's margin."""
    if challenger.verdict == "pass":
        return model.delivery
    margin = model.gate.margin
    owed = margin.value
    if margin.kind == "absolute":  # in the loss's unit; as a part of what the champion loses
        if evidence.loss is None or not evidence.loss.champion_mean > 0:
            return model.delivery  # without pairs nothing is decided by it
        owed = margin.value / evidence.loss.champion_mean
    return replace(model.delivery, harm_margin=min(model.delivery.harm_margin, owed))
