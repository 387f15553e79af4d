"""The fixture for a project's own tests: steps together, on small inputs, in the test's own process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import polars as pl
import pytest

from kairos.errors import StepFailed, UsageError
from kairos.examples import copy_example
from kairos.testing import PipelineUnderTest, pipeline_under_test

__all__ = ["pipeline_under_test"]

TEXT = """
from __future__ import annotations
import os
from typing import NamedTuple
from kairos import Window, source, step
import own

class Parts(NamedTuple):
    low: list
    high: list

@source
def rows(window: Window) -> list:
    raise RuntimeError("the database is not here")

@step
def parts(rows: list, *, least: int = 3) -> Parts:
    return Parts([r for r in rows if r < least], [r for r in rows if r >= least])

@step
def count(low: list, high: list) -> list:
    return [len(low), len(high), own.NAME, os.getpid()]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose source cannot be reached."""
    (tmp_path / "pipeline.py").write_text(TEXT)
    (tmp_path / "own.py").write_text("NAME = 'own'")
    return tmp_path


def test_what_is_given_stands_for_what_a_step_gives(root: Path, pipeline_under_test: PipelineUnderTest) -> None:
    """Only what comes after it is called, here; the process is left as it was."""
    before = (os.getcwd(), list(sys.path), list(sys.meta_path))
    found = pipeline_under_test.run(root, given={"rows": [1, 2, 3, 4]}, params={"parts": {"least": 2}})
    assert found["count"] == [1, 3, "own", os.getpid()]
    assert found["parts.high"] == [2, 3, 4]
    assert (os.getcwd(), list(sys.path), list(sys.meta_path)) == before
    assert "own" not in sys.modules
    (root / "own.py").write_text("NAME = 'new'")
    assert pipeline_under_test.run(root, given={"low": [1], "high": []}, params={})["count"][:3] == [1, 0, "new"]
    assert sorted(path.name for path in root.iterdir()) == ["own.py", "pipeline.py"]


def test_a_failing_step_fails_the_test_with_its_own_error(root: Path, pipeline_under_test: PipelineUnderTest) -> None:
    """As the cause, with its own line; what is given in part or misspelt is refused."""
    with pytest.raises(StepFailed, match=r"pipeline\.py, line 14.*the database is not here") as failed:
        pipeline_under_test.run(root, "count")
    assert isinstance(failed.value.__cause__, RuntimeError)
    with pytest.raises(UsageError, match="Step 'parts' is given in part"):
        pipeline_under_test.run(root, "count", given={"low": [1]})
    with pytest.raises(UsageError, match=r"'row' names no artifact.*Did you mean 'rows'"):
        pipeline_under_test.run(root, given={"row": [1]})


def test_steps_of_the_example_are_tested_on_a_few_rows(tmp_path: Path, pipeline_under_test: PipelineUnderTest) -> None:
    """Alone as plain functions they would be as well; here with the split behind them."""
    project = copy_example("bikes", tmp_path / "bikes")
    rentals = pipeline_under_test.run(project, "rentals", window="2011-01-03..2011-02-06")["rentals"]
    assert isinstance(rentals, pl.DataFrame)
    found = pipeline_under_test.run(project, "split", given={"rentals": rentals}, params={"split": {"holdout_days": 7}})
    assert 0 < len(found["split.holdout"]) <= 7 * 24
