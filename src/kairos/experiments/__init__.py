"""Runs and versions as the ledger tells them: listed, found, compared, and handed to whatever keeps the record."""

from __future__ import annotations

from kairos.experiments.compare import Change, RunDifference, compare
from kairos.experiments.ports import CodeRecord, Recorder, RunRecord, StepRecord, VersionRecord
from kairos.experiments.runs import find_run, run_record, runs

__all__ = [
    "Change",
    "CodeRecord",
    "Recorder",
    "RunDifference",
    "RunRecord",
    "StepRecord",
    "VersionRecord",
    "compare",
    "find_run",
    "run_record",
    "runs",
]
