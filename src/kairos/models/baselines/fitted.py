"""Baselines as a package has them, and what they answer. Loads numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kairos.errors import PackageError
from kairos.models.baselines.last_value import History, LastValue
from kairos.models.baselines.linear import Linear
from kairos.models.baselines.names import BASELINES, BaselineName
from kairos.models.outputs import Output
from kairos.values import Json

__all__ = ["Baselines", "constant_answers", "last_answers"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baselines:
    """The baselines of one model, as its package has them."""

    chosen: BaselineName | None
    """The best on the last fifth of the training rows; never chosen on rows held out. ``None``: none was asked for."""
    inner: Mapping[BaselineName, float] = field(default_factory=dict)
    """Mean loss there, fitted to the rows before."""
    left_out: Mapping[BaselineName, str] = field(default_factory=dict)
    """Those that do not apply, and why."""
    linear: Linear | None = None
    last_value: LastValue | None = None

    @property
    def names(self) -> tuple[BaselineName, ...]:
        """Those that apply, the best on the training rows first."""
        return tuple(sorted(self.inner, key=lambda name: (self.inner[name], BASELINES.index(name))))

    @classmethod
    def from_plain(cls, value: Json) -> Baselines:
        """Reads what ``plain`` of ``values`` wrote.

        Raises:
            PackageError: the value is no such thing.
        """
        try:
            linear, last = value["linear"], value["last_value"]
            return cls(
                chosen=value["chosen"],
                inner=dict(value["inner"]),
                left_out=dict(value["left_out"]),
                linear=None if linear is None else Linear.from_plain(linear),
                last_value=None if last is None else LastValue.from_plain(last),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PackageError("The baselines of a model package cannot be read.", given=str(error)) from error


def constant_answers(constant: Sequence[float], rows: int, outputs: Sequence[Output]) -> Floats:
    """The same answer in every row, shape (n,) or (n, numbers)."""
    return np.tile(np.array(constant), (rows, 1)) if outputs else np.full(rows, constant[0])


def last_answers(
    last: LastValue,
    history: History,
    at_s: NDArray[np.int64],
    entity: NDArray[np.int64],
    *,
    constant: Sequence[float],
    outputs: Sequence[Output],
) -> Floats:
    """The last value for each row, as the model answers; where none was known, the constant."""
    found = last.answers(history, at_s, entity)
    simple = constant_answers(constant, len(at_s), outputs)
    if outputs and outputs[0].kind == "class":
        known = np.isfinite(found) & (found >= 0)
        sure = np.eye(len(outputs[0].classes))[np.where(known, found, 0).astype(np.int64)]
        return np.where(known[:, None], sure, simple)
    return np.where(np.isfinite(found), found, simple)
