"""Outsiders subclass a contract for their own implementation; a broken promise is found, and the others pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SUITE = '''
import numpy as np
import pytest

from kairos.ledger import SqliteLedger
from kairos.testing import LedgerContract, MemoryRecorder, RecorderContract, RunnerContract


class Doubles:
    """A runner, and a correct one."""

    def predict(self, columns):
        return 2.0 * columns["hour"]


class Careless(Doubles):
    """It uses its input as scratch paper."""

    def predict(self, columns):
        columns["hour"] *= 2.0
        return columns["hour"]


class Forgetful(SqliteLedger):
    """It does not look whether somebody else has written."""

    def append(self, kind, *, expect=None, **fact):
        return super().append(kind, **fact)


class Lenient(MemoryRecorder):
    """It takes any number."""

    def record_version(self, record):
        self.versions.setdefault(record.model, {})[record.number] = record


class Rows:
    @pytest.fixture
    def columns(self):
        return {"hour": np.arange(12.0), "day": np.arange(12.0)}


class TestDoubles(Rows, RunnerContract):
    @pytest.fixture
    def runner(self):
        return Doubles()


class TestCareless(Rows, RunnerContract):
    @pytest.fixture
    def runner(self):
        return Careless()


class TestForgetful(LedgerContract):
    @pytest.fixture
    def open_ledger(self, tmp_path):
        return lambda: Forgetful(tmp_path / "ledger.db")


class TestLenient(RecorderContract):
    @pytest.fixture
    def place(self):
        recorder = Lenient()

        class Place:
            def open(self):
                return recorder

            def runs(self):
                return {run: record.status for run, record in recorder.runs.items()}

            def versions(self, model):
                return {number: record.package for number, record in recorder.versions.get(model, {}).items()}

            def aliases(self, model):
                return recorder.aliases.get(model, {})

        return Place()
'''


def test_a_broken_promise_is_found_and_shown(tmp_path: Path) -> None:
    """By the test that states it; its values are shown, as in a suite of one's own."""
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    failed = set(re.findall(r"^FAILED test_mine\.py::(\w+::\w+)", done.stdout, re.MULTILINE))
    assert {name for name in failed if not name.startswith("TestCareless")} == {
        "TestForgetful::test_a_decision_on_old_facts_is_refused",
        "TestLenient::test_a_version_without_its_run_is_refused",
        "TestLenient::test_a_number_that_is_not_the_versions_own_is_refused",
    }, done.stdout
    assert "TestCareless::test_it_leaves_its_input_alone" in failed
    assert "error" not in done.stdout.splitlines()[-1]
    assert "DID NOT RAISE" in done.stdout
