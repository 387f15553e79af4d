"""What a command said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Said", "TypeIn"]


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
