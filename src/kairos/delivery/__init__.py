"""Delivery: versions and their stages, the rollout, when to retrain. Deciding is apart from doing."""

from __future__ import annotations

from kairos.delivery.state import DeliveryState, Live, ModelState, Route, Stage, VersionState

__all__ = ["DeliveryState", "Live", "ModelState", "Route", "Stage", "VersionState"]
