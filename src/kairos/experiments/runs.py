"""Runs as the ledger tells them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from kairos.errors import LedgerError
from kairos.experiments.baselines import beatings_of
from kairos.experiments.ports import CodeRecord, RunRecord, RunStatus, StepRecord
from kairos.experiments.seed_facts import failed_seeds, seed_records
from kairos.ledger import Entry, Ledger, latest_first
from kairos.pipeline.logged import told_apart
from kairos.pipeline.typed import untyped
from kairos.values import Digest, Json, parse_moment, unplain

__all__ = ["RUN_KINDS", "latest_runs", "run_called", "run_end", "run_record", "run_status", "runs"]

RUN_KINDS = ("run.finished", "run.failed", "run.imported", "run.tried")
"""The facts that tell of a run."""


def runs(ledger: Ledger) -> list[RunRecord]:
    """All runs in the order of the ledger. A run whose fact was written twice is there once, as it was told last."""
    told = {entry.subject: run_record(entry) for entry in ledger.read(kinds=RUN_KINDS)}
    return list(told.values())


def latest_runs(ledger: Ledger) -> Iterator[RunRecord]:
    """The same runs, the last one first; no more of them are read than are asked for."""
    told = set[str]()
    for entry in latest_first(ledger, kinds=RUN_KINDS):
        if entry.subject not in told:
            told.add(entry.subject)
            yield run_record(entry)


def run_called(ledger: Ledger, run: str) -> RunRecord | None:
    """The run with exactly this id, as it was told last; ``None`` if there is none."""
    told = list(ledger.read(kinds=RUN_KINDS, subject=run))
    return run_record(told[-1]) if told else None


def run_status(entry: Entry) -> RunStatus:
    """How the run of a fact ended."""
    told = entry.kind in ("run.imported", "run.tried")
    is_done = entry.body["status"] == "finished" if told else entry.kind == "run.finished"
    return "finished" if is_done else "failed"


def run_end(entry: Entry) -> datetime:
    """When the run of a fact ended: when the ledger learned of it, but for one of which it learned later."""
    return parse_moment(entry.body["ended_at"]) if "ended_at" in entry.body else entry.at


def run_record(entry: Entry) -> RunRecord:
    """Reads the fact of a run; its body is a run result's plain form, with ``metrics`` beside it.

    Raises:
        LedgerError: the fact is not of a run, or lacks something.
    """
    body = unplain(entry.body)
    try:
        steps: list[dict[str, Json]] = body["steps"]
        losses = {name: float(value) for name, value in body.get("metrics", {}).items()}
        own = {f"{step['step']}.{name}": untyped(v) for step in steps for name, v in step["params"].items()}
        told = {step["step"]: step["logged"] for step in steps if step.get("logged")}
        params = told_apart({step: each["params"] for step, each in told.items()}, own)
        metrics = told_apart({step: each["metrics"] for step, each in told.items()}, losses)
        measured = body.get("measured") or {}
        return RunRecord(
            run=entry.subject,
            status=run_status(entry),
            started_at=parse_moment(body["started_at"]),
            ended_at=run_end(entry),
            window=body["window"],
            actor=entry.actor,
            models=tuple(sorted(body.get("models") or ())),
            params=own | {name: told[step]["params"][key] for (step, key), name in params.items()},
            metrics=losses | {name: float(told[step]["metrics"][key]) for (step, key), name in metrics.items()},
            baselines=beatings_of(body),
            inputs={name: Digest(digest) for step in steps for name, digest in sorted(step["inputs"].items())},
            outputs={artifact["name"]: Digest(artifact["digest"]) for step in steps for artifact in step["outputs"]},
            code=_code_record(body.get("code") or {}, steps),
            failure=_failure_line(body.get("failure")) or body.get("why"),
            tags={name: str(body[name]) for name in ("study", "trial", "state") if name in body},
            study=body.get("study"),
            steps=tuple(_step_record(step, measured, params, metrics) for step in steps),
            elapsed_s=measured.get("elapsed_s", 0.0),
            cpu_s=measured.get("cpu_s", 0.0),
            peak_bytes=measured.get("peak_bytes", 0),
            machine=measured.get("machine", {}),
            kept={name: Digest(digest) for name, digest in (body.get("kept") or {}).items() if digest},
            seeds=seed_records(body),
            failed_seeds=failed_seeds(body),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise LedgerError(
            f"Entry {entry.seq} of the ledger, {entry.kind} about {entry.subject!r}, does not tell of a run.",
            given=f"{type(error).__name__}: {error}",
            seq=entry.seq,
        ) from error


def _code_record(code: Mapping[str, Json], steps: Iterable[Mapping[str, Json]]) -> CodeRecord:
    return CodeRecord(
        commit=code.get("commit"),
        branch=code.get("branch"),
        dirty_digest=code.get("dirty_digest"),
        steps={step["step"]: step["code"] for step in steps if step.get("code")},
    )


def _step_record(
    step: Mapping[str, Json], measured: Mapping[str, Json], *names: Mapping[tuple[str, str], str]
) -> StepRecord:
    took = dict(measured.get("steps", {}).get(step["step"], {}))
    params, metrics = ({key: name for (who, key), name in each.items() if who == step["step"]} for each in names)
    return StepRecord(
        step=step["step"],
        status=step["status"],
        fingerprint=step.get("fingerprint"),
        logged=tuple(Digest(digest) for digest in took.pop("logged", ())),
        param_names=params,
        metric_names=metrics,
        **{name: took[name] for name in ("elapsed_s", "cpu_s", "peak_bytes", "tries") if name in took},
    )


def _failure_line(failure: Mapping[str, Json] | None) -> str | None:
    if failure is None:
        return None
    return f"{failure['step']}: {failure['type']}: {failure['message']}"
