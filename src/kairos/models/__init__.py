"""Model packages: signature, training profile, MLflow-readable folder, and runners that predict from plain arrays."""

from __future__ import annotations
