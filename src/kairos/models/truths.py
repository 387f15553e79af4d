"""Which truths a model can be judged by: classes that it has learnt, counts that are never below nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kairos.models.outputs import Output
from kairos.store.label_rows import Said
from kairos.values import Json

__all__ = ["CHANCE", "RELEVANCE", "AnyTruths", "NamedTruths", "Truths", "truths_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truths:
    """What the target of a model can be; as it stands, every finite number.

    >>> Truths(lower=0.0).takes(-3.0), Truths(lower=0.0).takes(0.0), Truths(classes=(0.0, 1.0)).takes(0.5)
    (False, True, False)
    """

    classes: tuple[float, ...] = ()
    """What a classifier has learnt; empty: not only some numbers."""
    lower: float | None = None
    """The least that its loss is defined for."""
    is_open: bool = False
    """Whether ``lower`` itself is out of the question as well."""

    def takes(self, value: Said) -> bool:
        """Whether it can be true, as far as the model's loss goes."""
        if not isinstance(value, float | int) or not math.isfinite(value):
            return False
        if self.classes:
            return value in self.classes
        return self.lower is None or value > self.lower or (value == self.lower and not self.is_open)

    def plain(self) -> str:
        """The same for people.

        >>> Truths(classes=(0.0, 1.0, 2.0)).plain(), Truths(lower=0.0).plain(), Truths(lower=0.0, is_open=True).plain()
        ('0, 1 or 2', '0 or more', 'more than 0')
        """
        if self.classes:
            names = [f"{value:g}" for value in self.classes[:_MOST_TOLD]]
            more = len(self.classes) - len(names)
            last = f"{more} other classes" if more else names.pop()
            return f"{', '.join(names)} or {last}" if names else last
        if self.lower is None:
            return "a finite number"
        return f"more than {self.lower:g}" if self.is_open else f"{self.lower:g} or more"

    @classmethod
    def from_plain(cls, value: Json) -> Truths:
        """Reads what ``plain`` of ``values`` wrote."""
        return cls(**{**value, "classes": tuple(value["classes"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTruths:
    """What the truth of several outputs can be.

    >>> kind = NamedTruths(outputs=(Output(name="kind", kind="class", classes=("cat", "dog")),))
    >>> kind.takes("dog"), kind.takes("bird"), kind.plain()
    (True, False, "'cat' or 'dog'")
    >>> steps = NamedTruths(outputs=(Output(name="h1"), Output(name="h2")))
    >>> steps.takes({"h2": 3.0}), steps.takes(3.0), steps.plain()
    (True, False, 'a finite number for one or more of h1, h2')
    """

    outputs: tuple[Output, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """Of several; none: there is one."""
        return tuple(output.name for output in self.outputs) if len(self.outputs) > 1 else ()

    def takes(self, value: Said) -> bool:
        """Whether it can be true."""
        if isinstance(value, Mapping):
            return bool(value) and value.keys() <= set(self.targets) and all(map(math.isfinite, value.values()))
        if self.targets:
            return False
        if self.outputs[0].kind == "class":
            return value in self.outputs[0].classes
        return not isinstance(value, str) and math.isfinite(value)

    def plain(self) -> str:
        """The same for people."""
        if self.targets:
            return f"a finite number for one or more of {', '.join(self.targets[:_MOST_TOLD])}"
        classes = self.outputs[0].classes
        if not classes:
            return "a finite number"
        names = [repr(each) if isinstance(each, str) else f"{each:g}" for each in classes[:_MOST_TOLD]]
        more = len(classes) - len(names)
        return f"{', '.join(names if more else names[:-1])} or {f'{more} other classes' if more else names[-1]}"


AnyTruths = Truths | NamedTruths


_MOST_TOLD = 20

CHANCE = Truths(classes=(0.0, 1.0))
"""What the log loss is defined for."""

RELEVANCE = Truths(lower=0.0)
"""What the losses of an order are defined for."""

_COUNTS = Truths(lower=0.0)
_AMOUNTS = Truths(lower=0.0, is_open=True)
_BY_LOSS = {"poisson": _COUNTS, "count:poisson": _COUNTS, "gamma": _AMOUNTS, "reg:gamma": _AMOUNTS}
_BY_CLASS = {"PoissonRegressor": _COUNTS, "GammaRegressor": _AMOUNTS}


def truths_of(estimator: Any) -> Truths:
    """What a fitted estimator's own loss is defined for: the classes it has seen, or the counts of a Poisson loss.

    An estimator that turns its target into something else before it learns is taken as it stands: every number.
    """
    classes = np.asarray(getattr(estimator, "classes_", ()))
    if classes.ndim == 1 and classes.size and classes.dtype.kind in "biuf":
        return Truths(classes=tuple(sorted(float(value) for value in classes)))
    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    params: Mapping[str, Any] = last.get_params(deep=False) if hasattr(last, "get_params") else {}
    if type(last).__name__ == "TweedieRegressor":
        power = float(params["power"])
        return _AMOUNTS if power >= 2.0 else _COUNTS if power >= 1.0 else Truths()
    named = [str(params[key]) for key in ("loss", "criterion", "objective") if key in params]
    found = [_BY_LOSS[name] for name in named if name in _BY_LOSS]
    return found[0] if found else _BY_CLASS.get(type(last).__name__, Truths())
