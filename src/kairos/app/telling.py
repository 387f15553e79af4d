"""Facts of the ledger in one line each, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from kairos.app.story import DecisionLine
from kairos.experiments.baselines import is_baseline_metric
from kairos.ledger import Entry
from kairos.pipeline.typed import untyped
from kairos.values import Json

__all__ = ["DECISIONS", "decision_line", "is_trouble", "log_line"]

DECISIONS = (
    "run.failed",
    "gate.decided",
    "stage.changed",
    "retrain.decided",
    "finding",
    "approval.decided",
    "freeze.begun",
    "freeze.ended",
    "rollout.held",
)
"""Kinds of facts that tell what was decided and why; the others are what it was decided from."""


def decision_line(entry: Entry) -> DecisionLine:
    """The fact as one line; of a kind that is not known, its body."""
    kind, sentence = _TELLERS.get(entry.kind, ("fact", str))
    body = entry.body
    return DecisionLine(
        at=entry.at,
        kind=kind,
        subject=entry.subject,
        verdict=body.get("verdict") if entry.kind != "stage.changed" or body.get("override") is None else None,
        stage=body.get("to") if entry.kind == "stage.changed" else None,
        sentence=" ".join(sentence(body).split()),
        actor=entry.actor,
        seq=entry.seq,
        entry_hash=entry.hash,
    )


def log_line(entry: Entry) -> str:
    """The fact as the log of a loop has it: about what, what was decided, and why."""
    line = decision_line(entry)
    what = f"{line.kind} {line.verdict}" if line.verdict and entry.kind == "gate.decided" else line.kind
    return f"{line.subject} {what}: {line.sentence}"


def is_trouble(entry: Entry) -> bool:
    """Whether a person may have to look: an alarm, a failed run, a version that was taken back, broken data."""
    body = entry.body
    return (
        entry.kind == "run.failed"
        or body.get("level") == "alarm"
        or body.get("to") == "rolled_back"
        or body.get("action") == "investigate"
    )


def _run(body: Json) -> str:
    ran = sum(step["status"] == "ran" for step in body["steps"])
    made = ", ".join(sorted(body["models"])) or "no model"
    metrics = "; ".join(
        f"mean {name.partition('.')[2].replace('_', ' ')} {value:.4g} on its holdout"
        for name, value in sorted(body.get("metrics", {}).items())
        if not is_baseline_metric(name)
    )
    return f"data {_days(body['window'])}: {ran} of {len(body['steps'])} steps ran, {made}" + (
        f"; {metrics}" if metrics else ""
    )


def _failed_run(body: Json) -> str:
    failures = [body["failure"], *body.get("also_failed", ())]
    return "; ".join(f"stopped at {failure['step']}: {failure['message']}" for failure in failures)


def _imported_run(body: Json) -> str:
    source = body["from"]
    return f"imported from {source['library']}: {source['experiment']} {source['id']}, {source['status']}"


def _read(body: Json) -> str:
    if "failure" in body:
        return f"of {_days(body['window'])} none could be taken: {body['failure']}"
    own, fresh, rows = body["champion"], body["tried"][body["chosen"]], body["rows"]
    compared = sum(rows[len(rows) - len(own) :])  # the last days, of which the live version has seen no row
    if not compared:
        return f"of {_days(body['window'])}: the live version has seen all of its {sum(rows)} rows"
    mine, others = sum(own) / compared, sum(fresh[len(rows) - len(own) :]) / compared
    said = f"on {compared} rows the live version lost {mine:.4g} a row, a fresh one {others:.4g}"
    return f"of {_days(body['window'])}: {said}"


def _registered(body: Json) -> str:
    return f"made by run {body['run']}" + (f", because of: {'; '.join(body['reasons'])}" if body["reasons"] else "")


def _gated(body: Json) -> str:
    return str(body["sentence"]).removeprefix(f"{body['verdict']}: ")


def _moved(body: Json) -> str:
    share = f" with {body['share']:.0%} of requests" if body["to"] == "canary" else ""
    override = f"overridden: {body['override']}" if body.get("override") else ""
    reasons = [reason for reason in body["reasons"] if reason != body.get("override")]
    return f"{body['to'].replace('_', ' ')}{share}: " + "; ".join([*([override] if override else []), *reasons])


def _found(body: Json) -> str:
    return f"{body['level']}: {body['sentence']}"


def _retrain(body: Json) -> str:
    if body.get("action") == "investigate":
        return f"nothing is learnt until somebody has looked: {'; '.join(body['reasons'])}"
    if body.get("action") == "wait":
        *asked, held = body["reasons"]
        return f"{held} (asked for by {'; '.join(asked)})"
    return f"on {_days(body['window'])}, because of: {'; '.join(body['reasons'])}"


def _approved(body: Json) -> str:
    return f"{'approved' if body['verdict'] == 'pass' else 'refused'}: {body['reason']}"


def _froze(body: Json) -> str:
    until = f" until {body['until']}" if body["until"] else ""
    return f"nothing goes forward{until}: {body['reason']}"


def _unfroze(body: Json) -> str:
    return f"goes forward again: {body['reason']}"


def _held(body: Json) -> str:
    return f"not {body['to']} yet: {' '.join(body['reasons'])}"


def _tried(body: Json) -> str:
    value = "" if body["value"] is None else f" at {body['value']:.6g}"
    params = " ".join(f"{name}={untyped(each)}" for name, each in body["searched"].items())
    return f"{body['trial']} of {body['study']} {body['state']}{value}: {params}"


def _began(body: Json) -> str:
    return f"{body['model']}: a search by {body['sampler']} over {', '.join(body['space'])} on {_days(body['window'])}"


def _searched(body: Json) -> str:
    unseen = body["judged"]
    found = (
        f"; {unseen['after']:.4g} against {unseen['before']:.4g} on unseen rows: {body['verdict']}" if unseen else ""
    )
    return f"{body['model']}: trial {body['winner']} is best, {body['searched']:.4g} in the search{found}"


def _days(window: str) -> str:
    """``2011-01-01..2011-07-01`` for a window of whole days."""
    return window.replace("T00:00:00Z", "")


_TELLERS: Mapping[str, tuple[str, Callable[[Json], str]]] = MappingProxyType(
    {
        "run.finished": ("run", _run),
        "reading.taken": ("reading", _read),
        "run.failed": ("run", _failed_run),
        "run.imported": ("run", _imported_run),
        "run.tried": ("trial", _tried),
        "study.began": ("study", _began),
        "study.judged": ("study", _searched),
        "version.registered": ("version", _registered),
        "gate.decided": ("gate", _gated),
        "stage.changed": ("stage", _moved),
        "finding": ("finding", _found),
        "maturity.learnt": ("labels", lambda body: str(body["sentence"])),
        "retrain.decided": ("retrain", _retrain),
        "approval.decided": ("approval", _approved),
        "freeze.begun": ("freeze", _froze),
        "freeze.ended": ("freeze", _unfroze),
        "rollout.held": ("held", _held),
        "rehearsal.done": ("rehearsal", lambda body: f"{body['verdict']}: {'; '.join(body['reasons'])}"),
    }
)
