"""What a rollout is decided from, gathered from the server's counters and the prediction log."""

from __future__ import annotations

from kairos.monitor.rollout.evidence import count, gather, loss_path

__all__ = ["count", "gather", "loss_path"]
