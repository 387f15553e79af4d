"""Gathering a gate's evidence, and writing down what it decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import polars as pl

from kairos.app.costing import package_size, time_package
from kairos.app.facts import artifact_digest, run_entry
from kairos.app.gathering import differ, gate_rows, labelled_rows_per_day, rank_among
from kairos.app.losses import answers_on, check_columns, fresh_rows
from kairos.app.own_code import load_metrics, run_checks
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.app.recalibrating import rows_of_log
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch, told_maturity
from kairos.delivery.state import VersionState
from kairos.errors import NotFound, UsageError
from kairos.gates.again import Again, decide_again
from kairos.gates.case import GateCase
from kairos.gates.decide import GateDecision, decide
from kairos.gates.evidence import GateEvidence, PackageCost
from kairos.gates.measure import measure
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.ledger import Entry
from kairos.models.package import Package
from kairos.values import Digest, VersionRef

__all__ = ["Judged", "judge", "judged_before"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A gate's decision with everything it rests on."""

    ref: VersionRef
    against: VersionRef | None
    """The champion; ``None``: the simple baseline."""
    policy: GatePolicy
    evidence: GateEvidence
    decision: GateDecision
    entry: Entry
    cost: PackageCost | None = None
    """What the package costs, if that was asked for."""

    @property
    def case(self) -> GateCase:
        """The same, as the texts for people take it."""
        return GateCase(
            version=str(self.ref),
            against=None if self.against is None else str(self.against),
            policy=self.policy,
            evidence=self.evidence,
            decision=self.decision,
            cost=self.cost,
        )


def judge(
    project: Project,
    ref: VersionRef,
    *,
    require: Literal["superior", "non_inferior"] | None = None,
    time_it: bool = False,
    expect: int | None = None,
) -> Judged:
    """Compares a version with the champion, or with a simple baseline if nothing is live, and writes the verdict down.

    The rows are those that the version's own run held out, without any that either model was trained on; of a
    recalibrated version, labelled rows of the prediction log later than those that it was fitted on.

    Args:
        project: Whose version.
        ref: Which one.
        require: In place of what the settings ask for.
        time_it: Also measures what the package costs, for information.
        expect: The head of the ledger that it was decided on to judge it; if that has moved, nothing is written.

    Raises:
        NotFound: there is no such version.
        SettingsError: the settings name a column that the holdout lacks; nothing is written.
        UsageError: the version is a refit, which has seen all rows.
        LedgerMoved: the ledger has grown since ``expect``.
    """
    model = project.settings.model(ref.model)
    state = project.state().model(ref.model)
    version = state.version(ref.number)
    if version.twin is not None:
        twin = VersionRef(ref.model, version.twin)
        raise UsageError(
            f"{ref} is {twin} learnt again with the rows that {twin} was judged on: it has seen them all.",
            hint=f"Type: kairos gate {twin}",
        )
    champion = state.champion if state.champion_number != ref.number else None
    policy = model.gate if require is None else replace(model.gate, require=require)
    evidence, cost = _evidence(project, model, version, champion, policy, time_it=time_it)
    decision = decide(policy, evidence)
    against = champion.ref if champion is not None else None
    entry = project.tell(
        "gate.decided",
        subject=str(ref),
        body={
            "verdict": decision.verdict,
            "sentence": decision.sentence,
            "reasons": list(decision.reasons),
            "needed_rows": decision.needed_rows,
            "ready_on": decision.ready_on,
            "against": None if against is None else str(against),
            "policy": policy.plain(),
            "evidence": evidence.plain(),
        },
        expect=expect,
    )
    return Judged(ref=ref, against=against, policy=policy, evidence=evidence, decision=decision, entry=entry, cost=cost)


def judged_before(project: Project, seq: int) -> tuple[Entry, Again]:
    """A gate's decision of the past, made again from its entry alone.

    Raises:
        NotFound: the ledger has no such entry.
        UsageError: the entry tells of no gate.
    """
    entry = next(iter(project.ledger.read(after=seq - 1)), None) if seq > 0 else None
    if entry is None or entry.seq != seq:
        raise NotFound(f"The ledger has no entry {seq}.", hint="Type: kairos ledger log --kind gate.decided")
    if entry.kind != "gate.decided":
        raise UsageError(
            f"Entry {seq} tells of no gate.", given=entry.kind, hint="Type: kairos ledger log --kind gate.decided"
        )
    return entry, decide_again(entry.body)


