"""What a report shows, as plain values: no file, no table and no clock is needed to draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from kairos.values import Verdict, Window

__all__ = ["DayPoint", "DecisionLine", "GateLine", "HourPoint", "PolicyLine", "Story"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPoint:
    """One day, in UTC. What is not known is ``None``: a day without traffic, a version too young to judge."""

    day: date
    kairos_loss: float | None
    """Mean loss of what the server answered that day, by the model's own loss; lower is better."""
    never_loss: float | None
    """The same, had the first version stayed for ever."""
    weekly_loss: float | None
    """The same, had a new version been trained and deployed every week."""
    version: int | None
    """The version that answered most of the day's requests."""
    drift: float | None
    """The largest population stability index (PSI) among the inputs, 0 or more."""
    drift_column: str | None
    """The input that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPoint:
    """One answer, and the truth that became known later, both in the unit of the target."""

    at: datetime
    prediction: float
    truth: float
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLine:
    """One fact of the ledger, in a sentence."""

    at: datetime
    kind: str
    """``retrain``, ``gate``, ``stage``, ``finding``, or another word of a few letters."""
    subject: str
    """What it is about: ``demand@3``, or ``demand``."""
    verdict: Verdict | None
    stage: str | None = None
    """For the kind ``stage``: where the version stands now, such as ``live`` or ``rolled_back``."""
    sentence: str
    actor: str
    seq: int
    entry_hash: str
    words: tuple[str, str] | None = None
    """The same in two sentences that need no statistics, where something was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """What a gate saw of one version, in percent of the other's value; above 0 is better."""

    at: datetime
    version: str
    """``demand@7``."""
    verdict: Verdict
    n: int
    """Fresh rows."""
    difference: float
    lower: float
    upper: float
    margin: float
    """How much worse still counted as not worse, 0 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLine:
    """One way to decide when to change the live model, and what it led to."""

    name: str
    loss: float
    """The mean of the model's own loss; lower is better."""
    deployments: int
    impossible_predictions: int
    """Answers outside the possible range that left the server."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to one model over a span of time, and what would have happened under other policies."""

    project: str
    title: str
    span: Window
    seed: int
    unit: str = "units of the target"
    """What is predicted, for the axes: ``users per hour``."""
    loss: str = "mean absolute error"
    """What the figures are means of, for people."""
    loss_unit: str = "units of the target"
    """Its unit; empty: it has none."""
    days: tuple[DayPoint, ...]
    """In the order of time."""
    hours: tuple[HourPoint, ...]
    """A few chosen stretches, in the order of time; a gap of more than a day begins a new stretch."""
    decisions: tuple[DecisionLine, ...]
    """In the order of the ledger."""
    gates: tuple[GateLine, ...] = ()
    """Verdicts with an interval, in the order of the ledger."""
    policies: tuple[PolicyLine, ...]
    """Kairos first."""
    places: Mapping[str, str] = field(default_factory=dict)
    """What can be found where: a name, and a path relative to the project."""
    ledger_head: int
    """``seq`` of the last entry."""
    ledger_hash: str
    """Its hash, which stands for all entries before it."""
    footnotes: tuple[str, ...] = ()
    """What these figures do not show."""

    @property
    def measured_in(self) -> str:
        """The loss with its unit: ``mean squared error, users per hour, squared``."""
        return f"{self.loss}, {self.loss_unit}" if self.loss_unit else self.loss
