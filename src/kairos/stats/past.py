"""What the values so far say about the next one: a mean and a variance that start at 1/2 and 1/4."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kairos.stats.arrays import Floats

__all__ = ["Past", "past_moments"]


class Past(NamedTuple):
    """Moments before each value, and after it; all of the shape of the values, time last."""

    mean_before: Floats
    variance_before: Floats


def past_moments(u: Floats) -> Past:
    """Regularised mean and variance of the values before each value.

    As if one value of 1/2 with variance 1/4 had been seen first, so the first bet is defined and no variance is 0.

    Args:
        u: Values in [0, 1], shape (n,) or (series, n).

    References:
        Waudby-Smith & Ramdas (JRSS-B 2024), equation 15: mu-hat and sigma-hat squared.
    """
    t = np.arange(1, u.shape[-1] + 1)
    mean = (0.5 + np.cumsum(u, axis=-1)) / (t + 1)
    variance = (0.25 + np.cumsum((u - mean) ** 2, axis=-1)) / (t + 1)
    return Past(_shifted(mean, 0.5), _shifted(variance, 0.25))


def _shifted(x: Floats, first: float) -> Floats:
    before = np.empty_like(x)
    before[..., :1] = first
    before[..., 1:] = x[..., :-1]
    return before
