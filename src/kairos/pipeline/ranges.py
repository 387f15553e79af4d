"""``Between``: the range in which `kairos tune` may look for a param, written where the param is."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field

from kairos.errors import UsageError

__all__ = ["Between", "without_range"]


@dataclass(frozen=True, slots=True)
class Between:
    """The values of a number that are worth trying, both ends included. It refuses nothing: a run takes any value.

    >>> from typing import Annotated
    >>> def demand(train, *, rate: Annotated[float, Between(1e-3, 0.3, log=True)] = 0.1): ...

    Args:
        low: The smallest.
        high: The largest.
        log: Whether a factor counts alike everywhere, as of learning rates; both ends are above 0 then.
        step: The distance between values that are tried; ``None``: any, of whole numbers 1.
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UsageError("A range holds no values.", given=self, accepted="two finite numbers, the smaller first")
        if self.log and self.low <= 0:
            raise UsageError(
                "A range that counts factors begins above 0.", given=self, accepted="low > 0, or log=False"
            )
        if self.step is not None and not (0 < self.step <= self.high - self.low and not self.log):
            raise UsageError(
                "A range cannot be walked in such steps.",
                given=self,
                accepted="a step above 0 that is no longer than the range, and not with log=True",
            )


def without_range(annotation: ast.expr) -> ast.expr:
    """An annotation without the range that is told in it: where a search looks is nothing that a step's result knows.

    >>> ast.unparse(without_range(ast.parse("Annotated[float, Between(0.1, 1.0)]", mode="eval").body))
    'float'
    """
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.slice, ast.Tuple):
        return annotation
    kind, *extras = annotation.slice.elts
    is_told = bool(extras) and all(isinstance(each, ast.Call) and _last(each.func) == "Between" for each in extras)
    return kind if is_told and _last(annotation.value) == "Annotated" else annotation


def _last(name: ast.expr) -> str:
    return ast.unparse(name).rpartition(".")[2]
