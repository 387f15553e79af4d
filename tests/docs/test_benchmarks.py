"""Every benchmark that ``make bench`` runs is there, and is told of."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.run_all import BENCHMARKS
from benchmarks.serving.switched import SWITCHES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_a_script_and_a_row_in_the_docs(name: str) -> None:
    """Named by its path, so that a reader finds it."""
    assert find_spec(f"benchmarks.{name}") is not None
    assert f"`benchmarks/{name.replace('.', '/')}.py`" in (ROOT / "docs" / "benchmarks.md").read_text()


def test_every_script_with_a_main_is_run() -> None:
    """What is not in the list would rot."""
    scripts = {
        ".".join(path.relative_to(ROOT / "benchmarks").with_suffix("").parts)
        for path in (ROOT / "benchmarks").rglob("*.py")
        if "raise SystemExit(main(" in path.read_text()
    }
    assert scripts - {"run_all"} == set(BENCHMARKS)


@pytest.mark.parametrize("name", SWITCHES)
def test_what_a_benchmark_switches_off_has_that_name(name: str) -> None:
    """A method that was renamed would be measured as if it cost nothing."""
    module, owner, methods = SWITCHES[name]
    assert {method for method, _ in methods} <= vars(getattr(import_module(module), owner)).keys()
