"""What others may implement: a runner predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["Runner"]


class Runner(Protocol):
    """Predicts; safe to call from several threads at once."""

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64.

        Args:
            columns: One array of shape (n,) a column, as ``Signature.parse_rows`` gives them.
        """
        ...
