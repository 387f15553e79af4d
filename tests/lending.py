"""Worker processes that the projects of many tests share: new ones load libraries for seconds before they work."""

from __future__ import annotations

from functools import cached_property

import pytest

from kairos.app.project import Project
from kairos.pipeline.engine.local import LocalEngine

__all__ = ["lend"]


def lend(engine: LocalEngine, patch: pytest.MonkeyPatch) -> None:
    """Every project that is not given an engine has this one, and does not close it."""
    lent = cached_property[LocalEngine](lambda project: engine)
    lent.__set_name__(Project, "engine")
    patch.setattr(Project, "engine", lent)
