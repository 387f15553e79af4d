"""Did requests arrive in the shares that were drawn? If not, nothing measured on them can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from kairos.errors import ShapeMismatch, UsageError
from kairos.stats.arrays import finite

__all__ = ["srm_log_e"]


def srm_log_e(counts: ArrayLike, shares: ArrayLike, k: float = 100.0) -> float:
    """Log e-value against "each request goes to arm j with chance ``shares[j]``", at any number of looks.

    The verdict of a rollout is invalid from an e-value of 100. E-values of ramp steps with different shares multiply
    (their logarithms add).

    Args:
        counts: Requests per arm, shape (arms,).
        shares: Designed share per arm, shape (arms,), above 0, sum 1.
        k: Concentration of the Dirichlet mixture; larger looks for smaller deviations.

    Examples:
        >>> round(srm_log_e([9400, 600], [0.95, 0.05]), 4)
        7.4191

    References:
        Lindon & Malek (NeurIPS 2022), Dirichlet-multinomial mixture.
    """
    n, th = finite("requests per arm", counts), finite("shares", shares)
    if n.shape != th.shape or n.size < 2:
        raise ShapeMismatch("Requests and shares are not of the same arms.", given=f"{n.size} and {th.size}")
    if n.min() < 0 or th.min() <= 0 or abs(th.sum() - 1) > 1e-9 or not k > 0:
        raise UsageError(
            "Requests and shares do not fit.",
            given=f"requests {n.tolist()}, shares {th.tolist()}, k {k!r}",
            accepted="counts of 0 or more, shares above 0 that sum to 1, k above 0",
        )
    prior = k * th
    mixture = gammaln(k) - gammaln(k + n.sum()) + np.sum(gammaln(prior + n) - gammaln(prior))
    return float(mixture - np.sum(n * np.log(th)))
