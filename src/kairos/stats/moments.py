"""Number, mean, variance, smallest and largest value: sums that workers keep apart and that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from kairos.stats.arrays import Floats
from kairos.values import Json

__all__ = ["Moments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Of the finite values; equal to those of all values together however they were parted, up to rounding."""

    n: int = 0
    """Finite values."""
    mean: float = 0.0
    m2: float = 0.0
    """Sum of squared distances from the mean."""
    least: float = math.inf
    most: float = -math.inf
    nonfinite: int = 0
    """NaN and infinite values."""

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """Of these values, shape (n,).

        >>> found = Moments.of([1.0, 2.0]) + Moments.of([6.0, math.nan])
        >>> found.n, found.mean, found.variance, found.nonfinite
        (3, 3.0, 7.0, 1)
        """
        x: Floats = np.asarray(values, dtype=np.float64).ravel()
        finite = x[np.isfinite(x)]
        if not finite.size:
            return cls(nonfinite=x.size)
        mean = float(finite.mean())
        return cls(
            n=finite.size,
            mean=mean,
            m2=float(((finite - mean) ** 2).sum()),
            least=float(finite.min()),
            most=float(finite.max()),
            nonfinite=x.size - finite.size,
        )

    def __add__(self, other: Moments) -> Moments:
        """Of both.

        References:
            Chan, Golub & LeVeque (1983).
        """
        n = self.n + other.n
        gap = other.mean - self.mean
        share = other.n / n if n else 0.0
        return Moments(
            n=n,
            mean=self.mean + gap * share,
            m2=self.m2 + other.m2 + gap * gap * self.n * share,
            least=min(self.least, other.least),
            most=max(self.most, other.most),
            nonfinite=self.nonfinite + other.nonfinite,
        )

    @property
    def variance(self) -> float:
        """With n - 1 in the denominator; NaN for fewer than two values: no data is no knowledge."""
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    @property
    def cv2(self) -> float:
        """Variance over the squared mean, as ``kairos.stats.queueing.wait`` asks for it."""
        return self.variance / self.mean**2 if self.mean else math.nan

    def plain(self) -> dict[str, Json]:
        """Fields by name; infinite bounds of no values need ``kairos.values.plain`` before they become JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Json]) -> Moments:
        """Reads what ``plain`` wrote."""
        return cls(**plain)
