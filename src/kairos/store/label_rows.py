"""What a label says as rows of the prediction log: one, or one for each target that it says something of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Said", "SaidRow", "said_rows", "said_text"]

Said = float | str | Mapping[str, float]
"""What a label says: a number, the name of a class, or a number for some of several targets."""


class SaidRow(NamedTuple):
    """The fields of a label's row that say what was true."""

    value: float
    target: str | None = None
    text: str | None = None


def said_rows(said: Said) -> list[SaidRow]:
    """The rows of a number, of a class's name, or of numbers by target.

    >>> said_rows({"h1": 3.0, "h2": 4.0})
    [SaidRow(value=3.0, target='h1', text=None), SaidRow(value=4.0, target='h2', text=None)]
    """
    if isinstance(said, Mapping):
        return [SaidRow(float(value), target=target) for target, value in said.items()]
    return [SaidRow(float("nan"), text=said)] if isinstance(said, str) else [SaidRow(float(said))]


def said_text(value: Said) -> str:
    """What a label says, for people.

    >>> said_text(3.0), said_text("cat"), said_text({"h1": 3.5})
    ('3', "'cat'", 'h1=3.5')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={number:g}" for name, number in value.items())
    return repr(value) if isinstance(value, str) else f"{value:g}"
