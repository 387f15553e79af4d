"""The environment in which other people's clients live."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-clients/bin/python"


def run_client(
    *words: str, text: bool = True, timeout_s: float = 280, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[Any]:
    """Runs that environment's Python in a folder; a missing environment fails the test."""
    if not PYTHON.is_file():
        pytest.fail("There are no clients: .venv-clients is missing. Type: make clients", pytrace=False)
    return subprocess.run(
        [PYTHON, *words],
        capture_output=True,
        text=text,
        timeout=timeout_s,
        check=False,
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables,
    )
