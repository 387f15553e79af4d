"""What a package says about its model. Plain values: reading them loads no scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kairos.errors import PackageError
from kairos.models.signature import Signature
from kairos.values import Json, parse_moment, plain, unplain

__all__ = ["FORMATS", "InputForm", "Method", "PackageSpec", "Serialization", "TrainingForm"]

FORMATS = ("1", "2", "3")
"""Versions of the files under ``kairos/`` in a package: of one number a row; of several, or of arrays; of arrays that
differ in length."""

InputForm = Literal["matrix", "array", "polars", "pandas"]
Method = Literal["predict", "predict_proba"]
Serialization = Literal["skops", "pickle", "torch", "pyfunc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingForm:
    """How the estimator wants its input."""

    kind: InputForm
    dtypes: dict[str, str]
    """Data type of each column of the training frame, by the frame library's own name; the signature has the order.

    Where an estimator learnt from arrays, of each number, by the names of ``spread.number_names``.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSpec:
    """A trained model, without its weights."""

    model: str
    target: str
    """Name of the column that is predicted; of several the first."""
    targets: tuple[str, ...] = ()
    """Names of all columns that are predicted, if there are several."""
    time: str | None = None
    """Name of the time column; never an input."""
    entity: str | None = None
    """Name of the entity column, such as a user or a station; never an input."""
    rank_within: str | None = None
    """Name of the column whose rows are ranked against each other where they are alike; never an input."""
    item: str | None = None
    """Name of the column that says which thing a row of a list is, such as a film; never an input."""
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
    baselines: tuple[float, ...] = ()
    """The same of each number of a model that gives several."""
    libraries: dict[str, str] = field(default_factory=dict)
    """Distributions that the model needs to load, with their versions."""
    params: dict[str, Json] = field(default_factory=dict)
    """Of the model's step."""

    @property
    def goals(self) -> tuple[str, ...]:
        """Names of all columns that are predicted."""
        return self.targets or (self.target,)

    @property
    def format(self) -> str:
        """Which version of the files holds it."""
        if any(column.is_free for column in self.signature.columns):
            return FORMATS[2]
        has_arrays = any(column.shape for column in self.signature.columns)
        return FORMATS[1] if self.signature.outputs or has_arrays else FORMATS[0]

    def plain(self) -> dict[str, Json]:
        """The spec as JSON; of one number a row as it has always been written."""
        value: dict[str, Json] = plain(self)
        if not self.signature.outputs:
            for name in ("targets", "baselines"):
                del value[name]
            del value["signature"]["outputs"]
        for column in value["signature"]["columns"]:
            if not column["shape"]:
                del column["shape"], column["is_whole"]
            if not column["seen"]:
                del column["seen"], column["taken"]
        for name in ("rank_within", "item"):
            if value[name] is None:
                del value[name]
        return {"format": self.format, **value}

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
            value.pop("format", None)
            for name in ("targets", "baselines"):
                value[name] = tuple(value.get(name, ()))
            value["signature"] = Signature.from_plain(value["signature"])
            value["form"] = TrainingForm(kind=value["form"]["kind"], dtypes=dict(value["form"]["dtypes"]))
            return cls(**value)
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError("A model package's spec cannot be read.", given=str(error)) from error
