"""What this room needs from others, and what others may implement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kairos.values import Json

__all__ = ["FinishRequest", "Runner"]


class Runner(Protocol):
    """Predicts; safe to call from several threads at once.

    One that has ``is_bounded`` set promises that a call cannot hang: it does a number of operations that depends on the
    number of rows alone, and runs no code of the user's.
    """

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64.

        Args:
            columns: One array of shape (n,) a column, as ``Signature.parse_rows`` gives them.
        """
        ...


class FinishRequest(Protocol):
    """What a ``@model`` step gave, and where to write its package. The pipeline room has such a value."""

    @property
    def step(self) -> str:
        """The step's name."""
        ...

    @property
    def returned(self) -> object:
        """What the step's function returned: an estimator, fitted or not."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The step's inputs by name; one of them is the training table."""
        ...

    @property
    def target(self) -> str | None:
        """Name of the target column, from the decorator."""
        ...

    @property
    def drop(self) -> Sequence[str]:
        """Columns that are not features, from the decorator."""
        ...

    @property
    def params(self) -> Mapping[str, Json]:
        """Of the step."""
        ...

    @property
    def seed(self) -> int | None:
        """Of the step."""
        ...

    @property
    def lineage(self) -> Mapping[str, Json]:
        """Step fingerprints and input digests."""
        ...

    @property
    def workdir(self) -> Path:
        """An empty folder of this step's own."""
        ...

    @property
    def given(self) -> Mapping[str, Any]:
        """The step's inputs as the pipeline gave them, before any were changed."""
        ...

    @property
    def also(self) -> Mapping[str, Any]:
        """Artifacts that were asked for beside them, by full name."""
        ...
