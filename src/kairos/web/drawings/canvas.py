"""SVG, one shape after the other, in the colours of the page and with a title and a description in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from kairos.web.palette import GRID, INK, PAPER, PICTURE_FONT, SOFT, Colour
from kairos.web.words import clean

__all__ = ["Canvas", "Scale", "shortened", "ticks"]

Shape = Literal["circle", "diamond", "cross", "triangle"]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where values are drawn: a stretch of values onto a stretch of pixels."""

    low: float
    high: float
    start: float
    """Pixel of the low end; larger than ``end`` where values grow upwards."""
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; what is beyond an end is drawn at that end."""
        part = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return self.start + part * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value is between the ends."""
        return self.low <= value <= self.high


@dataclass(slots=True, kw_only=True)
class Canvas:
    """A picture that is being drawn."""

    name: str
    """Of lower-case letters, digits and hyphens; unique on its page."""
    title: str
    description: str
    """The main thing to be seen in it, in words, for those who do not see it."""
    width: float = 860
    height: float
    parts: list[str] = field(default_factory=list)

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: Colour = GRID,
        *,
        thick: float = 1,
        dash: str = "",
    ) -> None:
        """A straight line; ``dash`` as in SVG, such as ``4 3``."""
        self.path([start, end], colour, thick=thick, dash=dash)

    def path(
        self, points: Sequence[tuple[float, float]], colour: Colour, *, thick: float = 1.5, dash: str = ""
    ) -> None:
        """A line through points."""
        drawn = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        paint = f'fill="none" stroke="var(--{colour.name})" stroke-width="{_number(thick)}"{dashed}'
        self.parts.append(f'<polyline points="{drawn}" {paint}/>')

    def area(self, points: Sequence[tuple[float, float]], colour: Colour, *, opacity: float = 0.2) -> None:
        """What points enclose."""
        drawn = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self.parts.append(f'<polygon points="{drawn}" fill="var(--{colour.name})" fill-opacity="{opacity:g}"/>')

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, *, opacity: float = 1.0) -> None:
        """A filled rectangle, from its upper left corner."""
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(max(width, 0.0))}" height="{_number(height)}"'
        self.parts.append(f'<rect {place} fill="var(--{colour.name})" fill-opacity="{opacity:g}"/>')

    def mark(self, x: float, y: float, shape: Shape, colour: Colour, *, size: float = 5) -> None:
        """A small shape around a point, with an edge of paper."""
        edge = f'fill="var(--{colour.name})" stroke="var(--{PAPER.name})"'
        if shape == "circle":
            self.parts.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(size)}" {edge}/>')
            return
        drawn = " ".join(f"{_number(x + size * dx)},{_number(y + size * dy)}" for dx, dy in _SHAPES[shape])
        self.parts.append(f'<polygon points="{drawn}" {edge}/>')

    def text(
        self, x: float, y: float, text: str, colour: Colour = INK, *, anchor: Anchor = "start", bold: bool = False
    ) -> None:
        """A line of text; ``y`` is its middle."""
        weight = ' font-weight="600"' if bold else ""
        place = f'x="{_number(x)}" y="{_number(y + 4)}" text-anchor="{anchor}"'
        self.parts.append(f'<text {place} fill="var(--{colour.name})"{weight}>{escape(clean(text))}</text>')

    def across(self, scale: Scale, *, top: float, bottom: float, written: Callable[[float], str]) -> None:
        """A horizontal axis: lines from top to bottom, and the values below them."""
        for value in ticks(scale.low, scale.high):
            self.line((scale(value), top), (scale(value), bottom))
            self.text(scale(value), bottom + 12, written(value), SOFT, anchor="middle")

    def upwards(self, scale: Scale, *, left: float, right: float, written: Callable[[float], str]) -> None:
        """A vertical axis: lines from left to right, and the values left of them."""
        for value in ticks(scale.low, scale.high, most=5):
            self.line((left, scale(value)), (right, scale(value)))
            self.text(left - 8, scale(value), written(value), SOFT, anchor="end")

    def svg(self) -> str:
        """The whole, to be put into a page that has the colours' variables."""
        ids = f"{self.name}-title", f"{self.name}-text"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(self.width)} {_number(self.height)}" '
            f'role="img" aria-labelledby="{ids[0]} {ids[1]}" font-size="12" '
            f'font-family="{escape(PICTURE_FONT)}" style="max-width:{_number(self.width * 1.25)}px">'
        )
        named = f'<title id="{ids[0]}">{escape(clean(self.title))}</title>'
        told = f'<desc id="{ids[1]}">{escape(clean(self.description))}</desc>'
        return "\n".join([head, named, told, *self.parts, "</svg>"])


_SHAPES: dict[str, tuple[tuple[float, float], ...]] = {
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "triangle": ((0, -1.2), (1.2, 1), (-1.2, 1)),
    "cross": (
        (-1.2, -0.5), (-0.5, -1.2), (0, -0.7), (0.5, -1.2), (1.2, -0.5), (0.7, 0),
        (1.2, 0.5), (0.5, 1.2), (0, 0.7), (-0.5, 1.2), (-1.2, 0.5), (-0.7, 0),
    ),
}  # fmt: skip


def ticks(low: float, high: float, *, most: int = 7) -> list[float]:
    """Round values between two, in even steps of 1, 2 or 5.

    >>> ticks(-3.2, 10.1)
    [-2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return []
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (power * factor) <= most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def shortened(text: str, most: int) -> str:
    """A label that fits.

    >>> shortened("a long label", 8)
    'a long …'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _number(value: float) -> str:
    """A hundredth of a pixel is enough."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
