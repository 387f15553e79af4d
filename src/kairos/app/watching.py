"""Looking at one live model: findings that are new go to the ledger, evidence for the rollout to the controller."""

from __future__ import annotations

from dataclasses import replace

from kairos.app.facts import run_entry
from kairos.app.losses import holdout_losses
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.delivery.rollout import RolloutEvidence
from kairos.delivery.state import VersionState
from kairos.gates.losses import loss_named
from kairos.models.profile import Profile
from kairos.monitor.checks.quality import LossReference, loss_reference
from kairos.monitor.findings import Finding
from kairos.monitor.rollout import gather
from kairos.monitor.watch import Monitor
from kairos.values import VersionRef

__all__ = ["Watch"]


class Watch:
    """Watches one model of a project.

    Args:
        project: Whose.
        model: The model's settings.
    """

    def __init__(self, project: Project, model: ModelSettings) -> None:
        self._project = project
        self._model = model
        self._monitor = Monitor(project.predictions, model.monitor)
        self._references: dict[VersionRef, tuple[Profile, LossReference | None]] = {}

    def look(self) -> tuple[Finding, ...]:
        """Looks at the champion; writes a finding down when it is new, or when its level has changed.

        Returns:
            Everything found, new or not.
        """
        champion = self._project.state().model(self._model.name).champion
        if champion is None:
            return ()
        profile, reference = self._reference(champion)
        findings = self._monitor.look(
            self._model.name,
            version=champion.ref.number,
            profile=profile,
            reference=reference,
            loss=self._model.gate.loss,
            loss_of=loss_named(self._model.gate.loss),
            live_since=champion.since,
            now=self._project.clock.now(),
        )
        known = {_key(f): f.level for f in self.told(champion)}
        for finding in findings:
            if known.get(_key(finding)) != finding.level:
                self._project.tell("finding", subject=self._model.name, body=finding.plain())
        return findings

    def told(self, champion: VersionState) -> list[Finding]:
        """What the ledger tells about this version since it went live, in order."""
        entries = self._project.ledger.read(after=champion.stage_seq, kinds=["finding"], subject=self._model.name)
        findings = [Finding.from_plain(entry.body) for entry in entries]
        return [f for f in findings if f.version == champion.ref.number]

    def alarms(self) -> tuple[str, ...]:
        """Checks that raised an alarm about the champion since it went live, sorted."""
        champion = self._project.state().model(self._model.name).champion
        if champion is None:
            return ()
        return tuple(sorted({f.check for f in self.told(champion) if f.level == "alarm"}))

    def rollout(self, champion: VersionState, challenger: VersionState) -> RolloutEvidence:
        """What is known about a challenger beside a champion, since live traffic first reached the challenger."""
        _, reference = self._reference(champion)
        evidence = gather(
            self._project.predictions,
            model=self._model.name,
            champion=champion.ref.number,
            challenger=challenger.ref.number,
            since=challenger.on_trial_since or challenger.since,
            as_of=self._project.clock.now(),
            loss=loss_named(self._model.gate.loss),
            reference=reference,
            policy=self._model.delivery,
            matures_after=self._model.monitor.matures_after,
        )
        return replace(evidence, since=challenger.since)

    def _reference(self, version: VersionState) -> tuple[Profile, LossReference | None]:
        if version.ref not in self._references:
            package = open_stored(self._project.store, version.package, allow_pickle=self._model.allow_pickle)
            run = run_entry(self._project, version.run).body
            losses = holdout_losses(self._project, self._model, package, run)
            self._references[version.ref] = (package.profile, loss_reference(losses.own))
        return self._references[version.ref]


def _key(finding: Finding) -> tuple[str, str | None]:
    return finding.check, finding.column
