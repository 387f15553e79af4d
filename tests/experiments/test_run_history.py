"""Runs are read from the facts of the ledger, found by the beginning of their id, and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kairos.errors import LedgerError, NotFound, UsageError
from kairos.experiments import CodeRecord, RunIndex, RunRecord, StepRecord, compare, find_run, run_record, runs
from kairos.experiments.compare import Change
from kairos.ledger import Entry, SqliteLedger
from kairos.values import Digest, Json

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)
RAW, TRAIN, PACKAGE = Digest("1" * 32), Digest("2" * 32), Digest("3" * 32 + ".dir")

BODY: dict[str, Json] = {
    "id": "r0000000001",
    "started_at": "2012-03-03T11:00:00Z",
    "window": "2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
    "ok": True,
    "failure": None,
    "models": {"demand": {"package": PACKAGE}},
    "code": {"commit": "c" * 40, "dirty_digest": None, "branch": "main"},
    "metrics": {"mae": 41.5, "unknown": {"$float": "nan"}},
    "steps": [
        {
            "step": "rentals",
            "fingerprint": "f1",
            "status": "reused",
            "inputs": {},
            "outputs": [{"name": "rentals", "digest": RAW, "kind": "table/polars", "meta": {}}],
            "params": {},
            "code": "c1",
        },
        {
            "step": "split",
            "fingerprint": "f2",
            "status": "ran",
            "inputs": {"rentals": RAW},
            "outputs": [{"name": "split.train", "digest": TRAIN, "kind": "table/polars", "meta": {}}],
            "params": {"holdout_days": 14, "lags": {"$tuple": [1, 24]}},
            "code": "c2",
        },
        {
            "step": "demand",
            "fingerprint": "f3",
            "status": "ran",
            "inputs": {"split.train": TRAIN},
            "outputs": [{"name": "demand", "digest": PACKAGE, "kind": "package", "meta": {}}],
            "params": {"max_iter": 200, "rate": None},
            "code": "c3",
        },
    ],
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def write(ledger: SqliteLedger, run: str, *, kind: str = "run.finished", body: Mapping[str, Json] = BODY) -> Entry:
    return ledger.append(kind, subject=run, body={**body, "id": run}, actor="ann", at=MARCH)


def test_a_run_is_read_back_whole(ledger: SqliteLedger) -> None:
    """Params carry their step's name and have their types again, digests are whole, NaN is a number."""
    write(ledger, "r0000000001")
    (record,) = runs(ledger)
    assert math.isnan(record.metrics["unknown"])
    assert replace(record, metrics={}) == RunRecord(
        run="r0000000001",
        status="finished",
        started_at=MARCH - timedelta(hours=1),
        ended_at=MARCH,
        window="2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
        actor="ann",
        models=("demand",),
        params={"split.holdout_days": 14, "split.lags": (1, 24), "demand.max_iter": 200, "demand.rate": None},
        inputs={"rentals": RAW, "split.train": TRAIN},
        outputs={"rentals": RAW, "split.train": TRAIN, "demand": PACKAGE},
        code=CodeRecord(commit="c" * 40, branch="main", steps={"rentals": "c1", "split": "c2", "demand": "c3"}),
        steps=(
            StepRecord(step="rentals", status="reused", fingerprint="f1"),
            StepRecord(step="split", status="ran", fingerprint="f2"),
            StepRecord(step="demand", status="ran", fingerprint="f3"),
        ),
    )


def test_what_steps_logged_and_took_is_told_with_the_run(ledger: SqliteLedger) -> None:
    """A name that several steps used, or that a loss has, begins with the step's; the others stay as they are."""
    logged: list[dict[str, Json]] = [
        {"params": {}, "metrics": {"rows": 7}},
        {"params": {"depth": "3"}, "metrics": {"loss": 0.5, "mae": 2.0}},
        {"params": {}, "metrics": {"loss": 0.25}},
    ]
    steps = [{**step, "logged": told} for step, told in zip(BODY["steps"], logged, strict=True)]
    blobs = ["4" * 32, "5" * 32 + ".dir"]
    measured = {
        "elapsed_s": 9.0,
        "cpu_s": 8.0,
        "peak_bytes": 7,
        "machine": {"host": "bench"},
        "steps": {
            "rentals": {"logged": blobs[:1]},
            "demand": {"elapsed_s": 2.0, "cpu_s": 1.0, "peak_bytes": 7, "tries": 2, "logged": blobs},
        },
    }
    kept = {"files": PACKAGE, "difference": None, "environment": RAW}
    write(ledger, "r1", body={**BODY, "metrics": {"mae": 1.0}, "steps": steps, "measured": measured, "kept": kept})
    (record,) = runs(ledger)
    assert record.metrics == {"mae": 1.0, "rows": 7.0, "split.loss": 0.5, "split.mae": 2.0, "demand.loss": 0.25}
    assert record.params["depth"] == "3"
    assert (record.elapsed_s, record.cpu_s, record.peak_bytes, record.machine) == (9.0, 8.0, 7, {"host": "bench"})
    assert record.kept == {"files": PACKAGE, "environment": RAW}
    assert record.steps[0].logged == (blobs[0],)
    assert record.steps[1].metric_names == {"loss": "split.loss", "mae": "split.mae"}
    last = record.steps[2]
    assert (last.elapsed_s, last.cpu_s, last.peak_bytes, last.tries) == (2.0, 1.0, 7, 2)
    assert last.logged == tuple(blobs)


