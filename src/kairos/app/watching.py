"""Looking at one live model: findings that are new go to the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np
import polars as pl

from kairos.app.facts import run_entry
from kairos.app.forms import form_of
from kairos.app.losses import holdout_rows, losses_on
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.delivery.rollout.deciding import SPLIT_LIMIT
from kairos.delivery.rollout.evidence import RolloutEvidence
from kairos.delivery.state import VersionState
from kairos.gates.losses import loss_named
from kairos.models.profile import Profile
from kairos.monitor.checks.quality import LossReference, loss_reference
from kairos.monitor.days import day_number, day_start
from kairos.monitor.delays import learn_maturity
from kairos.monitor.findings import Check, Finding, Level
from kairos.monitor.forms import AnswerForm
from kairos.monitor.holdout import HoldoutRows
from kairos.monitor.maturity import Maturity, may_replace
from kairos.monitor.onset import biased_since
from kairos.monitor.triage import Triage, TriageEvidence, gather_triage, triage
from kairos.monitor.watch import Monitor
from kairos.store.records import INPUT_PREFIX
from kairos.values import VersionRef, Window, plain

__all__ = ["TRIAGED", "Watch", "told_maturity"]


class Watch:
    """Watches one model of a project.

    Args:
        project: Whose.
        model: The model's settings.
        only_looks: Writes nothing: how labels arrive is told as it was learnt last.
    """

    def __init__(self, project: Project, model: ModelSettings, *, only_looks: bool = False) -> None:
        self._project = project
        self._only_looks = only_looks
        self._model = model
        self._monitor = Monitor(project.predictions, model.monitor)
        self._maturity: tuple[int, Maturity] | None = None  # the day it was looked up on, and what was found
        self._triaged: tuple[tuple[int, int], Triage] | None = None  # the day and champion, and what was found
        self._references: dict[VersionRef, tuple[Profile, LossReference | None, HoldoutRows]] = {}
        self._forms: dict[VersionRef, AnswerForm] = {}

    @property
    def model(self) -> ModelSettings:
        """The settings of what is watched."""
        return self._model

    def look(self) -> tuple[Finding, ...]:
        """Looks at the champion; writes a finding down when it is new, or when its level has changed.

        Returns:
            Everything found, new or not.

        Raises:
            LedgerMoved: somebody else wrote meanwhile, perhaps the same.
        """
        champion = self._project.state().model(self._model.name).champion
        if champion is None:
            return ()
        findings = self._find(champion)
        head = self._project.ledger.head()
        known = {_key(f): f.level for f in self.told(champion)}
        for finding in findings:
            if known.get(_key(finding)) != finding.level:
                head = self._project.tell("finding", subject=self._model.name, body=finding.plain(), expect=head).seq
        return findings

    def maturity(self) -> Maturity:
        """When a day counts, and how labels arrive, as of today.

        Where it is learnt, what is learnt is written down and holds until labels come quite differently, so that a day
        that counted does not wait again, and a decision can be made again from the ledger.

        Raises:
            LedgerMoved: somebody else wrote meanwhile, perhaps the same.
        """
        now, policy = self._project.clock.now(), self._model.monitor
        if self._maturity is not None and self._maturity[0] == day_number(now):
            return self._maturity[1]
        head = self._project.ledger.head()
        found = learn_maturity(self._project.predictions, self._model.name, policy, now=now)
        if policy.matures_after is None:
            found = self._hold(found, head=head)
        self._maturity = (day_number(now), found)
        return found

    def when_mature(self) -> Maturity:
        """The same, without looking how labels arrive if a time is set: that costs more than a look."""
        after = self._model.monitor.matures_after
        return self.maturity() if after is None else Maturity(matures_after=after)

    def _hold(self, found: Maturity, *, head: int) -> Maturity:
        """What was learnt before, or what was found now if that should hold from now on."""
        held = told_maturity(self._project, self._model)
        if may_replace(held, found) and not self._only_looks:
            body = {**plain(found), "sentence": found.sentence()}
            self._project.tell(_LEARNT, subject=self._model.name, body=body, expect=head)
            return found
        return found if held is None else replace(held, arrivals=found.arrivals)

    def told(self, champion: VersionState) -> list[Finding]:
        """What the ledger tells about this version since it went live, in order."""
        entries = self._project.ledger.read(after=champion.stage_seq, kinds=["finding"], subject=self._model.name)
        findings = [Finding.from_plain(entry.body) for entry in entries]
        return [f for f in findings if f.version == champion.ref.number]

    def alarms(self) -> tuple[str, ...]:
        """Checks that ask for a new model since the champion went live, sorted: by an alarm; of drift, by a warning."""
        champion = self._project.state().model(self._model.name).champion
        if champion is None:
            return ()
        return tuple(sorted({f.check for f in self.told(champion) if f.level == _ASKS.get(f.check, "alarm")}))

    def tell_wrong_split(self, challenger: VersionState, evidence: RolloutEvidence, sentence: str) -> None:
        """Writes down, once a stage, that requests do not reach a challenger as designed."""
        if any(finding.check == "request_split" for finding in self.told(challenger)):
            return
        finding = Finding(
            check="request_split",
            level="alarm",
            column=None,
            value=evidence.split_log_e,
            lower=None,
            upper=None,
            threshold=SPLIT_LIMIT,
            window=Window(challenger.since, evidence.as_of),
            rows=evidence.canary_requests,
            sentence=f"{challenger.ref}: {sentence}. Look at how clients send the entity.",
            version=challenger.ref.number,
        )
        self._project.tell("finding", subject=self._model.name, body=finding.plain())

    def reference(self, version: VersionState) -> tuple[Profile, LossReference | None]:
        """What a version's training looked like, and its losses on its holdout if they can serve as a measure."""
        profile, reference, _ = self._known(version)
        return profile, reference

    def form(self, version: VersionState) -> AnswerForm:
        """What a version answers with."""
        if version.ref not in self._forms:
            self._forms[version.ref] = form_of(self._project, self._model, version)
        return self._forms[version.ref]

    def triage(self) -> Triage:
        """What the bias of the champion asks for, from its labelled rows of the last weeks; see ``monitor.triage``.

        It is worked out once a day for each champion.
        """
        champion = self._project.state().model(self._model.name).champion
        if champion is None:
            return triage(TriageEvidence())
        key = day_number(self._project.clock.now()), champion.stage_seq
        if self._triaged is None or self._triaged[0] != key:
            self._triaged = key, self._triage(champion)
        return self._triaged[1]

    def _triage(self, champion: VersionState) -> Triage:
        if not self.form(champion).is_plain:
            why = "it ranks, and no straight line changes an order" if self.form(champion).ranks else _SEVERAL
            return Triage(advice="retrain", reasons=(why,))
        now, policy = self._project.clock.now(), self._model.monitor
        _, _, holdout = self._known(champion)
        until = day_start(day_number(self.when_mature().mature_until(now)))
        window = Window(max(champion.since, until - TRIAGED), max(champion.since, until))
        rows = self._project.predictions.labelled(self._model.name, window, as_of=now)
        rows = rows.filter(
            pl.col("version") == champion.ref.number, pl.col("label").is_finite(), pl.col("output").is_finite()
        )
        days = rows["at"].dt.epoch("d").to_numpy().astype(np.int64)
        began = biased_since((rows["output"] - rows["label"]).to_numpy(), days)
        if began is not None:
            rows, days = rows.filter(pl.Series(days >= began)), days[days >= began]
        found = self._find(champion)
        parts = [name for name in self._model.gate.slices if INPUT_PREFIX + name in rows.columns]
        evidence = gather_triage(
            rows["output"].to_numpy(),
            rows["label"].to_numpy(),
            days,
            slices={name: rows[INPUT_PREFIX + name].cast(pl.String).fill_null("").to_numpy() for name in parts},
            before=(holdout.prediction, holdout.label, holdout.days),
            mix_moved=any(each.check == "prediction_drift" and each.level == "warn" for each in found),
            inputs_moved=any(each.check == "input_drift" for each in found),
            faults=tuple(_MISSING.format(each.column) for each in found if each.check == "missing_input"),
        )
        return triage(evidence, alpha=policy.alpha)

    def _find(self, champion: VersionState) -> tuple[Finding, ...]:
        profile, reference, holdout = self._known(champion)
        return self._monitor.look(
            self._model.name,
            version=champion.ref.number,
            profile=profile,
            reference=reference,
            loss=self._model.gate.loss,
            loss_of=loss_named(self._model.gate.loss),
            live_since=champion.since,
            now=self._project.clock.now(),
            maturity=self.when_mature(),
            holdout=holdout,
            kept=self._kept(profile),
            form=self.form(champion),
        )

    def _known(self, version: VersionState) -> tuple[Profile, LossReference | None, HoldoutRows]:
        if version.ref not in self._references:
            package = open_version(self._project, version.package, self._model)
            measured, judged = version, package
            # A refit has no rows that it has not seen, and a recalibrated version is judged on live ones: what its
            # twin, or the version that it puts right, lost on the holdout says what to expect.
            while (before := measured.base if measured.twin is None else measured.twin) is not None:
                measured = self._project.state().model(version.ref.model).version(before)
                judged = open_version(self._project, measured.package, self._model)
            run = run_entry(self._project, measured.run).body
            rows = holdout_rows(self._project, self._model, judged, run)
            losses = losses_on(rows.table, judged, self._model)
            self._references[version.ref] = (package.profile, loss_reference(losses), rows)
        return self._references[version.ref]

    def kept(self, version: VersionState) -> frozenset[str]:
        """Inputs that the log has as they came."""
        return self._kept(self._known(version)[0])

    def _kept(self, profile: Profile) -> frozenset[str]:
        privacy = self._model.privacy
        return frozenset(profile.columns if privacy.keep is None else privacy.keep) - set(privacy.pseudonymise)


def told_maturity(project: Project, model: ModelSettings) -> Maturity | None:
    """When a day counts, as it was learnt last; ``None``: it was not, or the settings say it. Nothing is written."""
    told = list(project.ledger.read(kinds=[_LEARNT], subject=model.name))
    return Maturity.from_plain(told[-1].body) if told and model.monitor.matures_after is None else None


_LEARNT = "maturity.learnt"
TRIAGED = timedelta(days=56)
"""How far back labelled rows say what a bias asks for."""
_MISSING = "input {!r} is missing in more rows than in training"
"""Without numbers: what is told once has the same words tomorrow."""

_SEVERAL = "it answers with several numbers, and putting one of them right could hide what another loses"

_ASKS: Mapping[Check, Level] = MappingProxyType({"input_drift": "warn", "prediction_drift": "warn"})
"""From which level on a check asks for a new model, where that is not ``alarm``: drift never proves harm."""


def _key(finding: Finding) -> tuple[str, str | None]:
    return finding.check, finding.column
