"""How sure one may be of a mean whose rows depend on each other: neighbours in time, rows of one entity, or both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from kairos.errors import ShapeMismatch
from kairos.stats.arrays import Floats

__all__ = ["INDEPENDENT", "Dependence", "Spread", "spread"]

_MOST_COSINES = 0.8
_FEWEST_COSINES = 4
_TOLERATED_BIAS = 0.1
_CLEARLY_MORE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependence:
    """What is known of each row that may make it depend on others; nothing: rows are independent."""

    times: NDArray[Any] | None = None
    """Moment of each row, in any order, shape (n,): rows of one moment are one block, neighbouring moments depend."""
    entities: NDArray[Any] | None = None
    """Whom each row is about, shape (n,): rows of one entity are one block, however far apart."""

    def part(self, chosen: NDArray[Any]) -> Dependence:
        """The same for some of the rows.

        Args:
            chosen: A mask or indices.
        """
        return Dependence(
            times=None if self.times is None else self.times[chosen],
            entities=None if self.entities is None else self.entities[chosen],
        )

    def coded(self) -> Dependence:
        """The same with small numbers in place of moments and entities: quicker where it is asked many times."""
        return Dependence(
            times=None if self.times is None else np.unique(self.times, return_inverse=True)[1],
            entities=None if self.entities is None else np.unique(self.entities, return_inverse=True)[1],
        )

    @property
    def name(self) -> str:
        """``independent``, ``times``, ``entities`` or ``times and entities``."""
        known = [name for name in ("times", "entities") if getattr(self, name) is not None]
        return " and ".join(known) or "independent"


INDEPENDENT = Dependence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The uncertainty of a mean."""

    se: float
    """Standard error; ``inf`` if there are fewer than two independent blocks, never 0 for lack of data."""
    df: float
    """Degrees of freedom of the t quantile."""
    design_effect: float
    """Variance with dependence over variance without, 1 or more."""
    block_length: float
    """How many rows count as one block, on average."""


def spread(influence: Floats, dependence: Dependence = INDEPENDENT) -> Spread:
    """How far a mean of these values may be off.

    For a mean, give the values; for a smooth statistic, its influence values: how far each row moves it, times n. The
    dependence never makes the answer smaller than independence would.

    Entities: cluster-robust variance. Times: the variance is that of the lowest frequencies, the equally weighted
    squares of the first cosine transforms of the blocks in their order; there are ``0.8 G^(2/3)`` of them among G
    moments, or fewer: as few as keep the bias of an autoregression with the estimated autocorrelation below a tenth,
    and half as many as long as the lower half carries clearly more than the upper half (an F ratio above its 90 %
    quantile). Their number is the degrees of freedom. Both: the sum of the two variances, less what they share.

    Args:
        influence: Shape (n,), finite.
        dependence: Of the rows.

    Raises:
        ShapeMismatch: there is not one moment, or one entity, for each row.

    Examples:
        >>> one = spread(np.array([1.0, 2.0, 3.0, 4.0]))
        >>> round(one.se, 4), one.df
        (0.6455, 3.0)

    References:
        Liang & Zeger (1986) for clusters; Müller (2004) and Lazarus, Lewis, Stock & Watson (2018) for equally weighted
        cosines and their t distribution; Cameron, Gelbach & Miller (2011) for two ways at once.
    """
    n = influence.size
    if n < 2:
        return Spread(se=math.inf, df=1.0, design_effect=1.0, block_length=float(max(n, 1)))
    residual = influence - influence.mean()
    independent = float(residual @ residual) / (n * (n - 1))
    found = [_Variance(independent, n - 1.0, 1.0)]
    if dependence.times is not None:
        found.append(_in_time(*_block_sums(residual, dependence.times, "moments")))
    if dependence.entities is not None:
        found.append(_in_clusters(*_block_sums(residual, dependence.entities, "entities")))
    if len(found) == 3:
        found.append(_two_ways(residual, dependence, found[1], found[2]))
    if any(math.isinf(one.variance) for one in found):
        return Spread(se=math.inf, df=1.0, design_effect=1.0, block_length=float(n))
    widest = max(found, key=lambda one: one.variance)
    return Spread(
        se=math.sqrt(widest.variance),
        df=min(one.df for one in found),
        design_effect=widest.variance / independent if independent > 0 else 1.0,
        block_length=max(one.block_length for one in found),
    )


@dataclass(frozen=True, slots=True)
class _Variance:
    variance: float
    df: float
    block_length: float


def _in_clusters(sums: Floats, n: int) -> _Variance:
    groups = sums.size
    if groups < 2:
        return _Variance(math.inf, 1.0, float(n))
    variance = float(sums @ sums) * groups / (groups - 1) / n**2
    return _Variance(variance, groups - 1.0, n / groups)


def _in_time(sums: Floats, n: int) -> _Variance:
    """Long-run variance from the lowest frequencies of the blocks' sums, which add up to 0."""
    groups = sums.size
    if groups < 2:
        return _Variance(math.inf, 1.0, float(n))
    most = min(max(_FEWEST_COSINES, int(_MOST_COSINES * groups ** (2 / 3))), groups - 1)
    power = fft.dct(sums, type=2)[1 : most + 1] ** 2 / (2 * groups)
    count = _how_many(power, _autocorrelation(sums), groups)
    return _Variance(groups * float(power[:count].mean()) / n**2, float(count), n / count)


def _autocorrelation(sums: Floats) -> float:
    """Of neighbouring blocks, corrected for the bias of a short series; in (0, 1)."""
    total = float(sums @ sums)
    rho = float(sums[1:] @ sums[:-1]) / total if total > 0 else 0.0
    return min(max(rho + (1 + 3 * rho) / sums.size, 1e-6), 0.99)


def _how_many(power: Floats, rho: float, groups: int) -> int:
    fewest = min(_FEWEST_COSINES, power.size)
    smooth = int(groups / math.pi * (1 - rho) * math.sqrt(3 * _TOLERATED_BIAS / rho))
    count = min(max(smooth, fewest), power.size)
    while count // 2 >= fewest:
        half = count // 2
        low, high = float(power[:half].mean()), float(power[half:count].mean())
        if low <= high * float(special.fdtri(half, count - half, _CLEARLY_MORE)):
            break
        count = half
    return count


def _two_ways(residual: Floats, dependence: Dependence, time: _Variance, entity: _Variance) -> _Variance:
    assert dependence.times is not None  # the caller has looked
    assert dependence.entities is not None
    tie = dependence.coded()
    assert tie.times is not None
    assert tie.entities is not None
    moment, who = tie.times, tie.entities
    both = _in_clusters(*_block_sums(residual, moment * (int(who.max()) + 1) + who, "pairs"))
    total = time.variance + entity.variance - both.variance
    return _Variance(total, min(time.df, entity.df), max(time.block_length, entity.block_length))


def _block_sums(residual: Floats, blocks: NDArray[Any], what: str) -> tuple[Floats, int]:
    """Sums per block, blocks sorted by name, and the number of rows."""
    names = np.asarray(blocks)
    if names.shape != residual.shape:
        raise ShapeMismatch(f"Rows and their {what} are not paired.", given=f"{residual.shape} and {names.shape}")
    if not _are_codes(names):
        names = np.unique(names, return_inverse=True)[1]
    counts = np.bincount(names)
    return np.bincount(names, weights=residual)[counts > 0].astype(np.float64), residual.size


def _are_codes(names: NDArray[Any]) -> bool:
    """Whether names are small numbers, which need no sorting."""
    return names.dtype.kind in "iu" and names.size > 0 and names.min() >= 0 and names.max() <= 8 * names.size + 1000
