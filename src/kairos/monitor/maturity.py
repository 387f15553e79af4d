"""When a row counts: how late labels are, and on which day there will be enough of them.

The unit is the UTC day of the prediction, as everywhere in the monitor. A day is *mature*, and is looked at, once
``matures_after`` has passed since its end; ages here are ages since that end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from kairos.errors import UsageError
from kairos.monitor.days import day_number, day_start
from kairos.stats.arrival import ArrivalCounts, ArrivalCurve, arrival_curve
from kairos.values import Json, duration_text, parse_duration

__all__ = ["Maturity", "learnt_maturity", "may_replace"]

_MIN_LABELS = 100
"""Fewer labels say too little about the slowest of them."""

_FOLLOW_UP = 2.0
"""Rows have to have been followed for this many times the age of maturity, to know that no more labels come."""

_SLACK = 0.05
"""By how much the share of arrived labels may fall below the promised one before a day is given more time."""

_HORIZON = timedelta(days=3650)
"""An answer that is due later than this is not promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maturity:
    """When the days of one model mature, how that is known, and how labels arrive until then."""

    matures_after: timedelta
    """A day counts once this long has passed since its end."""
    basis: Literal["set", "learnt", "fallback"] = "set"
    """``set`` by the owner, ``learnt`` from how labels arrived, or the ``fallback`` while too little is known."""
    arrivals: ArrivalCurve | None = None
    """How labels arrived so far; ``None`` if nobody has looked."""
    quantile: float = 0.95
    """The share of the labels that ever come which is there once a day is mature, where that was learnt."""

    def mature_until(self, now: datetime) -> datetime:
        """Days that end by this moment are mature."""
        return now - self.matures_after

    def share_arrived(self, age: timedelta) -> float:
        """The share, of the labels that ever come, which is there when a day's end is that long ago, in [0, 1].

        Without a learnt curve: nothing before a day is mature, and all from then on.
        """
        if self.arrivals is None or not self.arrivals.shares:
            return float(age >= self.matures_after)
        return self.arrivals.at(age.total_seconds()) / self.arrivals.ever

    @property
    def share_labelled(self) -> float:
        """The share of a mature day's predictions that have a label, in [0, 1]; 1 while nothing else is known."""
        if self.arrivals is None or not self.arrivals.shares:
            return 1.0
        return self.arrivals.at(self.matures_after.total_seconds())

    def due(
        self, rows_needed: float, rate_per_day: float, *, now: datetime, since: datetime | None = None
    ) -> datetime | None:
        """When that many more rows will be mature and labelled, if requests go on coming as they do.

        Args:
            rows_needed: Labelled rows that are missing beside those of days that are mature now; 0 or less: ``now``.
            rate_per_day: Predictions a day that can become such rows.
            now: The present.
            since: Rows count from here on, for instance the start of a trial; ``None``: requests have come for long.

        Returns:
            The moment at which the last of the days needed matures; ``None`` if that is never, or years away.

        Examples:
            >>> from datetime import UTC
            >>> in_a_day = Maturity(matures_after=timedelta(days=1))
            >>> start = datetime(2012, 1, 1, tzinfo=UTC)
            >>> in_a_day.due(48, 24, now=start, since=start).isoformat()
            '2012-01-04T00:00:00+00:00'
        """
        if rows_needed <= 0:
            return now
        per_day = rate_per_day * self.share_labelled
        first = day_start(day_number(self.mature_until(now)))
        start = first if since is None else max(first, since)
        if not per_day > 0 or rows_needed / per_day > _HORIZON.days:
            return None
        return self._matured(start + timedelta(days=rows_needed / per_day))

    def due_days(self, days_needed: int, *, now: datetime, since: datetime | None = None) -> datetime:
        """When that many more whole days will be mature; the arguments are those of ``due``."""
        first = day_number(self.mature_until(now))
        start = first if since is None else max(first, math.ceil((since - day_start(0)) / timedelta(days=1)))
        return max(now, day_start(start + days_needed) + self.matures_after)

    def sentence(self) -> str:
        """What is assumed about labels, for a person."""
        after = duration_text(self.matures_after)
        if self.basis == "learnt" and self.arrivals is not None:
            return (
                f"A day counts {after} after its end, when {self.quantile:.0%} of the labels that ever come are there "
                f"(learnt from {self.arrivals.labelled} labels; {self.arrivals.ever:.0%} of the rows get one)."
            )
        if self.basis == "fallback":
            return f"A day counts {after} after its end, until enough labels show how late they are."
        return f"A day counts {after} after its end, as set."

    @classmethod
    def from_plain(cls, value: Mapping[str, Json]) -> Maturity:
        """Reads what ``plain`` wrote."""
        try:
            curve = value["arrivals"]
            arrivals = None
            if curve is not None:
                arrivals = ArrivalCurve(**{**curve, "ages_s": tuple(curve["ages_s"]), "shares": tuple(curve["shares"])})
            return cls(
                matures_after=parse_duration(value["matures_after"]),
                basis=value["basis"],
                arrivals=arrivals,
                quantile=value["quantile"],
            )
        except (KeyError, TypeError) as error:
            raise UsageError("A maturity cannot be read.", given=sorted(value)) from error

    def _matured(self, last_prediction: datetime) -> datetime:
        """When the day matures that a prediction just before that moment falls on."""
        day = day_number(last_prediction - timedelta(microseconds=1))
        return day_start(day + 1) + self.matures_after


def learnt_maturity(counts: ArrivalCounts, *, fallback: timedelta, quantile: float = 0.95) -> Maturity:
    """What the arrival of labels so far says about when a day is mature.

    It is learnt once 100 labels are there and rows have been followed for twice as long as that share of the labels
    takes; until then a slow label could still be on its way, and the fallback is used.

    Args:
        counts: Delays and ages since the end of the prediction's day.
        fallback: ``matures_after`` while too little is known.
        quantile: The share, of the labels that ever come, which a mature day has.
    """
    curve = arrival_curve(counts)
    after_s = curve.quantile(quantile)
    if after_s is None or curve.labelled < _MIN_LABELS or curve.follow_up_s < _FOLLOW_UP * after_s:
        return Maturity(matures_after=fallback, basis="fallback", arrivals=curve, quantile=quantile)
    return Maturity(matures_after=timedelta(seconds=after_s), basis="learnt", arrivals=curve, quantile=quantile)


def may_replace(held: Maturity | None, found: Maturity) -> bool:
    """Whether what was found now should hold from now on. It seldom should: a day that counted must not wait again.

    Only where labels have become so slow that a mature day lacks more than 5 % of them beyond what is promised, or so
    fast that a day would mature in half the time.

    Args:
        held: What was learnt before; ``None``: nothing yet.
        found: What the log says now.
    """
    if found.basis != "learnt":
        return False
    if held is None:
        return True
    is_too_short = found.share_arrived(held.matures_after) < held.quantile - _SLACK
    return is_too_short or found.matures_after <= held.matures_after / 2
