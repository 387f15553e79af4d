"""How long labels take to arrive, learnt while many have not arrived yet.

A row without a label says something too: its label takes longer than the row is old. So labels that are slow are not
forgotten because one looks early. What is counted adds up over days, workers and restarts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, Ints

__all__ = [
    "EDGES_S",
    "ArrivalCounts",
    "ArrivalCurve",
    "arrival_chances",
    "arrival_curve",
    "arrival_curve_of_labelled",
    "count_arrivals",
]

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0

EDGES_S: Floats = np.concatenate(
    [
        np.arange(0.0, _HOUR_S, _MINUTE_S),
        np.arange(_HOUR_S, 12 * _HOUR_S, 5 * _MINUTE_S),
        np.arange(12 * _HOUR_S, 14 * _DAY_S, _HOUR_S),
        np.arange(14 * _DAY_S, 90 * _DAY_S, _DAY_S / 2),
        np.arange(90 * _DAY_S, 731 * _DAY_S, 5 * _DAY_S),
    ]
)
"""Ages that are told apart, seconds: minutes in the first hour, hours in the first two weeks, days up to two years."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrivalCounts:
    """Rows by what is known of their labels, each of shape ``EDGES_S``; ``+`` gives the counts of both."""

    labelled: Ints
    """Rows with a label, by its delay: the first edge that is not below it."""
    labelled_age: Ints
    """The same rows, by their age: the last edge that is not above it."""
    waiting: Ints
    """Rows without a label, by their age."""

    def __add__(self, other: ArrivalCounts) -> ArrivalCounts:
        """The counts of both."""
        return ArrivalCounts(
            labelled=self.labelled + other.labelled,
            labelled_age=self.labelled_age + other.labelled_age,
            waiting=self.waiting + other.waiting,
        )

    @property
    def rows(self) -> int:
        """How many, labelled or not."""
        return int(self.labelled.sum() + self.waiting.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalCurve:
    """The share of rows whose label has arrived, by age: a step function that rises at ``ages_s``."""

    ages_s: tuple[float, ...]
    shares: tuple[float, ...]
    """From each of these ages on, in (0, 1]; rising."""
    follow_up_s: float
    """The age that enough rows have reached; about longer delays nothing is known."""
    labelled: int
    """Labels that the curve rests on."""

    @property
    def ever(self) -> float:
        """The share of rows that get a label at all, as far as one can see."""
        return self.shares[-1] if self.shares else 0.0

    def at(self, age_s: float) -> float:
        """The share of rows that have a label at that age."""
        steps = int(np.searchsorted(np.asarray(self.ages_s), age_s, side="right"))
        return self.shares[steps - 1] if steps else 0.0

    def quantile(self, q: float) -> float | None:
        """The age at which a share ``q`` of the labels that ever come has come, seconds; ``None`` without labels."""
        if not self.shares:
            return None
        return self.ages_s[int(np.searchsorted(np.asarray(self.shares), q * self.ever - 1e-12, side="left"))]


def count_arrivals(delays_s: ArrayLike, ages_s: ArrayLike) -> ArrivalCounts:
    """Counts rows by the delay of their label, or by how long they have waited for it.

    A label that came within the part of a step which the row's age has not completed is counted with the next look.

    Args:
        delays_s: From prediction to label, seconds, shape (n,); NaN where there is no label yet; negative counts as 0.
        ages_s: From prediction to now, seconds, shape (n,), finite; rows below 0 are left out.

    Raises:
        ShapeMismatch: delays and ages are not paired.
        UsageError: an age is not finite.

    Examples:
        >>> counts = count_arrivals([3600.0, float("nan")], [86400.0, 86400.0])
        >>> int(counts.labelled.sum()), int(counts.waiting.sum())
        (1, 1)
    """
    delays, ages = np.asarray(delays_s, dtype=np.float64), np.asarray(ages_s, dtype=np.float64)
    if delays.shape != ages.shape or delays.ndim != 1:
        raise ShapeMismatch("Delays and ages are not paired.", given=f"shapes {delays.shape} and {ages.shape}")
    if not np.isfinite(ages).all():
        raise UsageError("A row's age is not finite.", given=f"{int((~np.isfinite(ages)).sum())} rows")
    known = ages >= 0.0
    delays, ages = delays[known], ages[known]
    last = EDGES_S.size - 1
    age_bins = np.searchsorted(EDGES_S, ages, side="right") - 1
    has_label = ~np.isnan(delays)
    delay_bins = np.searchsorted(EDGES_S, np.where(has_label, np.maximum(delays, 0.0), np.inf), side="left")
    seen = has_label & (delay_bins <= np.minimum(age_bins, last))
    return ArrivalCounts(
        labelled=_counts(delay_bins[seen]), labelled_age=_counts(age_bins[seen]), waiting=_counts(age_bins[~seen])
    )


def arrival_curve(counts: ArrivalCounts, *, min_rows: int = 50) -> ArrivalCurve:
    """The share of labels that has arrived by age, with rows that still wait counted as such (Kaplan-Meier).

    Right if rows of different age have the same delays. Rows that never get a label keep the curve below 1.

    Args:
        counts: Of rows of all ages.
        min_rows: The curve ends at the age that fewer rows have reached.

    Examples:
        >>> hours = 3600.0
        >>> curve = arrival_curve(count_arrivals([1 * hours] * 60 + [float("nan")] * 40, [48 * hours] * 100))
        >>> curve.at(2 * hours), curve.ever, curve.quantile(0.95)
        (0.6, 0.6, 3600.0)

    References:
        Kaplan & Meier (1958).
    """
    at_risk = _from_end(counts.labelled) + _from_end(counts.waiting)
    reached = _from_end(counts.labelled_age) + _from_end(counts.waiting)
    return _curve(counts.labelled, at_risk, reached, min_rows, forwards=True)


def arrival_curve_of_labelled(counts: ArrivalCounts, *, min_rows: int = 50) -> ArrivalCurve:
    """The same of the labels that ever come, from labelled rows alone: ``ever`` is 1.

    For one class of labels: whose label is still to come has no class yet, so waiting rows say nothing about it. That a
    slow label is only seen on an old row is corrected for (right truncation).

    Args:
        counts: Of the rows of one class; ``waiting`` is not looked at.
        min_rows: The curve ends at the age that fewer of the labelled rows have reached.

    References:
        Lagakos, Barraj & De Gruttola (1988), the product-limit estimate in reverse time.
    """
    # at risk in reverse time at delay d: rows whose label took at most d and that are at least d old
    at_risk = np.cumsum(counts.labelled) - (counts.labelled_age.sum() - _from_end(counts.labelled_age))
    return _curve(counts.labelled, at_risk, _from_end(counts.labelled_age), min_rows, forwards=False)


def arrival_chances(curve: ArrivalCurve, ages_s: ArrayLike) -> Floats:
    """The share of labels that have arrived by each age, shape (n,), in [0, 1].

    >>> curve = ArrivalCurve(ages_s=(60.0, 3600.0), shares=(0.5, 1.0), follow_up_s=7200.0, labelled=100)
    >>> arrival_chances(curve, [0.0, 60.0, 1e6]).tolist()
    [0.0, 0.5, 1.0]
    """
    steps = np.searchsorted(np.asarray(curve.ages_s), np.asarray(ages_s, dtype=np.float64), side="right")
    return np.append(0.0, np.asarray(curve.shares))[steps]


def _curve(events: Ints, at_risk: Ints, reached: Ints, min_rows: int, *, forwards: bool) -> ArrivalCurve:
    long_enough = np.flatnonzero(reached >= min_rows)
    end = int(long_enough[-1]) + 1 if long_enough.size else 0
    events, at_risk = events[:end], at_risk[:end]
    kept = 1.0 - events / np.maximum(at_risk, 1)
    if forwards:
        shares = 1.0 - np.cumprod(kept)
    else:
        later = np.where(events > 0, np.maximum(kept, 0.0), 1.0)
        shares = np.append(np.cumprod(later[::-1])[::-1][1:], 1.0) if end else later
    steps = np.flatnonzero((events > 0) & (shares > 0))
    return ArrivalCurve(
        ages_s=tuple(EDGES_S[steps].tolist()),
        shares=tuple(shares[steps].tolist()),
        follow_up_s=float(EDGES_S[end - 1]) if end else 0.0,
        labelled=int(events.sum()),
    )


def _counts(bins: Ints) -> Ints:
    return np.bincount(bins, minlength=EDGES_S.size).astype(np.int64)


def _from_end(counts: Ints) -> Ints:
    """For each step, the rows of it and of all later ones."""
    return np.cumsum(counts[::-1])[::-1]
