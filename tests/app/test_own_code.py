"""A project's own checks and metrics are called with the modules that the project had when they were loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

from kairos.app.own_code import load_metrics, run_checks
from kairos.gates.policy import OwnMetric

CODE = """
import sys
sys.path.append(__file__.replace("own.py", "src"))

def rate(truth, answers):
    import helper, deep
    return helper.X + deep.X

def test_rate(predict, rows):
    import helper, deep
    assert helper.X + deep.X == 3, f"{helper.X} {deep.X}"
"""


def write(root: Path, number: int) -> None:
    """Two modules, one of them in ``src``."""
    (root / "src").mkdir(exist_ok=True)
    (root / "own.py").write_text(CODE)
    (root / "helper.py").write_text(f"X = {number}.0\n")
    (root / "src" / "deep.py").write_text(f"X = {2 * number}.0\n")


def test_what_a_metric_imports_late_is_of_the_moment_it_was_loaded(tmp_path: Path) -> None:
    """Two projects with modules of the same names keep theirs, and this process has none of them afterwards."""
    before = set(sys.modules), list(sys.path), list(sys.meta_path), list(sys.path_hooks)
    metrics = []
    for number in (1, 2):
        root = tmp_path / str(number)
        root.mkdir()
        write(root, number)
        metrics.append(load_metrics(root, {"rate": OwnMetric(function="own.py:rate")})["rate"])
        write(root, 100)
    empty = np.zeros(0)
    for _ in range(2):
        assert [metric(empty, empty) for metric in metrics] == [3.0, 6.0]
    assert (set(sys.modules), list(sys.path), list(sys.meta_path), list(sys.path_hooks)) == before


def test_a_check_imports_the_projects_modules_while_it_runs(tmp_path: Path) -> None:
    """It is broken by nothing but its own mistakes."""
    write(tmp_path, 1)
    (result,) = run_checks(tmp_path, "own.py", lambda rows: np.zeros(0), pl.DataFrame())
    assert (result.state, result.message) == ("passed", "")
