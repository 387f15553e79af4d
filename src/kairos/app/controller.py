"""The loop: look at what is live, move the rollout on or back, train anew. Each tick looks once and writes what it did.

Decisions are made in ``delivery`` and ``gates`` from values; here evidence is gathered and the outcome written down.
All state is in the ledger: a controller that is stopped anywhere goes on where it was, and of two controllers only one
decides, because every change names the head of the ledger that it was decided on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from kairos.app.deploying import deploy, move, restore
from kairos.app.judging import judge
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import recent_window, train
from kairos.app.watching import Watch
from kairos.delivery.retrain import RetrainDecision, RetrainFacts, decide_retrain
from kairos.delivery.rollout import RolloutDecision, RolloutPolicy, decide, decide_bake
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import LedgerMoved
from kairos.ledger import Entry
from kairos.values import Json, VersionRef, plain

__all__ = ["Controller"]


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

        A tick whose ground was moved by somebody else stops for that model; the next one sees what they did.
        """
        self._project.predictions.roll()
        for name in sorted(self._watches):
            if name not in self._project.state().models:
                continue
            try:
                self._watches[name].look()
                self._advance(self._project.settings.model(name))
                self._retrain(self._project.settings.model(name))
            except LedgerMoved:
                continue
            finally:
                self._announce()

    def _announce(self) -> None:
        for entry in self._project.ledger.read(after=self._told):
            self._told = entry.seq
            self._on_entry(entry)

    def _advance(self, model: ModelSettings) -> None:
        """Moves a challenger on trial, or a champion on its bake, as the evidence says."""
        state = self._project.state()
        found, seq = state.model(model.name), state.seq
        watch = self._watches[model.name]
        if found.challenger is not None and found.champion is not None:
            evidence = watch.rollout(found.champion, found.challenger)
            policy = _owed_proof(model, found.challenger)
            decision = decide(policy, found.challenger.stage, found.challenger.share, evidence)
            self._act(found.challenger, decision, plain({"evidence": evidence, "policy": policy}), seq)
        elif found.champion is not None and found.previous is not None:
            evidence = watch.rollout(found.previous, found.champion)
            decision = decide_bake(model.delivery, evidence)
            self._end_bake(found, decision, plain({"evidence": evidence, "policy": model.delivery}), seq)

    def _act(self, version: VersionState, decision: RolloutDecision, basis: dict[str, Json], seq: int) -> None:
        to: Literal["rolled_back", "retired"]
        if decision.action == "advance" and decision.to is not None:
            share = decision.to.share if decision.to.stage == "canary" else 0.0
            stage: str = decision.to.stage
        elif decision.action in ("rollback", "withdraw"):
            to = "rolled_back" if decision.action == "rollback" else "retired"
            share, stage = 0.0, to
        else:
            return
        move(
            self._project,
            version,
            stage,
            share=share,
            verdict=decision.verdict,
            reasons=[decision.sentence],
            basis=basis,
            expect=seq,
        )

    def _end_bake(self, model: ModelState, decision: RolloutDecision, basis: dict[str, Json], seq: int) -> None:
        assert model.previous is not None  # the caller has looked
        if decision.action == "rollback":
            reasons = [decision.sentence]
            restore(self._project, model, verdict=decision.verdict, reasons=reasons, basis=basis, expect=seq)
        elif decision.action == "advance":
            reasons = [decision.sentence]
            move(
                self._project,
                model.previous,
                "retired",
                verdict=decision.verdict,
                reasons=reasons,
                basis=basis,
                expect=seq,
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
        trained = train(self._project, window=window, origin=decision.origin, reasons=decision.reasons)
        self._announce()
        for ref in trained.versions:
            if ref.model == model.name:
                self._try(ref, decision)

    def _try(self, ref: VersionRef, decision: RetrainDecision) -> None:
        """A refresh because of age has to be no worse; a change because of a finding has to be better.

        Where the gate holds, shadow gathers the evidence that is missing, if the rollout begins there.
        """
        judged = judge(self._project, ref, require="non_inferior" if decision.origin == "age" else None)
        self._announce()
        verdict = judged.decision.verdict
        first = self._project.settings.model(ref.model).delivery.stages[0]
        if verdict == "pass" or (verdict == "hold" and first.stage == "shadow"):
            older = self._project.state().model(ref.model).challenger
            if older is not None:
                move(
                    self._project,
                    older,
                    "retired",
                    verdict="hold",
                    reasons=[f"gives way to {ref}, which has newer data"],
                )
            deploy(self._project, ref)
        elif verdict == "fail":
            state = self._project.state()
            version = state.model(ref.model).version(ref.number)
            reasons = [judged.decision.sentence]
            move(self._project, version, "rejected", verdict="fail", reasons=reasons, expect=state.seq)

    def _retrain_facts(self, model: ModelSettings, state: ModelState) -> RetrainFacts:
        champion = state.champion
        trainings = list(self._project.ledger.read(kinds=["retrain.decided"], subject=model.name))
        return RetrainFacts(
            now=self._project.clock.now(),
            champion_trained_at=None if champion is None else champion.registered_at,
            alarms=self._watches[model.name].alarms(),
            last_training_at=trainings[-1].at if trainings else None,
            failures_in_a_row=state.failures_in_a_row,
            challenger_on_trial=_is_on_trial(state),
        )


def _is_on_trial(state: ModelState) -> bool:
    """Whether something is under way that a newer version must not disturb.

    A version in shadow whose gate held is not: it waits for evidence, and one with newer data may do better.
    """
    challenger = state.challenger
    if challenger is None:
        return state.previous is not None
    return challenger.verdict == "pass" or challenger.stage != "shadow"


def _owed_proof(model: ModelSettings, challenger: VersionState) -> RolloutPolicy:
    """The rollout's policy; a version whose gate held owes the proof here, by the gate's margin."""
    if challenger.verdict == "pass" or model.gate.margin.kind != "relative":
        return model.delivery
    return replace(model.delivery, harm_margin=min(model.delivery.harm_margin, model.gate.margin.value))
