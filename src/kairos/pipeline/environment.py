"""Which distributions a run was made with: their names and versions, and Python's own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from kairos.values import Json, canonical_json

__all__ = ["Environment", "environment"]

_INFO = re.compile(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A lock: all distributions that could be imported, whether a step uses them or not."""

    python: str
    platform: str
    """As wheels are named: ``linux-x86_64``."""
    distributions: Mapping[str, str]
    """Name (lower case, dashes) to version; sorted."""

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"python": self.python, "platform": self.platform, "distributions": dict(self.distributions)}

    def data(self) -> bytes:
        """The same as bytes that are equal for equal environments."""
        return canonical_json(self.plain())

    @classmethod
    def from_plain(cls, plain: Mapping[str, Json]) -> Environment:
        """Undoes ``plain``."""
        return cls(**plain)


def environment() -> Environment:
    """What this interpreter can import now.

    Read from the names of the folders that installers leave, which takes a millisecond; opening each takes a tenth of
    a second.
    """
    found: dict[str, str] = {}
    for folder in reversed(sys.path):  # what comes first is what is imported
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            match = _INFO.fullmatch(name)
            if match is not None:
                found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return Environment(
        python=".".join(map(str, sys.version_info[:3])),
        platform=f"{sys.platform}-{os.uname().machine}",
        distributions=dict(sorted(found.items())),
    )
