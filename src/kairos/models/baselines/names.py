"""The names of baselines, for whoever reads settings: fitting one needs numpy, naming one does not."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["BASELINES", "BaselineName"]

BaselineName = Literal["constant", "last_value", "linear"]

BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)
"""All of them, the simplest first."""
