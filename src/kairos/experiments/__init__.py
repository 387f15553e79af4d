"""Runs and versions as the ledger tells them: listed, found, compared, and handed to whatever keeps the record."""

from __future__ import annotations

from kairos.experiments.compare import Change, RunDifference, compare
from kairos.experiments.filter import parse_where
from kairos.experiments.finding import find_run
from kairos.experiments.index import RunIndex
from kairos.experiments.listing import ListedRun, list_runs
from kairos.experiments.ports import (
    CodeRecord,
    FailedSeed,
    Recorder,
    RunRecord,
    SeedLog,
    SeedRecord,
    StepRecord,
    VersionRecord,
)
from kairos.experiments.runs import run_record, runs

__all__ = [
    "Change",
    "CodeRecord",
    "FailedSeed",
    "ListedRun",
    "Recorder",
    "RunDifference",
    "RunIndex",
    "RunRecord",
    "SeedLog",
    "SeedRecord",
    "StepRecord",
    "VersionRecord",
    "compare",
    "find_run",
    "list_runs",
    "parse_where",
    "run_record",
    "runs",
]
