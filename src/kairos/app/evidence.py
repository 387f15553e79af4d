"""Evidence about a version that is on trial, or bakes: all of it now and then, the counts every second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.delivery.state import VersionState
from kairos.gates.losses import loss_named
from kairos.monitor.rollout import count, gather, loss_path
from kairos.store.counts import Comparison

__all__ = ["Evidence", "EvidenceOf", "Gathered", "Known", "recount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about a version."""

    evidence: RolloutEvidence
    is_whole: bool
    """Whether everything may be decided by it; else only a rollback, as labels were not looked at lately."""


EvidenceOf = Callable[[VersionState, VersionState], Known]
"""What is known about the second version beside the first."""


class Gathered:
    """What was gathered last, for whoever looks between two gatherings; safe from several threads."""

    def __init__(self) -> None:
        self._evidence: dict[Comparison, RolloutEvidence] = {}

    def find(self, comparison: Comparison) -> RolloutEvidence | None:
        """The evidence as it was then."""
        return self._evidence.get(comparison)

    def keep(self, comparison: Comparison, evidence: RolloutEvidence) -> None:
        """Keeps it, and of the model's other comparisons the last: there is one trial and one bake at most."""
        known = {**self._evidence, comparison: evidence}
        others = [c for c in known if c.model == comparison.model and c != comparison]
        self._evidence = {c: e for c, e in known.items() if c not in others[:-1]}


class Evidence:
    """Gathers all evidence about the versions of one model.

    Args:
        project: Whose.
        watch: Of the model.
        gathered: Where what was gathered is kept.
    """

    def __init__(self, project: Project, watch: Watch, gathered: Gathered) -> None:
        self._project, self._watch, self._gathered = project, watch, gathered

    def __call__(self, base: VersionState, test: VersionState) -> Known:
        """All about ``test`` beside ``base`` since live traffic first reached it; reads the prediction log."""
        model, comparison = self._watch.model, _compared(base, test)
        _, reference = self._watch.reference(base)
        maturity = self._watch.when_mature()
        evidence = gather(
            self._project.predictions,
            self._project.counts.processes(),
            comparison,
            as_of=self._project.clock.now(),
            loss=loss_named(model.gate.loss),
            reference=reference,
            policy=model.delivery,
            maturity=maturity,
            forms=(self._watch.form(base), self._watch.form(test)),
            unlabelled=model.monitor.unlabelled,
        )
        self._gathered.keep(comparison, evidence)
        return Known(evidence=_at_stage(evidence, test), is_whole=True)

    def by_day(self, base: VersionState, test: VersionState) -> list[tuple[datetime, PairedLoss]]:
        """What the losses up to each day were worth, for a picture; empty where there is nothing to compare by."""
        _, reference = self._watch.reference(base)
        if reference is None:
            return []
        return loss_path(
            self._project.predictions,
            _compared(base, test),
            as_of=self._project.clock.now(),
            loss=loss_named(self._watch.model.gate.loss),
            reference=reference,
            policy=self._watch.model.delivery,
            maturity=self._watch.when_mature(),
            forms=(self._watch.form(base), self._watch.form(test)),
            unlabelled=self._watch.model.monitor.unlabelled,
        )


def recount(project: Project, model: ModelSettings, gathered: Gathered, *, fresh_for: timedelta) -> EvidenceOf:
    """The counts as they are now, beside what was gathered last; the log is not read."""

    def look(base: VersionState, test: VersionState) -> Known:
        comparison, now = _compared(base, test), project.clock.now()
        known = gathered.find(comparison)
        before = known or RolloutEvidence(as_of=now, since=comparison.since, on_trial_since=comparison.since, loss=None)
        evidence = count(before, project.counts.processes(), comparison, as_of=now, policy=model.delivery)
        is_whole = known is not None and now - known.as_of <= fresh_for
        return Known(evidence=_at_stage(evidence, test), is_whole=is_whole)

    return look


def _compared(base: VersionState, test: VersionState) -> Comparison:
    """The two versions as the servers know them."""
    since = test.on_trial_since or test.since
    return Comparison(model=test.ref.model, base=base.ref.number, test=test.ref.number, since=since)


def _at_stage(evidence: RolloutEvidence, test: VersionState) -> RolloutEvidence:
    return replace(evidence, since=test.since, is_overdue=test.is_overdue)
