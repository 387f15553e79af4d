"""Counts that may leave the house: noise that hides whether any one person is among them, drawn exactly.

Floating-point noise leaks what it should hide (Mironov 2012), so everything here is integers and fractions: the shape
of the noise is that of the formula, to the last digit, with any source of fair random integers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import numpy as np
from numpy.typing import ArrayLike

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import Ints

__all__ = [
    "NoisyCounts",
    "Share",
    "clamped_counts",
    "discrete_laplace",
    "exact",
    "noise_variance",
    "noisy_counts",
    "noisy_levels",
]

Share = Fraction | int | str | float
"""An exact number: ``Fraction(1, 3)``, ``1``, ``"0.1"``; a float counts as it is written, so ``0.1`` is a tenth."""


def exact(name: str, value: Share) -> Fraction:
    """The number as it was written, above 0.

    >>> exact("eps", 0.1)
    Fraction(1, 10)
    """
    try:
        number = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise UsageError(f"{name} is no number.", given=value, accepted="such as 0.5 or '1/3'") from error
    if number <= 0:
        raise UsageError(f"{name} is too small.", given=value, accepted="above 0")
    return number


def discrete_laplace(scale: Share, random: Random) -> int:
    """Draws an integer z with chance ``(e^(1/scale) - 1) / (e^(1/scale) + 1) * e^(-|z| / scale)``, exactly.

    Args:
        scale: How widely it spreads, above 0; for ``eps``-privacy the sensitivity over ``eps``.
        random: ``random.SystemRandom()`` where people are to be protected. A seeded one is for tests: who knows the
            seed knows the noise.

    Examples:
        >>> random = Random(0)
        >>> [discrete_laplace(2, random) for _ in range(8)]
        [-1, 1, 6, -3, 0, 1, -2, 4]

    References:
        Canonne, Kamath & Steinke (NeurIPS 2020), algorithms 1 and 2; their t / s is our ``scale``.
    """
    spread = exact("The scale of noise", scale)
    t, s = spread.numerator, spread.denominator
    while True:
        u = random.randrange(t)
        if not _happens_exp(u, t, random):
            continue
        v = 0
        while _happens_exp(1, 1, random):
            v += 1
        size = (u + t * v) // s
        is_negative = random.randrange(2) == 1
        if size or not is_negative:  # or 0 would come twice as often as it should
            return -size if is_negative else size


def noise_variance(eps: Share, *, rows_per_person: int = 1) -> float:
    """Variance that the noise adds to each count.

    >>> round(noise_variance(1), 2)
    1.84
    """
    rate = float(exact("eps", eps)) / rows_per_person
    return 2 * math.exp(-rate) / math.expm1(-rate) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyCounts:
    """Counts with noise, and what they cost."""

    counts: tuple[int, ...]
    """May be below 0: cutting them off would bias sums of them."""
    eps: Fraction
    """One person changes the chance of any outcome by a factor of at most ``e^eps``."""
    rows_per_person: int
    variance: float
    """That the noise adds to each count."""

    @property
    def rows_per_cell(self) -> float:
        """Rows that a cell should have, so that the noise is about 1.4 % of its count and hardly moves a distance."""
        return 100 / float(self.eps)


def noisy_counts(counts: ArrayLike, *, eps: Share, random: Random, rows_per_person: int = 1) -> NoisyCounts:
    """Adds noise to a histogram, each row of which is in one cell: ``eps``-private for adding or removing one person.

    Args:
        counts: Rows per cell, shape (cells,), whole numbers; cells must not depend on the data (``noisy_levels``).
        eps: Privacy lost, above 0; add it to a ``PrivacyBudget``.
        random: As for ``discrete_laplace``.
        rows_per_person: At most this many rows of the histogram are one person's (``clamped_counts`` sees to it).

    Raises:
        UsageError: a count is not whole, or a limit is out of range.
    """
    lost = exact("eps", eps)
    if rows_per_person < 1:
        raise UsageError("A person has rows.", given=rows_per_person, accepted="1 or more")
    values = np.asarray(counts)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or (values.size and values.min() < 0):
        raise UsageError("A histogram has whole counts.", given=f"{values.dtype}, shape {values.shape}")
    scale = Fraction(rows_per_person) / lost
    return NoisyCounts(
        counts=tuple(int(count) + discrete_laplace(scale, random) for count in values),
        eps=lost,
        rows_per_person=rows_per_person,
        variance=noise_variance(lost, rows_per_person=rows_per_person),
    )


def noisy_levels(
    counts: Mapping[str, int], *, eps: Share, delta: Share, random: Random, rows_per_person: int = 1
) -> dict[str, int]:
    """Noisy counts of levels that nobody knew beforehand, such as unseen categories, where enough rows have them.

    That a level is there at all tells of whoever has it. Only levels whose noisy count reaches a bar are told; one
    whose rows are one person's alone reaches it with chance ``delta`` at most.

    Args:
        counts: Rows of each level that occurs.
        eps: As for ``noisy_counts``.
        delta: Chance, at most, that a level is told that only one person has; 1 over the number of people or less.
        random: As for ``discrete_laplace``.
        rows_per_person: At most this many rows are one person's.

    Returns:
        Level to noisy count, sorted by level.

    References:
        Korolova, Kenthapadi, Mishra & Ntoulas (2009); stability-based histograms.
    """
    lost, chance = exact("eps", eps), exact("delta", delta)
    if rows_per_person < 1 or chance >= 1:
        raise UsageError("A release of levels does not fit.", given=f"{rows_per_person} rows, delta {delta!r}")
    bar = _bar(float(lost) / rows_per_person, float(chance) / rows_per_person) + rows_per_person
    scale = Fraction(rows_per_person) / lost
    found = {level: counts[level] + discrete_laplace(scale, random) for level in sorted(counts) if counts[level] > 0}
    return {level: count for level, count in found.items() if count >= bar}


def clamped_counts(persons: Sequence[Hashable], cells: ArrayLike, *, width: int, most: int) -> Ints:
    """Rows per cell when at most the first ``most`` rows of each person count, shape (width,).

    Args:
        persons: Whose row it is, one a row, in order of time.
        cells: In which cell it falls, shape (n,), 0 to ``width - 1``.
        width: Cells of the histogram.
        most: Rows of one person that count, 1 or more.

    Examples:
        >>> clamped_counts(["ann", "ann", "bob"], [0, 1, 1], width=2, most=1).tolist()
        [1, 1]
    """
    place = np.asarray(cells, dtype=np.int64)
    if place.shape != (len(persons),):
        raise ShapeMismatch("Rows and persons are not paired.", given=f"{place.size} and {len(persons)}")
    if most < 1 or (place.size and not 0 <= place.min() <= place.max() < width):
        raise UsageError("Rows do not fall in these cells.", given=f"width {width}, most {most}")
    seen: dict[Hashable, int] = {}
    out = np.zeros(width, dtype=np.int64)
    for person, cell in zip(persons, place.tolist(), strict=True):
        seen[person] = seen.get(person, 0) + 1
        if seen[person] <= most:
            out[cell] += 1
    return out


def _bar(rate: float, delta: float) -> int:
    """The smallest b with P(noise >= b) <= delta, where P(noise >= b) = a^b / (1 + a) and a = e^-rate."""
    return max(1, math.ceil(-(math.log(delta) + math.log1p(math.exp(-rate))) / rate))


def _happens_exp(u: int, t: int, random: Random) -> bool:
    """True with chance ``e^(-u / t)``, for u from 0 to t, from fair integers alone."""
    k = 1
    while random.randrange(t * k) < u:
        k += 1
    return k % 2 == 1
