"""Watches the live model: impossible values, drift of inputs and predictions, prediction bias, quality by late labels.

Checks are functions from values to findings; ``kairos.monitor.watch`` feeds them from the prediction log. Modules that
need numpy or polars are imported by name, so that importing this package stays cheap.
"""

from __future__ import annotations

from kairos.monitor.findings import Check, Finding, Level, worst_level

__all__ = ["Check", "Finding", "Level", "worst_level"]
