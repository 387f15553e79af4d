"""Answers that cannot be: minus 15 users, NaN, infinity. A contract on the output, tested as a rate."""

from __future__ import annotations

import math

from kairos.monitor.findings import Finding
from kairos.stats.rates import rate_log_e
from kairos.values import Window

__all__ = ["impossible_values"]


def impossible_values(
    k: int, n: int, *, window: Window, version: int, cap: float = 0.001, alpha: float = 0.05
) -> Finding | None:
    """Finds answers outside the output's range; an alarm once their rate is proven to be above the cap.

    Counts since the version went live, so the test is valid at every look: a model whose true rate is at most ``cap``
    ever alarms with chance at most ``alpha``.

    Args:
        k: Answers that broke the output's contract, before the guard acted.
        n: Answers.
        window: Since the version went live.
        version: Whose answers.
        cap: Tolerated share, in (0, 1).
        alpha: Chance of a false alarm, ever.

    Returns:
        ``alarm`` if the rate is proven to be above the cap, ``info`` if there was any, ``None`` if there was none.

    Examples:
        >>> from kairos.values import Window
        >>> w = Window.parse("2012-01-01..2012-01-31")
        >>> impossible_values(9, 700, window=w, version=1).level
        'alarm'
        >>> impossible_values(1, 700, window=w, version=1).level
        'info'
    """
    if k == 0:
        return None
    proven = rate_log_e(k, n, cap, "greater") >= math.log(1 / alpha)
    verdict = (
        f"the rate is above the {cap:.2%} tolerated ({1 - alpha:.0%} at any number of looks)"
        if proven
        else f"not proven to be above the {cap:.2%} tolerated"
    )
    return Finding(
        check="impossible_values",
        level="alarm" if proven else "info",
        column=None,
        value=k / n,
        lower=cap if proven else None,
        upper=None,
        threshold=cap,
        window=window,
        rows=n,
        sentence=f"{k} of {n} answers ({k / n:.2%}) were outside the output's range: {verdict}.",
        version=version,
    )
