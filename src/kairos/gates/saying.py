"""Numbers and differences in words; the same words everywhere."""

from __future__ import annotations

from kairos.gates.evidence import Baseline
from kairos.gates.metrics import Metric
from kairos.stats.comparison import Comparison

__all__ = ["bounds", "difference", "level", "moment", "number", "ordinal", "percent"]


def number(value: float) -> str:
    """Four digits.

    >>> number(17.12345), number(0.00012)
    ('17.12', '0.00012')
    """
    return f"{value:.4g}"


def level(alpha: float) -> str:
    """The coverage of two bounds that err with chance alpha each.

    >>> level(0.05)
    '90%'
    """
    return f"{100 * (1 - 2 * alpha):.4g}%"


def bounds(metric: Metric, one: Comparison) -> tuple[float, float, float, str]:
    """Size of a difference, its bounds, and which side of the champion's value it is on: ``lower`` or ``higher``."""
    sides = ("lower", "higher") if metric.better == "lower" else ("higher", "lower")
    if one.difference >= 0:
        return one.difference, one.lower, one.upper, sides[0]
    return -one.difference, -one.upper, -one.lower, sides[1]


def difference(metric: Metric, one: Comparison, *, baseline: Baseline, alpha: float) -> str:
    """What was found, with its evidence, as the rest of a sentence."""
    size, low, high, side = bounds(metric, one)
    return (
        f"its {metric.title} of {number(one.challenger)} is {number(size)} {side} ({level(alpha)}: {number(low)} to "
        f"{number(high)}) than the {baseline}'s {number(one.champion)}, on {one.n} fresh rows"
    )


def percent(value: float) -> str:
    """A share in percent, with as many digits as it needs.

    >>> percent(0.0412), percent(0.12), percent(0.0004)
    ('4.1 %', '12 %', '0.04 %')
    """
    shown = 100 * abs(value)
    digits = f"{shown:.0f}" if shown >= 9.95 else f"{shown:.1f}" if shown >= 0.095 else f"{shown:.1g}"
    return f"{digits.removesuffix('.0')} %"


def moment(text: str) -> str:
    """A moment of the evidence as people read it.

    >>> moment("2012-03-03T14:00:00Z")
    '2012-03-03 14:00'
    """
    return text.replace("T", " ").removesuffix("Z").removesuffix(":00")


def ordinal(count: int) -> str:
    """First, second, third; then 4th.

    >>> ordinal(2), ordinal(11)
    ('second', '11th')
    """
    return {1: "first", 2: "second", 3: "third"}.get(count, f"{count}th")
