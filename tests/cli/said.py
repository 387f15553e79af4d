"""What a command said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kairos.cli import main

__all__ = ["Said", "TypeIn", "typed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with ``--json``."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The one JSON object that it printed to stderr."""
        return json.loads(self.err)["error"]


TypeIn = Callable[..., Said]
"""``type_in(folder, *words)``."""


def typed(folder: Path, *words: str) -> Said:
    """Types a command in this process, which is quicker than one of its own."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = main(["-C", str(folder), *words])
        except SystemExit as stop:  # argparse's own
            code = int(stop.code or 0)
    return Said(code=code, out=out.getvalue(), err=err.getvalue())
