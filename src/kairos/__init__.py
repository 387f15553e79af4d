"""Kairos: continuous delivery of machine-learning models. These are the names a project imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kairos.pipeline.declare import model, source, step
from kairos.values import Window

if TYPE_CHECKING:
    from kairos.gates.behaviour import directional, invariant, monotone

__version__ = "0.1.0"

__all__ = ["Window", "__version__", "directional", "invariant", "model", "monotone", "source", "step"]

_CHECKS = ("directional", "invariant", "monotone")


def __getattr__(name: str) -> Any:
    """Helpers of a project's checks, loaded when first asked for: they need numpy, and a pipeline may not."""
    if name not in _CHECKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kairos.gates import behaviour

    return getattr(behaviour, name)
