"""What a rollout is decided from, gathered from the server's counters and the prediction log."""

from __future__ import annotations

from kairos.monitor.rollout.evidence import count, gather

__all__ = ["count", "gather"]
