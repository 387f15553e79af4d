"""An interval as a line of letters: where it lies, and whether it holds nothing."""

from __future__ import annotations

import math

__all__ = ["LEGEND", "picture"]

_SIDE = 10
LEGEND = "   worse  │  better   "
"""The head of a column of pictures."""


def picture(lower: float, middle: float, upper: float, scale: float) -> str:
    """Draws bounds around 0, which is the upright in the middle; what lies beyond the scale ends in an arrow.

    Args:
        lower: Lower bound.
        middle: The estimate.
        upper: Upper bound.
        scale: What the ends of the line stand for, above 0.

    Examples:
        >>> picture(1.0, 3.0, 5.0, 10.0)
        '          │──●──     '
        >>> picture(-12.0, -3.0, 2.0, 10.0)
        '◄──────●──┼──        '
    """
    if any(math.isnan(value) for value in (lower, middle, upper)) or not scale > 0:
        return " " * (2 * _SIDE + 1)

    def place(value: float) -> int:
        return _SIDE + round(min(max(value / scale, -1.0), 1.0) * _SIDE)

    start, end = place(lower), place(upper)
    cells = ["─" if start <= i <= end else " " for i in range(2 * _SIDE + 1)]
    cells[_SIDE] = "┼" if lower < 0 < upper else "│"
    cells[place(middle)] = "●"
    if lower < -scale:
        cells[0] = "◄"
    if upper > scale:
        cells[-1] = "►"
    return "".join(cells)
