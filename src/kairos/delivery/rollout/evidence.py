"""What a rollout is decided from: counts and bounds of two versions on the same live requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from kairos.values import Json, parse_duration, parse_moment, unplain

__all__ = ["Guard", "LabelFree", "PairedLoss", "RolloutEvidence", "Scheme", "Valued"]

Scheme = Literal["pairs", "shares", "cap"]
"""How a bad event speaks: on requests that both predicted, by who was asked, or against a stated rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLoss:
    """Losses of both versions on the same matured requests; differences are challenger minus champion."""

    pairs: int
    champion_mean: float
    challenger_mean: float
    lower: float
    """Confidence sequence for the mean difference, lower end."""
    upper: float
    """Confidence sequence for the mean difference, upper end; one-sided at ``alpha``."""
    harm_log_e: float
    """Natural log of the e-process against "the challenger is never worse"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """One kind of bad event, in counts that add up over processes and steps."""

    name: str
    what: str = "bad events"
    """The same for people, in the plural."""
    by: tuple[Scheme, ...] = ("pairs", "shares")
    """What counts as evidence of it; fixed beforehand."""
    pairs: tuple[int, int] = (0, 0)
    """Requests that both predicted and on which only the challenger, or only the champion, had such an event."""
    asked: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Bad events of the version that was asked first, ``(challenger's, champion's)`` by the challenger's design share,
    written as text, so that the evidence has one JSON form."""
    own: tuple[int, int] = (0, 0)
    """The challenger's bad events and the predictions that they are among; of slowness, those on a request's way."""
    aside: tuple[int, int] = (0, 0)
    """Of slowness: the same for predictions after the answer, in another thread. They take nobody back."""
    reference: float = 0.0
    """The rate of such events that was known before the rollout."""
    cap: float | None = None
    """A rate that the owner does not tolerate, whatever the champion does."""

    @classmethod
    def from_plain(cls, value: Json) -> Guard:
        """Undoes ``plain``."""
        known: dict[str, Any] = {f.name: value[f.name] for f in fields(cls)}
        known["by"] = tuple(value["by"])
        known |= {name: tuple(value[name]) for name in ("pairs", "own", "aside")}
        known["asked"] = {share: tuple(pair) for share, pair in value["asked"].items()}
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Valued:
    """What requests were worth afterwards, in sums that add up over processes and steps.

    All by the challenger's design share, written as text, ``(challenger's, champion's)``.
    """

    name: str
    reach: float | None = None
    """Length of the range in which the servers kept the values; ``None``: they have none."""
    events: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Requests with a value; of an entity the first one only."""
    totals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Sums of the values without their signs."""
    squares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Sums of the squares of the values."""
    clipped: int = 0
    """Values that lay outside the range, and count as its nearer end."""

    @classmethod
    def from_plain(cls, value: Json) -> Valued:
        """Undoes ``plain``."""
        known: dict[str, Any] = {f.name: value[f.name] for f in fields(cls)}
        for name in ("events", "totals", "sizes", "squares"):
            known[name] = {share: tuple(pair) for share, pair in value[name].items()}
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFree:
    """How alike two versions are, before any label: for people, nothing is decided by it."""

    pairs: int
    """Requests that both predicted."""
    agreement: float
    """Part of them on which the two outputs differ by at most ``within``."""
    within: float
    """In the unit of the output: a tenth of the standard deviation of the champion's predictions."""
    psi: float
    """Population stability index of the challenger's outputs against the champion's, 0 or more."""
    psi_lower: float
    psi_upper: float
    """Bounds for it, each at 5 %."""
    slower: float
    """Part of the pairs on which the challenger took longer."""
    latency_ratio: float
    """Median, over pairs, of the challenger's time divided by the champion's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvidence:
    """Everything a rollout decision is made from."""

    as_of: datetime
    since: datetime
    """When the challenger came to its stage."""
    on_trial_since: datetime | None = None
    """When live traffic first reached it; ``None``: when it came to its stage."""
    is_overdue: bool = False
    """Whether it waits for a person, because a stage took too long."""
    loss: PairedLoss | None
    """``None`` while no request has both predictions and a matured label."""
    labels_after: timedelta = timedelta(0)
    """A UTC day's labels count once this long has passed since its end."""
    share_labelled: float = 1.0
    """The part of the requests that ever get a label."""
    guards: tuple[Guard, ...] = ()
    values: tuple[Valued, ...] = ()
    requests: int = 0
    """Requests since the trial began, of a batch one."""
    pairs: int = 0
    """Of them, predicted by both."""
    asked: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Requests by who was asked first, ``(challenger, champion)`` by the challenger's design share as text."""
    split_log_e: float = 0.0
    """Natural log of the e-value against "requests were split as designed"."""
    label_free: LabelFree | None = None
    unusable: str | None = None
    """Why the challenger cannot be used at all (it does not load, it answers NaN), or ``None``."""

    @property
    def canary_requests(self) -> int:
        """Requests that the challenger was asked for itself, while the champion answered others."""
        return sum(challenger for challenger, _ in self.asked.values())

    @property
    def requests_per_day(self) -> float:
        """The traffic since the trial began; 0 in its first moment."""
        length = self.as_of - (self.on_trial_since or self.since)
        return self.requests / (length / timedelta(days=1)) if length > timedelta(0) else 0.0

    @classmethod
    def from_plain(cls, value: Json) -> RolloutEvidence:
        """Undoes ``plain``."""
        value = unplain(value)
        known: dict[str, Any] = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        known["as_of"], known["since"] = parse_moment(value["as_of"]), parse_moment(value["since"])
        known["on_trial_since"] = None if value["on_trial_since"] is None else parse_moment(value["on_trial_since"])
        known["labels_after"] = parse_duration(value["labels_after"])
        known["loss"] = None if value["loss"] is None else PairedLoss(**value["loss"])
        known["label_free"] = None if value["label_free"] is None else LabelFree(**value["label_free"])
        known["guards"] = tuple(Guard.from_plain(guard) for guard in value["guards"])
        known["values"] = tuple(Valued.from_plain(each) for each in value.get("values", ()))  # since 0.1
        known["asked"] = {share: tuple(pair) for share, pair in value["asked"].items()}
        return cls(**known)
