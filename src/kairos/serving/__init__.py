"""The model server: HTTP and JSON in and out, live, shadow and canary as a list of layers, every prediction captured.

Names are imported from the files that define them (``kairos.serving.app``, ``kairos.serving.server``, ...): they need
numpy and Starlette. What is re-exported here needs neither.
"""

from __future__ import annotations

from kairos.serving.guard import GuardAction, Judged, OutputGuard
from kairos.serving.sticky import is_in_share, prediction_id

__all__ = ["GuardAction", "Judged", "OutputGuard", "is_in_share", "prediction_id"]
