"""Asks another library for its answer: a few lines of Python, run where that library is installed.

The libraries live in ``.venv-oracles`` (``make oracles``), apart from ours, because some need other versions of what
Kairos uses. A program finds what it was given as variables, and leaves its result in ``answer``; both travel as JSON,
which keeps every bit of a float.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

__all__ = ["ask"]

PYTHON = Path(__file__).parents[2] / ".venv-oracles/bin/python"

_FRAME = """
import json, sys
import numpy as np
globals().update(json.load(sys.stdin))
{program}
json.dump(answer, sys.stdout, default=lambda value: value.tolist())
"""


def ask(program: str, **given: Any) -> Any:
    """Runs a program in the environment of the oracles and returns what it left in ``answer``.

    Args:
        program: Python, indented as suits the test; ``np`` is there, and everything in ``given`` under its name.
        **given: Numbers, texts, and lists of them; arrays become lists.

    A missing environment fails the test: a second opinion that was not heard is no opinion.
    """
    if not PYTHON.is_file():
        pytest.fail("There are no oracles to ask: .venv-oracles is missing. Type: make oracles", pytrace=False)
    done = subprocess.run(
        [PYTHON, "-c", _FRAME.format(program=dedent(program))],
        input=json.dumps(given, default=lambda value: value.tolist()),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        pytest.fail(f"The oracle's program failed:\n{done.stderr[-2000:]}", pytrace=False)
    return json.loads(done.stdout.splitlines()[-1])
