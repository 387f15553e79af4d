"""Kairos: continuous delivery of machine-learning models. These are the names a project imports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kairos.gates.behaviour import directional, invariant, monotone
    from kairos.pipeline.asof import as_of_join
    from kairos.pipeline.declare import model, source, step
    from kairos.pipeline.origins.declared import Delta, Dlt, Files, Http, Iceberg, Sql
    from kairos.pipeline.origins.rows import Rows
    from kairos.pipeline.ranges import Between
    from kairos.pipeline.reporting import report
    from kairos.values import Window

__version__ = "0.1.0"

__all__ = [
    "Between",
    "Delta",
    "Dlt",
    "Files",
    "Http",
    "Iceberg",
    "Rows",
    "Sql",
    "Window",
    "__version__",
    "as_of_join",
    "directional",
    "invariant",
    "model",
    "monotone",
    "report",
    "source",
    "step",
]

_LATE = {
    "Between": "kairos.pipeline.ranges",
    "Delta": "kairos.pipeline.origins.declared",
    "Dlt": "kairos.pipeline.origins.declared",
    "Files": "kairos.pipeline.origins.declared",
    "Http": "kairos.pipeline.origins.declared",
    "Iceberg": "kairos.pipeline.origins.declared",
    "Rows": "kairos.pipeline.origins.rows",
    "Sql": "kairos.pipeline.origins.declared",
    "Window": "kairos.values",
    "as_of_join": "kairos.pipeline.asof",
    "directional": "kairos.gates.behaviour",
    "invariant": "kairos.gates.behaviour",
    "model": "kairos.pipeline.declare",
    "monotone": "kairos.gates.behaviour",
    "report": "kairos.pipeline.reporting",
    "source": "kairos.pipeline.declare",
    "step": "kairos.pipeline.declare",
}


def __getattr__(name: str) -> Any:
    """The names, each loaded when first asked for: a command needs few, and some need numpy or Polars."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATE[name]), name)
