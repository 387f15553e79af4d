"""One served answer and one late truth, as values and as rows of a table.

A truth names the prediction that it is about, or, where nobody keeps prediction ids, the entity and the time, or the
list and the item of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from kairos.errors import UsageError
from kairos.values import MODEL_NAMES, is_model_name

__all__ = [
    "DROPPED",
    "INPUT_PREFIX",
    "OUTPUT_PREFIX",
    "TRUTH_PREFIX",
    "EntityLabel",
    "Label",
    "Prediction",
    "Record",
    "check_moment",
]

DROPPED = ""
"""A key that says only that there was one."""

INPUT_PREFIX = "in."
"""What the name of an input's column starts with."""

OUTPUT_PREFIX = "output."
"""The same of one of several outputs."""

TRUTH_PREFIX = "label."
"""The same of the truth of one of several targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One answer of one version. In shadow and canary both versions predict, so an ``id`` may have a row for each."""

    id: str
    at: datetime
    """When the request came in; aware, kept to the microsecond."""
    model: str
    version: int
    role: Literal["champion", "challenger", "previous", "batch"]
    answered: bool
    """Whether the user got this version's answer."""
    share: float
    """The challenger's share of requests at that time, in [0, 1]."""
    key: str | None = None
    """The entity that the request was routed by, or its pseudonym; ``DROPPED`` if the capture policy does not keep it.

    ``None`` if the request named no entity.
    """
    inputs: dict[str, float | int | str | bool | list[float] | None]
    """What the capture policy let through; of an array its numbers in a row."""
    raw: float | None
    """The model's own output; ``None`` if it gave none."""
    output: float | None
    """What left after the output guard; ``None`` if nothing did."""
    violation: str | None = None
    """How ``raw`` broke the model's output range."""
    action: str | None = None
    """What the guard did about it: ``clip``, ``flag``, ``fallback`` or ``refuse``."""
    error: str | None = None
    """The error's code if the version failed."""
    latency_us: int
    """Time the version took, in microseconds."""
    about: datetime | None = None
    """The time that the prediction is about, such as the hour forecast, aware; ``None`` if the request named none."""
    told: dict[str, float | int | str | bool | None] = field(default_factory=dict)
    """What left of an answer of several outputs, by name; ``raw`` and ``output`` are then its lead."""
    list_key: str | None = None
    """The list in which it was ranked, as the log keeps it; ``None``: the model ranks nothing."""
    item_key: str | None = None
    """Which thing of that list it is, as the log keeps it; ``None``: nobody said it."""

    def __post_init__(self) -> None:
        check_moment("prediction", self.id, self.at)
        if self.about is not None:
            check_moment("prediction", self.id, self.about)
        if not is_model_name(self.model):
            raise UsageError(
                "A prediction's model cannot be the name of a folder.",
                given=self.model,
                accepted=MODEL_NAMES,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The truth about one prediction, or about one target of it: of several each has a label, and may come alone."""

    prediction_id: str
    value: float
    """NaN where the truth is the name of a class."""
    at: datetime
    """When the label arrived; aware, kept to the microsecond."""
    target: str | None = None
    """Which of several; ``None``: there is one."""
    text: str | None = None
    """The name of the class, if classes have names."""

    def __post_init__(self) -> None:
        if not isinstance(self.prediction_id, str):
            raise UsageError("A label names no prediction.", given=self.prediction_id, accepted="an id as text")
        check_moment("label", self.prediction_id, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLabel:
    """The truth about one entity at one time; which predictions it is about is found when the log is read."""

    model: str
    key: str | None
    """The entity as the log keeps it, so its pseudonym where pseudonyms are kept; ``None`` if requests name none."""
    about: datetime | None
    """The time that the truth is about; aware, kept to the microsecond; ``None``: it names a list instead."""
    value: float
    at: datetime
    """When the label arrived; aware, kept to the microsecond."""
    within_s: float = 0.0
    """A prediction of this entity is meant if its time is at most this far away, and only one time is."""
    target: str | None = None
    text: str | None = None
    list_key: str | None = None
    """The list that it is about, as the log keeps it, in place of entity and time."""
    item_key: str | None = None
    """Which thing of a list; ``None``: the model ranks nothing."""

    def __post_init__(self) -> None:
        name = f"{self.model} {self.key}"
        check_moment("label", name, self.at)
        if self.about is not None:
            check_moment("label", name, self.about)
        if not is_model_name(self.model) or self.key == DROPPED or not self.within_s >= 0:
            raise UsageError("A label names no entity of a model.", given=name, accepted="a model and an entity's key")
        if self.about is None and None in (self.list_key, self.item_key):
            raise UsageError("A label says no time.", given=name, accepted="a time, or a list and an item of it")


def check_moment(what: str, name: str, at: datetime) -> None:
    """Refuses a time that says no zone.

    Raises:
        UsageError: it does not.
    """
    if at.tzinfo is None:
        raise UsageError(f"The {what} {name!r} has a time without a zone.", given=at, accepted="an aware datetime")


Record = Prediction | Label | EntityLabel
"""What a spool holds."""
