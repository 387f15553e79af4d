"""Is this the same number in another unit? Degrees Fahrenheit for Celsius, cents for euros, a sign turned round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kairos.stats.arrays import Floats, pair

__all__ = ["UnitChange", "unit_change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChange:
    """``after`` looks like ``scale * before + offset``."""

    scale: float
    offset: float
    name: str | None
    """Of the conversion, such as ``"Celsius to Fahrenheit"``; ``None``: of none that is known."""
    misfit: float
    """How far the quantiles are from it, in standard deviations of the later values."""

    @property
    def formula(self) -> str:
        """For a person.

        >>> UnitChange(scale=1.8, offset=32.0, name=None, misfit=0.0).formula
        '1.8 x + 32'
        """
        scale = "" if self.scale == 1 else "-" if self.scale == -1 else f"{self.scale:.4g} "
        sign = "-" if self.offset < 0 else "+"
        return f"{scale}x {sign} {abs(self.offset):.4g}" if self.offset else f"{scale}x"


_KNOWN: tuple[tuple[str, float, float], ...] = (
    ("Celsius to Fahrenheit", 1.8, 32.0),
    ("Fahrenheit to Celsius", 5 / 9, -160 / 9),
    ("Celsius to kelvin", 1.0, 273.15),
    ("kelvin to Celsius", 1.0, -273.15),
    ("sign turned round", -1.0, 0.0),
    *((f"times {factor:,}".replace(",", " "), float(factor), 0.0) for factor in (10, 100, 1000, 10**6, 10**9)),
    *((f"divided by {factor:,}".replace(",", " "), 1 / factor, 0.0) for factor in (10, 100, 1000, 10**6, 10**9)),
    ("minutes to seconds, or hours to minutes", 60.0, 0.0),
    ("seconds to minutes, or minutes to hours", 1 / 60, 0.0),
    ("hours to seconds", 3600.0, 0.0),
    ("seconds to hours", 1 / 3600, 0.0),
    ("days to hours", 24.0, 0.0),
    ("hours to days", 1 / 24, 0.0),
    ("days to seconds", 86400.0, 0.0),
    ("seconds to days", 1 / 86400, 0.0),
    ("miles to kilometres", 1.609344, 0.0),
    ("kilometres to miles", 1 / 1.609344, 0.0),
    ("kilograms to pounds", 2.204623, 0.0),
    ("pounds to kilograms", 1 / 2.204623, 0.0),
    ("inches to centimetres", 2.54, 0.0),
    ("centimetres to inches", 1 / 2.54, 0.0),
    ("metres to feet", 3.28084, 0.0),
    ("feet to metres", 0.3048, 0.0),
    ("metres a second to kilometres an hour", 3.6, 0.0),
    ("kilometres an hour to metres a second", 1 / 3.6, 0.0),
)

_NEAR, _VERY_NEAR = 1.0, 0.2
"""Misfit, in standard deviations, up to which a conversion is believed: the values themselves may have drifted, too."""
_FAR_BETTER, _BETTER = 5.0, 3.0
"""By how much a conversion has to fit better than no conversion: of one that leads far away, and of the others."""
_ROUGH = 0.02
"""A misfit as small as this may be chance."""
_FAR = 3.0
"""A factor, or an offset in standard deviations, that no weather brings about; below it the fit has to be very near."""
_ODD = 2.0
"""A factor that nobody has a name for is told of from here on; an offset without a name is no conversion."""


def unit_change(before: ArrayLike, after: ArrayLike) -> UnitChange | None:
    """The conversion that turns the quantiles of a column into its later ones, if there is one and it is not "none".

    Looks at shapes, so values need not be paired. Of several conversions the one that fits best is told; neighbours
    (metres to feet, metres a second to kilometres an hour) may be taken for each other.

    Args:
        before: Quantiles of the earlier values, shape (k,), k of 5 or more, ascending.
        after: The same quantiles of the later ones.

    Returns:
        ``None`` if nothing fits, if either is (nearly) constant, or if no conversion fits nearly as well.

    Examples:
        >>> celsius = np.linspace(-5, 30, 9)
        >>> unit_change(celsius, celsius * 1.8 + 32).name
        'Celsius to Fahrenheit'
        >>> unit_change(celsius, celsius + 2) is None
        True
    """
    x, y = pair("earlier quantiles", before, "later quantiles", after)
    spread = float(y.std())
    if x.size < 5 or not spread > 1e-12 * max(1.0, float(np.abs(y).max())) or not float(x.std()) > 0:
        return None
    fits = [UnitChange(scale=a, offset=b, name=name, misfit=_misfit(x, y, a, b)) for name, a, b in _KNOWN]
    best = min(fits, key=lambda fit: fit.misfit)
    if _holds(best, x, y):
        return best
    a, b = (float(value) for value in np.polyfit(x, y, 1))
    free = UnitChange(scale=a, offset=b, name=None, misfit=_misfit(x, y, a, b))
    is_odd = a < 0 or abs(math.log(max(a, 1e-300))) >= math.log(_ODD)
    return free if is_odd and free.misfit <= _VERY_NEAR and _holds(free, x, y) else None


def _misfit(x: Floats, y: Floats, a: float, b: float) -> float:
    """Turning the scale round turns the order of the quantiles round, too."""
    mapped = np.sort(a * x + b)
    return float(np.sqrt(np.mean((y - mapped) ** 2)) / y.std())


def _holds(fit: UnitChange, x: Floats, y: Floats) -> bool:
    """Whether it fits, far better than no change, and its scale better than that of values that only moved.

    A cold spell is about where degrees Celsius would be of Fahrenheit, but it is as wide as before.
    """
    near, better = (_NEAR, _FAR_BETTER) if _is_far(fit, x) else (_VERY_NEAR, _BETTER)
    if fit.misfit > near or fit.misfit * better > _misfit(x, y, 1.0, 0.0):
        return False
    scaled, moved = (_misfit(x, y, a, float(y.mean() - a * x.mean())) for a in (fit.scale, 1.0))
    return fit.scale == 1 or (scaled + _ROUGH) * (1.5 if fit.scale < 0 else 1.2) <= moved


def _is_far(fit: UnitChange, x: Floats) -> bool:
    factor = abs(math.log(abs(fit.scale))) if fit.scale else math.inf
    return fit.scale < 0 or factor >= math.log(_FAR) or abs(fit.offset) >= _FAR * float(x.std())
