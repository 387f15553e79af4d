"""Has the loss on new data risen by more than is tolerated? A shift that does no harm stays quiet.

The loss on held-out rows gives an upper bound of what was promised; a sequence of bounds on the loss of new rows is
compared with it after every label. Labels count in the order of their predictions, and once they are mature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import UsageError
from kairos.stats.arrays import check_alpha, check_range, finite
from kairos.stats.bernstein import bernstein_upper
from kairos.stats.betting import betting_path
from kairos.stats.sequence import mean_log_e_path

__all__ = ["HarmfulShift", "harmful_shift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmfulShift:
    """What the labels so far say about the loss, beside what was promised."""

    promised: float
    """The loss on held-out rows is below this with chance ``1 - alpha / 2``."""
    limit: float
    """``promised`` plus the tolerance: only a loss above it is harmful."""
    target_mean: float
    """Mean loss of the new rows; NaN without any."""
    log_e: float
    """Evidence, after the last label, that it is above the limit; an alarm at ln(2 / alpha)."""
    alarm_at: int | None
    """Index of the first label at which harm was proven, or ``None``."""


def harmful_shift(
    source: ArrayLike,
    target: ArrayLike,
    *,
    tolerance: float,
    lower: float = 0.0,
    upper: float = 1.0,
    alpha: float = 0.05,
    claim: str = "average",
) -> HarmfulShift:
    """Watches the loss of new rows for being above that of held-out rows by more than ``tolerance``.

    The chance of an alarm ever is at most alpha while the loss of new rows is at most that of the source plus the
    tolerance.

    Args:
        source: Losses of held-out rows, independent, shape (n,), each in ``[lower, upper]``; one look, n fixed.
        target: Losses of new rows in the order of prediction, shape (m,), looked at after each.
        tolerance: How much worse is still fine, 0 or more.
        lower: Smallest possible loss.
        upper: Largest possible loss; cut larger ones beforehand and report how many.
        alpha: Chance of a false alarm ever, in (0, 1); half of it for the source, half for the target.
        claim: ``average`` alarms when the *average* loss so far is proven to be above the limit, while it may move;
            ``ever`` when it was at *some* time, which is seen sooner.

    Examples:
        >>> good, bad = [0.0] * 9 + [1.0], [0.0] * 7 + [1.0] * 3
        >>> harmful_shift(good * 200, good * 500, tolerance=0.02).alarm_at is None
        True
        >>> harmful_shift(good * 200, bad * 500, tolerance=0.02).alarm_at
        129

    References:
        Podkopaev & Ramdas (ICLR 2022), tracking the risk of a deployed model; bounds as in ``bernstein``, ``sequence``
        and ``betting``.
    """
    check_alpha(alpha)
    if not tolerance >= 0:
        raise UsageError("A tolerance is not negative.", given=tolerance, accepted="0 or more")
    held_out, losses = finite("source losses", source), finite("target losses", target)
    check_range("source losses", held_out, lower, upper)
    promised = bernstein_upper(held_out, lower=lower, upper=upper, alpha=alpha / 2)
    limit = promised + tolerance
    if limit >= upper:  # nothing can be proven to be above it
        path = np.zeros(losses.size)
    elif claim == "average":
        above = np.cumsum(losses) > limit * np.arange(1, losses.size + 1)
        path = np.where(above, mean_log_e_path(losses, limit, lower=lower, upper=upper, alpha=alpha), 0.0)
    elif claim == "ever":
        path = betting_path(losses, null_mean=limit, lower=lower, upper=upper)
    else:
        raise UsageError("This claim is not known.", given=claim, accepted="'average' or 'ever'")
    alarms = np.flatnonzero(path >= math.log(2 / alpha))
    return HarmfulShift(
        promised=promised,
        limit=limit,
        target_mean=float(losses.mean()) if losses.size else math.nan,
        log_e=float(path[-1]) if path.size else 0.0,
        alarm_at=int(alarms[0]) if alarms.size else None,
    )
