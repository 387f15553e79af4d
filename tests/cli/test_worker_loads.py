"""What a process of the server loads, which is what it weighs and how long it takes to start."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"mlflow", "pandas", "polars", "scipy", "sklearn", "sqlalchemy", "jinja2", "httpx"}


@pytest.mark.parametrize("module", ["kairos.cli.working", "kairos.cli.serving"])
def test_the_server_loads_no_table_engine_and_no_statistics(module: str) -> None:
    """A worker answers, and its supervisor supervises, without any of them; a native model may load what it needs."""
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
