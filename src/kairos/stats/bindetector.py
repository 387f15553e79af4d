"""Is a distribution still the one it was, within a tolerance, watched for ever? From counts per bin and flush.

For each bin, two detectors: its share is above, or below, what the reference allows. Their average is one detector, so
features and bins do not add up to more false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, logsumexp

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha, finite
from kairos.stats.detector import DetectorPath, e_sr_of_counts

__all__ = ["BinLimits", "BinState", "bin_limits", "watch_bins"]

_BETS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""The boldest one is for shares that fall: a bin can lose no more than all of its share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BinLimits:
    """What shares of bins are still fine, fixed when watching begins."""

    smallest: Floats
    """Shape (bins,); 0 where no fall can be seen."""
    largest: Floats
    """Shape (bins,); 1 where no rise can be seen."""


def bin_limits(reference_counts: ArrayLike, *, tolerance: float = 0.05, alpha: float = 0.05) -> BinLimits:
    """The shares that the reference allows, with its own uncertainty given in.

    Args:
        reference_counts: Rows per bin of the reference, shape (bins,).
        tolerance: By how much a share may move without being a change that matters.
        alpha: Chance that the reference's true shares are outside, before the tolerance: exact for each bin at
            ``alpha / (2 bins)``.

    Examples:
        >>> limits = bin_limits([500, 300, 200], tolerance=0.05)
        >>> limits.largest.round(3).tolist()
        [0.588, 0.386, 0.282]
    """
    check_alpha(alpha)
    n = finite("reference counts", reference_counts)
    if n.size < 2 or n.min() < 0 or n.sum() < 1 or not tolerance >= 0:
        raise UsageError("A reference cannot be made of this.", given=f"counts {n.tolist()}, tolerance {tolerance!r}")
    each = alpha / (2 * n.size)
    total = n.sum()
    low = np.where(n > 0, betaincinv(np.maximum(n, 1e-12), total - n + 1, each), 0.0)
    high = np.where(n < total, betaincinv(n + 1, np.maximum(total - n, 1e-12), 1 - each), 1.0)
    return BinLimits(smallest=np.maximum(low - tolerance, 0.0), largest=np.minimum(high + tolerance, 1.0))


def watch_bins(counts: ArrayLike, limits: BinLimits) -> DetectorPath:
    """The detector after each batch: an alarm at A or more comes on average after A batches while all shares are fine.

    Args:
        counts: Rows per bin and batch, shape (bins, batches), in order of time; those of workers added up.
        limits: As ``bin_limits`` gives them.

    References:
        Shin, Ramdas & Rinaldo (NEJSDS 2024), averages of e-detectors; binomial factors of batches.
    """
    k = np.asarray(counts, dtype=np.float64)
    if k.ndim != 2 or k.shape[0] != limits.largest.size:
        raise ShapeMismatch(
            "Counts are not of these bins.", given=f"shape {k.shape}", accepted=f"({limits.largest.size}, batches)"
        )
    n = k.sum(axis=0)
    detectors = []
    for bounds, side in ((limits.largest, "greater"), (limits.smallest, "less")):
        watched = (bounds > 0) & (bounds < 1)
        if watched.any():
            level = bounds[watched, np.newaxis]
            found = e_sr_of_counts(k[watched], n, level, bets=_BETS, side="greater" if side == "greater" else "less")
            detectors.append(found.log_m)
    if not detectors:
        return DetectorPath(log_m=np.full(k.shape[1], -math.inf))
    both = np.concatenate(detectors)
    return DetectorPath(log_m=np.asarray(logsumexp(both, axis=0) - math.log(both.shape[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class BinState:
    """What ``watch_bins`` needs to know of the past, in a few numbers for each bin: for a stream without an end.

    Examples:
        >>> state = BinState.of(bin_limits([500, 300, 200], tolerance=0.05))
        >>> for _ in range(30):
        ...     state = state.update([50, 30, 40])
        >>> state.log_m > math.log(1000)
        True
    """

    limits: BinLimits
    event_gain: Floats
    """Log factor of one row in the bin (for a rise) or outside it (for a fall), shape (bets, detectors)."""
    other_gain: Floats
    """Log factor of any other row, shape (bets, 1)."""
    log_sr: Floats
    """Log of each detector for each bet, shape (bets, detectors)."""

    @classmethod
    def of(cls, limits: BinLimits) -> BinState:
        """The state before any batch."""
        rising, falling = ((bounds > 0) & (bounds < 1) for bounds in (limits.largest, limits.smallest))
        level = np.concatenate([limits.largest[rising], 1 - limits.smallest[falling]])
        share = np.array(_BETS)[:, np.newaxis]
        return cls(
            limits=limits,
            event_gain=np.log1p(share / level * (1 - level)) if level.size else np.zeros((len(_BETS), 0)),
            other_gain=np.log1p(-share),
            log_sr=np.full((len(_BETS), level.size), -math.inf),
        )

    def update(self, counts: ArrayLike) -> BinState:
        """The state after one more batch.

        Args:
            counts: Its rows per bin, shape (bins,); those of workers added up.
        """
        k = np.asarray(counts, dtype=np.float64)
        if k.shape != self.limits.largest.shape:
            given, accepted = f"shape {k.shape}", f"{self.limits.largest.shape}"
            raise ShapeMismatch("Counts are not of these bins.", given=given, accepted=accepted)
        n = k.sum()
        rising = k[(self.limits.largest > 0) & (self.limits.largest < 1)]
        falling = n - k[(self.limits.smallest > 0) & (self.limits.smallest < 1)]
        events = np.concatenate([rising, falling])
        gain = events * self.event_gain + (n - events) * self.other_gain
        return replace(self, log_sr=gain + np.logaddexp(self.log_sr, 0.0))

    @property
    def log_m(self) -> float:
        """Log of the detector, the average over bins, directions and bets; ``-inf`` without any."""
        if not self.log_sr.size:
            return -math.inf
        return float(np.logaddexp.reduce(self.log_sr, axis=None)) - math.log(self.log_sr.size)
