"""By how much a model beats the simple models that its run trained beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kairos.errors import LedgerError
from kairos.values import Json, unplain

__all__ = ["Beaten", "Beating", "beatings_of", "is_baseline_metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beaten:
    """One baseline beside the model, on the rows held out."""

    name: str
    loss: float
    """Its mean loss."""
    difference: float
    """Its mean loss less the model's: above 0 the model is better."""
    lower: float
    """The true difference is between these two with the chance that ``Beating`` names; infinite: too few rows."""
    upper: float

    @property
    def verdict(self) -> Literal["beats", "no difference", "worse", "unknown"]:
        """Of the model: ``no difference`` that chance would not make; ``unknown``: too few rows to tell."""
        if not math.isfinite(self.lower + self.upper):
            return "unknown"
        if self.lower <= 0 <= self.upper:
            return "no difference"
        return "beats" if self.difference > 0 else "worse"

    @property
    def sentence(self) -> str:
        """What a person is told.

        >>> Beaten(name="linear", loss=53.0, difference=12.3, lower=10.1, upper=14.6).sentence
        'beats linear (53) by 12.3 [10.1, 14.6], 23 %'
        """
        whose = f"{self.name.replace('_', ' ')} ({self.loss:.4g})"
        by = f"{abs(self.difference):.3g}"
        if self.verdict == "unknown":
            return f"cannot be told apart from {whose}: {self.difference:.3g} better, on too few rows for an interval"
        if self.verdict == "no difference":
            held = f"{self.difference:.3g} [{self.lower:.3g}, {self.upper:.3g}]"
            return f"does not beat {whose} by more than chance would make: {held}"
        if self.verdict == "worse":
            return f"is worse than {whose} by {by} [{-self.upper:.3g}, {-self.lower:.3g}]"
        share = f", {self.difference / self.loss:.0%}".replace("%", " %") if self.loss > 0 else ""
        return f"beats {whose} by {by} [{self.lower:.3g}, {self.upper:.3g}]{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beating:
    """A model and its baselines on the rows that its run held out."""

    loss: str
    """Name of the loss they are judged by."""
    rows: int
    own: float
    """The model's mean loss."""
    lower: float
    """Its true mean loss is between these two with chance ``level``; infinite: too few rows."""
    upper: float
    level: float = 0.95
    """Of each interval by itself."""
    dependence: str = "independent"
    """What was reckoned with: rows near in time, or of one entity, are alike."""
    chosen: str | None = None
    """The best on rows of training, which headlines; never chosen on the rows held out."""
    compared: tuple[Beaten, ...] = ()
    """The chosen one first."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Baselines that do not apply, and why."""

    @property
    def own_sentence(self) -> str:
        """The model's own mean loss with its interval."""
        if not math.isfinite(self.lower + self.upper):
            return f"{self.own:.4g}, on too few rows for an interval"
        return f"{self.own:.4g} [{self.lower:.4g}, {self.upper:.4g}]"

    def sentences(self) -> Iterator[str]:
        """What a person is told: a sentence for each baseline, and one for each that does not apply."""
        for each in self.compared:
            yield each.sentence
        for name, why in self.left_out.items():
            yield f"was not compared with {name.replace('_', ' ')}: {why}"

    @classmethod
    def from_plain(cls, value: Json) -> Beating:
        """Reads what ``plain`` of ``values`` wrote.

        Raises:
            LedgerError: the value is no such thing.
        """
        try:
            value = dict(unplain(value))
            compared = tuple(Beaten(**each) for each in value.pop("compared"))
            return cls(**value, compared=compared)
        except (KeyError, TypeError, AttributeError) as error:
            raise LedgerError("What a run tells of its baselines cannot be read.", given=str(error)) from error


def beatings_of(run: Mapping[str, Json]) -> dict[str, Beating]:
    """Of each model in the body of a run's fact; empty of an older run, which had none."""
    return {model: Beating.from_plain(each) for model, each in (run.get("baselines") or {}).items()}


def is_baseline_metric(name: str) -> bool:
    """Whether a metric of a run is a baseline's and not a model's.

    >>> [is_baseline_metric(f"demand.absolute_error{end}") for end in ("", ".baseline", ".baseline.linear", ".h1")]
    [False, True, True, False]
    """
    return name.endswith(".baseline") or ".baseline." in name
