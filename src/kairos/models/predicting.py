"""What MLflow calls to load an object that is no model of its own, and only has ``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle


def _load_pyfunc(path: str) -> Any:
    return cloudpickle.loads(Path(path).read_bytes())  # whoever calls this has leave to run code