def _evidence(
    project: Project,
    model: ModelSettings,
    version: VersionState,
    champion: VersionState | None,
    policy: GatePolicy,
    *,
    time_it: bool,
) -> tuple[GateEvidence, PackageCost | None]:
    challenger = open_version(project, version.package, model)
    if version.base is not None:
        found = _of_log(project, model, version, champion, challenger, policy)
    else:
        found = _of_holdout(project, model, version, champion, challenger, policy)
    against = None if champion is None else champion.ref
    digest = Digest(found.rows.digest)
    cost = _cost(project, version, challenger, found.table, policy, time_it=time_it)
    evidence = measure(
        found.rows,
        policy,
        functions=load_metrics(project.root, policy.own),
        checks=_checks(project, model, challenger, found.table, policy),
        cost=_limited(policy, cost),
        rank=rank_among(list(project.ledger.read(kinds=["gate.decided"])), version.ref, against, digest),
        rows_per_day=labelled_rows_per_day(project, model),
        as_of=project.clock.now(),
        label_delay_days=_label_delay(project, model).total_seconds() / 86400,
        incomparable=found.incomparable,
    )
    return evidence, cost


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """Rows that a version has not seen."""

    rows: GateRows
    table: pl.DataFrame
    """What it can be asked about: the holdout, or of it what neither has seen."""
    incomparable: str | None
    """Why the champion cannot be asked about these rows."""


def _of_holdout(
    project: Project,
    model: ModelSettings,
    version: VersionState,
    champion: VersionState | None,
    challenger: Package,
    policy: GatePolicy,
) -> _Fresh:
    run = run_entry(project, version.run).body
    digest = artifact_digest(run, model.holdout)
    rival = None if champion is None else open_version(project, champion.package, model)
    table = holdout_table(project, model, run)
    check_columns(table, model)
    rows = fresh_rows(table, model, [challenger] if rival is None else [challenger, rival])
    lacks = [] if rival is None else [name for name in rival.spec.signature.names if name not in rows.columns]
    incomparable = None
    if champion is not None and lacks:  # the two cannot be asked about the same rows
        incomparable = f"cannot be compared: {champion.ref} takes the column {lacks[0]!r}, which the holdout lacks"
    elif champion is not None and rival is not None and differ(challenger, rival):
        incomparable = f"cannot be compared: {champion.ref} gives other outputs"
    asked = None if incomparable else rival
    gated = gate_rows(rows, model, policy, challenger=challenger, champion=asked, digest=digest)
    return _Fresh(rows=gated, table=rows, incomparable=incomparable)


def _of_log(
    project: Project,
    model: ModelSettings,
    version: VersionState,
    champion: VersionState | None,
    challenger: Package,
    policy: GatePolicy,
) -> _Fresh:
    """A recalibrated version is judged on what the version that it puts right answered later; see design 0002."""
    assert version.base is not None
    base = project.state().model(model.name).version(version.base)
    rows = rows_of_log(project, Watch(project, model, only_looks=True), model, base, challenger, policy)
    incomparable = None
    if champion is None or champion.ref != base.ref:
        incomparable = f"cannot be compared: it puts the answers of {base.ref} right, which is live no more"
    table = holdout_table(project, model, run_entry(project, version.run).body)
    return _Fresh(rows=rows, table=table, incomparable=incomparable)


def _label_delay(project: Project, model: ModelSettings) -> timedelta:
    """How late the truth is: as it was learnt from the labels that came, where nobody says it."""
    if model.monitor.matures_after is not None:
        return project.settings.label_delay
    known = told_maturity(project, model)
    return project.settings.label_delay if known is None else known.matures_after


def _cost(
    project: Project, version: VersionState, package: Package, rows: pl.DataFrame, policy: GatePolicy, *, time_it: bool
) -> PackageCost | None:
    if not time_it and policy.max_latency_ms is None and policy.max_size_mb is None:
        return None
    size = package_size(project.store, version.package)
    if time_it or policy.max_latency_ms is not None:
        return time_package(package, rows, size_bytes=size)
    return PackageCost(size_bytes=size)


def _limited(policy: GatePolicy, cost: PackageCost | None) -> PackageCost | None:
    """What of the cost a limit rests on: nothing else that was measured may enter a fact, as it differs each time."""
    if cost is None or (policy.max_size_mb is None and policy.max_latency_ms is None):
        return None
    return PackageCost(
        size_bytes=None if policy.max_size_mb is None else cost.size_bytes,
        one_row_ms=None if policy.max_latency_ms is None else cost.one_row_ms,
    )


def _checks(
    project: Project, model: ModelSettings, package: Package, rows: pl.DataFrame, policy: GatePolicy
) -> tuple[Any, ...]:
    if policy.checks is None:
        return ()

    def predict(table: Any) -> Any:
        return answers_on(table, package, model)

    return run_checks(project.root, policy.checks, predict, rows)
