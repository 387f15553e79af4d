"""Refits: what a version has proven on the newest rows, its step learns from them as well. See docs/design/0007."""

from __future__ import annotations

import logging

from kairos.app.facts import run_entry
from kairos.app.losses import fresh_rows, known_rows, losses_on
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.training import pipeline_source, train
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import KairosError
from kairos.gates.refit import RefitEvidence, decide_refit
from kairos.models.learn import Learn
from kairos.pipeline.code_state import code_state
from kairos.pipeline.graph import Graph
from kairos.pipeline.project import load_module
from kairos.values import Json, Verdict, VersionRef, Window

__all__ = ["judge_refit", "learnt_from", "may_refit", "refit"]

_log = logging.getLogger("kairos.loop")


def may_refit(project: Project, model: ModelSettings, state: ModelState, version: VersionState) -> str | None:
    """Why a version that passed is not learnt again with the rows that it was judged on; ``None``: it may be.

    Args:
        project: Whose.
        model: Its settings.
        state: Of the model.
        version: Which passed.
    """
    if not model.retrain.refit:
        return "the settings say so"
    if version.twin is not None or version.base is not None:
        return "it is a refit, or a recalibrated version"
    if state.refit_of(version.ref.number) is not None:
        return "it was"
    run = run_entry(project, version.run).body
    if run["code"] != code_state(project.root).plain():
        return "the code has changed since"
    node = Graph.from_module(load_module(pipeline_source(project), keep=False)).node(model.step)
    if model.holdout in node.inputs.values():
        return "its step looks at the rows held out"
    package = open_version(project, version.package, model)
    table = holdout_table(project, model, run)
    unseen, known = fresh_rows(table, model, [package]), known_rows(table, package)
    if model.time is None or package.spec.train_until is None or unseen.is_empty() or len(unseen) < len(known):
        return "the rows held out are not later than what it learnt from"
    return None


def refit(project: Project, model: ModelSettings, version: VersionState) -> VersionRef | None:
    """Lets the step of a version learn once more, with the rows that were held out; gives the new version.

    Returns:
        ``None`` if nothing new came of it; the run then tells why.
    """
    run = run_entry(project, version.run).body
    learn = learnt_from(run, model.name)
    more = Learn(days=learn.days, half_life_days=learn.half_life_days, artifact=model.holdout)
    reasons = [f"{version.ref} passed its gate; it learnt without the newest rows"]
    try:
        trained = train(
            project,
            window=Window.parse(run["window"]),
            origin=version.origin,
            reasons=reasons,
            learn={model.name: more},
            twin=version.ref,
        )
    except KairosError as error:
        _log.warning("%s could not be learnt again with the newest rows, and goes on as it is: %s", version.ref, error)
        return None
    return trained.versions[0] if trained.versions else None


def learnt_from(run: Json, model: str) -> Learn:
    """How a run changed what a model learnt from, by its fact."""
    found = run.get("learn", {}).get(model)
    return Learn() if found is None else Learn(**found)


def judge_refit(project: Project, ref: VersionRef, *, expect: int | None = None) -> Verdict:
    """Compares a refit with its twin on the rows that the twin was judged on, and writes the verdict down.

    Args:
        project: Whose.
        ref: The refit.
        expect: The head of the ledger that it was decided on to judge it; if that has moved, nothing is written.

    Raises:
        LedgerMoved: the ledger has grown since ``expect``.
    """
    model = project.settings.model(ref.model)
    state = project.state().model(ref.model)
    version = state.version(ref.number)
    assert version.twin is not None  # of a refit
    twin = state.version(version.twin)
    evidence = _evidence(project, model, state, version, twin)
    decision = decide_refit(model.gate, evidence)
    against = state.champion_ref
    project.tell(
        "gate.decided",
        subject=str(ref),
        body={
            "verdict": decision.verdict,
            "sentence": decision.sentence,
            "reasons": list(decision.reasons),
            "needed_rows": None,
            "ready_on": None,
            "against": None if against is None else str(against),
            "policy": model.gate.plain(),
            "evidence": evidence.plain(),
        },
        expect=expect,
    )
    return decision.verdict


def _evidence(
    project: Project, model: ModelSettings, state: ModelState, version: VersionState, twin: VersionState
) -> RefitEvidence:
    new, old = (open_version(project, one.package, model) for one in (version, twin))
    run = run_entry(project, twin.run).body
    rows = fresh_rows(holdout_table(project, model, run), model, [old])
    own, twins = (losses_on(rows, package, model) for package in (new, old))  # each told in its own classes
    [*_, gate] = project.ledger.read(kinds=["gate.decided"], subject=str(twin.ref))
    until, before = new.spec.train_until, old.spec.train_until
    newest = (until - before).total_seconds() / 86400 if until is not None and before is not None else 0.0
    return RefitEvidence(
        twin=str(twin.ref),
        twin_verdict=twin.verdict,
        twin_sentence=str(gate.body["sentence"]),
        is_same_champion=twin.verdict_against == state.champion_ref,
        rows=len(rows),
        newest_days=round(newest, 3),
        own=float(own.mean()) if len(rows) else 0.0,
        twins=float(twins.mean()) if len(rows) else 0.0,
    )
