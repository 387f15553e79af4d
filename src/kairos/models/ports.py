"""What this room needs from others, and what others may implement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kairos.values import Json

__all__ = ["FinishRequest", "Runner", "Signer"]


class Runner(Protocol):
    """Predicts; safe to call from several threads at once.

    One that has ``is_bounded`` set promises that a call cannot hang: it does a number of operations that depends on the
    number of rows alone, and runs no code of the user's.
    """

    def predict(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """Returns one number a row, shape (n,), float64; of a model of several outputs shape (n, numbers).

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
    def targets(self) -> Sequence[str]:
        """Names of all target columns, if the decorator names several."""
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


class Signer(Protocol):
    """Signs the files of a folder with a key, and tells whether a signature holds."""

    def sign(self, folder: Path, key: Path, *, password: str | None = None) -> bytes:
        """Returns the signature of every file.

        Raises:
            UsageError: the private key cannot be used.
        """
        ...

    def verify(self, folder: Path, signature: bytes, key: Path) -> None:
        """Returns if the public key's owner signed every file as it is, and no other file is there.

        Raises:
            UsageError: the public key cannot be used.
            PackageError: it does not hold; a file that differs is named.
        """
        ...

    def name_of(self, key: Path) -> str:
        """The SHA-256 of a public key, in hexadecimals.

        Raises:
            UsageError: it cannot be read.
        """
        ...
