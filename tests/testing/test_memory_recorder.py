"""The fake recorder keeps what it was given, whole, for a test to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kairos.experiments import RunRecord, VersionRecord
from kairos.testing import MemoryRecorder
from kairos.values import Digest

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)
RUN = RunRecord(run="r1", status="finished", started_at=MARCH, ended_at=MARCH, window="", actor="ann")
VERSION = VersionRecord(
    model="demand", number=1, run="r1", package=Digest("1" * 32), package_folder=Path("gone"), registered_at=MARCH
)


def test_records_are_kept_as_they_were_given() -> None:
    """By run, by model and number, by alias; the package's files are not looked at."""
    recorder = MemoryRecorder()
    recorder.record_run(RUN)
    recorder.record_version(VERSION)
    recorder.set_aliases("demand", {"champion": 1, "challenger": None})
    recorder.close()
    assert recorder.runs == {"r1": RUN}
    assert recorder.versions == {"demand": {1: VERSION}}
    assert recorder.aliases == {"demand": {"champion": 1}}
