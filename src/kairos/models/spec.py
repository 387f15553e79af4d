"""What a package says about its model. Plain values: reading them loads no scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kairos.errors import PackageError
from kairos.models.signature import Signature
from kairos.values import Json, parse_moment, unplain

__all__ = ["FORMAT", "InputForm", "Method", "PackageSpec", "Serialization", "TrainingForm"]

FORMAT = "1"
"""Version of the files under ``kairos/`` in a package."""

InputForm = Literal["matrix", "polars", "pandas"]
Method = Literal["predict", "predict_proba"]
Serialization = Literal["skops", "pickle", "torch", "pyfunc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """How the estimator wants its input."""

    kind: InputForm
    dtypes: dict[str, str]
    """Data type of each column of the training frame, by the frame library's own name; the signature has the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """A trained model, without its weights."""

    model: str
    target: str
    """Name of the column that is predicted."""
    time: str | None = None
    """Name of the time column; never an input."""
    entity: str | None = None
    """Name of the entity column, such as a user or a station; never an input."""
    loss: str
    """Name of the per-row loss the model is judged by, as in ``gates.losses``."""
    signature: Signature
    form: TrainingForm
    method: Method = "predict"
    """Of the estimator, that answers."""
    serialization: Serialization = "skops"
    train_until: datetime | None = None
    """Latest time in the training rows, aware UTC, if there is a time column."""
    train_rows: int
    seed: int | None = None
    baseline: float | None = None
    """The one answer that is best on the training rows, in the target's unit: what a model has to beat."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Distributions that the model needs to load, with their versions."""
    params: dict[str, Json] = field(default_factory=dict)
    """Of the model's step."""

    @classmethod
    def from_plain(cls, value: Json) -> PackageSpec:
        """Reads what ``plain`` wrote.

        Raises:
            PackageError: the value is not a spec of this format.
        """
        try:
            value = dict(unplain(value))
            until = value["train_until"]
            value["train_until"] = None if until is None else parse_moment(until)
            value["signature"] = Signature.from_plain(value["signature"])
            value["form"] = TrainingForm(kind=value["form"]["kind"], dtypes=dict(value["form"]["dtypes"]))
            return cls(**value)
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError("A model package's spec cannot be read.", given=str(error)) from error