def test_a_failed_run_says_what_went_wrong(ledger: SqliteLedger) -> None:
    """Step, type and message in one line; the outputs before the failure are listed."""
    failure = {"step": "demand", "type": "ValueError", "message": "no rows"}
    write(ledger, "r1", kind="run.failed", body={**BODY, "failure": failure, "models": {}, "steps": BODY["steps"][:2]})
    (record,) = runs(ledger)
    assert record.status == "failed"
    assert record.failure == "demand: ValueError: no rows"
    assert record.models == ()
    assert set(record.outputs) == {"rentals", "split.train"}


def test_only_facts_about_runs_are_read_and_each_run_once(ledger: SqliteLedger) -> None:
    """A run told twice keeps its place, with what was told last."""
    write(ledger, "r1")
    ledger.append("finding", subject="demand", body={}, actor="monitor", at=MARCH)
    write(ledger, "r2")
    write(ledger, "r1", body={**BODY, "metrics": {"mae": 1}})
    assert [record.run for record in runs(ledger)] == ["r1", "r2"]
    assert runs(ledger)[0].metrics == {"mae": 1.0}


def test_a_fact_that_is_no_run_is_named(ledger: SqliteLedger) -> None:
    """The error says which entry, and what it lacks."""
    entry = ledger.append("run.finished", subject="r1", body={"steps": []}, actor="ann", at=MARCH)
    with pytest.raises(LedgerError, match=r"Entry 1 .*'r1', does not tell of a run.*started_at"):
        run_record(entry)


def test_a_run_is_found_by_the_beginning_of_its_id(ledger: SqliteLedger) -> None:
    """A whole id wins over a longer one that begins so."""
    index = RunIndex(ledger.path.with_name("runs.db"), ledger)
    for run in ("rab", "rabc", "rabd", "rx12"):
        write(ledger, run)
    assert find_run(index, "rx").run == "rx12"
    assert find_run(index, "rab").run == "rab"
    with pytest.raises(UsageError, match=r"Several runs begin with 'ra'.*rab, rabc, rabd"):
        find_run(index, "ra")
    index.close()


def test_an_unknown_run_is_answered_with_the_nearest(ledger: SqliteLedger) -> None:
    """Also when there is no run at all, and when nothing was typed."""
    index = RunIndex(ledger.path.with_name("runs.db"), ledger)
    with pytest.raises(NotFound, match=r"There is no run 'r1'.*kairos runs"):
        find_run(index, "r1")
    write(ledger, "r0123456789")
    with pytest.raises(NotFound, match="Did you mean 'r0123456789'"):
        find_run(index, "r0123456798")
    with pytest.raises(NotFound, match="There is no run ''"):
        find_run(index, "")
    index.close()


def test_equal_runs_do_not_differ(ledger: SqliteLedger) -> None:
    """NaN metrics included."""
    a, b = run_record(write(ledger, "a")), run_record(write(ledger, "b"))
    assert compare(a, b).is_empty


def test_a_difference_names_what_changed(ledger: SqliteLedger) -> None:
    """Added, changed and removed are told apart, and 1 is not 1.0, nor a tuple a list."""
    a = run_record(write(ledger, "a"))
    b = replace(
        a,
        run="b",
        params={"split.holdout_days": 14.0, "split.lags": [1, 24], "demand.max_iter": 200, "demand.depth": None},
        inputs={**a.inputs, "rentals": Digest("9" * 32)},
        code=CodeRecord(commit="c" * 40, dirty_digest="d", steps={**a.code.steps, "split": "c9"}),
        metrics={"mae": 40.0, "unknown": math.nan},
    )
    difference = compare(a, b)
    assert not difference.is_empty
    assert (difference.before, difference.after) == ("a", "b")
    assert difference.params == (
        Change(name="demand.depth", kind="added", after=None),
        Change(name="demand.rate", kind="removed", before=None),
        Change(name="split.holdout_days", kind="changed", before=14, after=14.0),
        Change(name="split.lags", kind="changed", before=(1, 24), after=[1, 24]),
    )
    assert difference.inputs == (Change(name="rentals", kind="changed", before=RAW, after="9" * 32),)
    assert difference.code == (
        Change(name="dirty_digest", kind="added", after="d"),
        Change(name="step split", kind="changed", before="c2", after="c9"),
    )
    assert difference.metrics == (Change(name="mae", kind="changed", before=41.5, after=40.0),)
