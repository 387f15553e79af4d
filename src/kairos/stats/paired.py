"""The mean difference of two models' losses on the same rows, with bounds that respect dependence between rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Floats, check_alpha, pair
from kairos.stats.tango import tango_interval, tango_z

__all__ = ["PairedMean", "paired_mean", "paired_zero_one"]


_NEARLY_ONE = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMean:
    """Champion's mean loss minus challenger's on the same rows, in the loss's unit; above 0: challenger better."""

    n: int
    """Rows."""
    champion: float
    """The champion's mean loss."""
    challenger: float
    """The challenger's mean loss."""
    difference: float
    """``champion - challenger``."""
    lower: float
    """The true difference is above this with chance ``1 - alpha``; ``-inf`` if nothing is known."""
    upper: float
    """The true difference is below this with chance ``1 - alpha``; ``inf`` if nothing is known."""
    se: float
    """Standard error of ``difference``; ``inf`` with fewer than two independent blocks, never 0 for lack of data."""
    df: float
    """Degrees of freedom of the t quantile; ``inf`` for the normal one."""
    design_effect: float
    """Variance with dependence over variance without; 1 for independent rows."""
    block_length: float
    """Rows in a block on average, or the number of neighbouring times treated as dependent."""
    discordant: int
    """Rows on which the two losses differ."""
    method: str
    """``independent``, ``blocks``, ``newey_west``, ``newey_west_blocks`` or ``tango``."""

    @property
    def sd(self) -> float:
        """Standard deviation that one row contributes, dependence included: ``se * sqrt(n)``."""
        return self.se * math.sqrt(self.n) if self.n else math.inf

    def p_below(self, difference: float) -> float:
        """P-value against "the true difference is at least ``difference``"; small means it is proven to be lower."""
        if not math.isfinite(self.se):
            return 1.0
        if self.method == "tango":
            gained = (self.discordant + round(self.n * self.difference)) / 2
            within = min(max(difference, -_NEARLY_ONE), _NEARLY_ONE)
            return float(distributions.norm.cdf(tango_z(gained, self.discordant - gained, self.n, within)))
        if self.se == 0.0:
            return 1.0 if self.difference >= difference else 0.0
        z = (self.difference - difference) / self.se
        return float(distributions.norm.cdf(z) if math.isinf(self.df) else distributions.t.cdf(z, self.df))


def paired_mean(
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    alpha: float,
    blocks: NDArray[np.generic] | None = None,
    ordered: bool = False,
) -> PairedMean:
    """Compares two models' mean losses on the same rows, at one look.

    A t interval on the per-row differences. With ``blocks``, rows of one block may depend on each other in any way and
    blocks are independent (cluster-robust variance). With ``ordered``, neighbours in time are dependent (Newey-West,
    Bartlett weights over ``ceil(G^(1/3))`` lags, and 1.5 G / (lags + 1) degrees of freedom); with both, blocks are the
    rows of one moment and neighbouring blocks are dependent. Dependence never makes the interval narrower than
    independence would.

    Args:
        champion: Loss of the champion per row, shape (n,), lower is better.
        challenger: Loss of the challenger on the same rows, shape (n,).
        alpha: Chance of error of *each* bound, in (0, 1); both together miss with chance at most ``2 alpha``.
        blocks: Block name of each row, shape (n,); sorted, they are the order of time if ``ordered``.
        ordered: Whether rows (or blocks) are a time series, in order.

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a loss is not finite, or alpha is not in (0, 1).

    Examples:
        >>> p = paired_mean([3.0, 5.0, 4.0, 6.0], [2.0, 3.0, 4.0, 4.0], alpha=0.05)
        >>> round(p.difference, 3), round(p.lower, 3), round(p.upper, 3)
        (1.25, 0.123, 2.377)

    References:
        Newey & West (1987); Liang & Zeger (1986); Driscoll & Kraay (1998) for blocks of one moment in order; degrees of
        freedom of the Bartlett kernel after Kiefer & Vogelsang (2005).
    """
    check_alpha(alpha)
    a, b = pair("champion losses", champion, "challenger losses", challenger)
    n = a.size
    if n == 0:
        return _unknown(a, b, "independent")
    d = a - b
    mean = float(d.mean())
    sums = _block_sums(d - mean, blocks)
    groups = sums.size
    method = (
        ("newey_west" if blocks is None else "newey_west_blocks")
        if ordered
        else ("independent" if blocks is None else "blocks")
    )
    if groups < 2:
        return _unknown(a, b, method)
    lags = min(math.ceil(round(groups ** (1 / 3), 9)), groups - 1) if ordered else 0
    independent = float(np.sum((d - mean) ** 2)) / (n * (n - 1))
    variance = max(_long_run(sums, lags) / n**2, independent)
    effect = variance / independent if independent > 0 else 1.0
    df = max(1.0, min(groups - 1.0, 1.5 * groups / (lags + 1))) if ordered else groups - 1.0
    se = math.sqrt(variance)
    reach = float(distributions.t.ppf(1 - alpha, df)) * se
    return PairedMean(
        n=n,
        champion=float(a.mean()),
        challenger=float(b.mean()),
        difference=mean,
        lower=mean - reach,
        upper=mean + reach,
        se=se,
        df=df,
        design_effect=effect,
        block_length=float(lags + 1) if ordered else n / groups,
        discordant=int(np.count_nonzero(d)),
        method=method,
    )


