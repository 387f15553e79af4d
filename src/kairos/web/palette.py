"""The colours of pages and pictures, for light and for dark paper.

The hues are those of Okabe and Ito (2008), which the common kinds of colour blindness tell apart, made darker or
lighter until text in them has a contrast of 4.5 to 1. No meaning hangs on a colour alone: lines also differ in dash,
marks in shape.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "BLUE",
    "COLOURS",
    "GREEN",
    "GRID",
    "INK",
    "ORANGE",
    "PAPER",
    "PICTURE_FONT",
    "PURPLE",
    "SOFT",
    "Colour",
    "css_variables",
]


class Colour(NamedTuple):
    """One colour, by the name of its CSS variable."""

    name: str
    light: str
    """On light paper, ``#rrggbb``; unique, because pictures are drawn in it and find their variable by it."""
    dark: str
    """On dark paper."""


INK = Colour("ink", "#1b1f24", "#e9ecef")
SOFT = Colour("soft", "#59626b", "#a7b0b9")
GRID = Colour("grid", "#e2e5e9", "#30363d")
PAPER = Colour("paper", "#ffffff", "#13161a")
BLUE = Colour("blue", "#0065ad", "#62b6f3")
ORANGE = Colour("orange", "#b84900", "#ff9c5a")
GREEN = Colour("green", "#007a5a", "#3fcfa5")
PURPLE = Colour("purple", "#8b4a9e", "#dba3ec")

PICTURE_FONT = "Helvetica,Arial,'Liberation Sans','Nimbus Sans','DejaVu Sans Condensed',sans-serif"
"""Fonts as wide as the one that labels were laid out with, or narrower."""

COLOURS = (INK, SOFT, GRID, PAPER, BLUE, ORANGE, GREEN, PURPLE)
"""All of them."""


def css_variables() -> str:
    """CSS that gives every colour its variable, on light and on dark paper. Printed paper is light.

    >>> css_variables()[:40]
    ':root{color-scheme:light dark;--ink:#1b1'
    """
    light = "".join(f"--{c.name}:{c.light};" for c in COLOURS)
    dark = "".join(f"--{c.name}:{c.dark};" for c in COLOURS)
    return f":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
