"""How fast a model ages, and how often to renew it if one could look at nothing but its age."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Slope", "best_period_days"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How much the loss of a row grows with each day of age."""

    estimate: float
    lower: float
    upper: float
    """The truth is between the two with chance 90 %."""

    @property
    def is_proven(self) -> bool:
        """Whether the loss is known to grow."""
        return self.lower > 0


def best_period_days(*, cost: float, slope: float) -> float:
    """The fixed period with the least cost in the long run, days: ``sqrt(2 cost / slope)``.

    Args:
        cost: Of one change, as loss a row times days of usual traffic.
        slope: Growth of the loss of a row a day, above 0.

    Examples:
        >>> best_period_days(cost=50.0, slope=1.0)
        10.0
    """
    return math.sqrt(2 * cost / slope)