def paired_zero_one(champion: ArrayLike, challenger: ArrayLike, *, alpha: float) -> PairedMean:
    """Compares two models' right-or-wrong losses on the same, independent rows, at one look.

    Tango's score bounds: where few rows differ, a t interval is far too sure of itself. ``se`` is what the bounds
    imply, so that it is not 0 when no row differs.

    Args:
        champion: 0 or 1 per row, shape (n,); 1 is wrong.
        challenger: The same rows.
        alpha: Chance of error of each bound, in (0, 0.5).

    Raises:
        ShapeMismatch: the arrays are not paired.
        UsageError: a loss is neither 0 nor 1, or alpha is not in (0, 0.5).

    Examples:
        >>> p = paired_zero_one([1] * 12 + [0] * 88, [0] * 12 + [1] * 5 + [0] * 83, alpha=0.025)
        >>> round(p.difference, 4), round(p.lower, 4), round(p.upper, 4)
        (0.07, -0.0119, 0.1574)
    """
    if not 0.0 < alpha < 0.5:
        raise UsageError("alpha is not a chance of error of a bound.", given=alpha, accepted="a number in (0, 0.5)")
    a, b = pair("champion losses", champion, "challenger losses", challenger)
    if not np.isin(np.concatenate([a, b]), (0.0, 1.0)).all():
        raise UsageError("A loss is neither right nor wrong.", accepted="0 (right) or 1 (wrong)")
    n = a.size
    if n == 0:
        return _unknown(a, b, "tango")
    gained, lost = int((a > b).sum()), int((a < b).sum())
    lower, upper = tango_interval(gained, lost, n, alpha)
    return PairedMean(
        n=n,
        champion=float(a.mean()),
        challenger=float(b.mean()),
        difference=(gained - lost) / n,
        lower=lower,
        upper=upper,
        se=(upper - lower) / (2 * float(distributions.norm.ppf(1 - alpha))),
        df=math.inf,
        design_effect=1.0,
        block_length=1.0,
        discordant=gained + lost,
        method="tango",
    )


def _block_sums(residuals: Floats, blocks: NDArray[np.generic] | None) -> Floats:
    if blocks is None:
        return residuals
    names = np.asarray(blocks)
    if names.shape != residuals.shape:
        raise ShapeMismatch("Blocks and losses are not paired.", given=f"{names.shape} and {residuals.shape}")
    _, index = np.unique(names, return_inverse=True)
    return np.bincount(index, weights=residuals).astype(np.float64)


def _long_run(sums: Floats, lags: int) -> float:
    """Variance of the sum of all blocks: Bartlett-weighted autocovariances, with the ``G / (G - 1)`` correction."""
    total = float(sums @ sums)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1)) * float(sums[lag:] @ sums[:-lag])
    return max(total, 0.0) * sums.size / (sums.size - 1)


def _unknown(champion: Floats, challenger: Floats, method: str) -> PairedMean:
    a, b = (float(losses.mean()) if losses.size else math.nan for losses in (champion, challenger))
    return PairedMean(
        n=champion.size,
        champion=a,
        challenger=b,
        difference=a - b,
        lower=-math.inf,
        upper=math.inf,
        se=math.inf,
        df=1.0,
        design_effect=1.0,
        block_length=float(max(champion.size, 1)),
        discordant=int(np.count_nonzero(champion - challenger)),
        method=method,
    )
