"""Kairos: continuous delivery of machine-learning models. These are the names a project imports."""

from __future__ import annotations

from kairos.pipeline.declare import model, source, step
from kairos.values import Window

__version__ = "0.1.0"

__all__ = ["Window", "__version__", "model", "source", "step"]
