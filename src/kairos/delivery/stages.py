"""The stages that a version may stand in. By themselves: settings name them, and load nothing else of this room."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["LOOP", "MEETS_TRAFFIC", "STAGES", "Stage"]

LOOP = "kairos"
"""The actor of what the loop does; no person."""

Stage = Literal["registered", "shadow", "canary", "live", "retired", "rejected", "rolled_back"]
"""Where a version stands."""

STAGES: tuple[Stage, ...] = get_args(Stage)

MEETS_TRAFFIC = ("shadow", "canary", "live")
