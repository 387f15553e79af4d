"""The rows that two models are judged on: what was true, what each of them said, and what may tie rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.stats.dependence import Dependence

__all__ = ["GateRows"]

_MOST_LEVELS = 50
"""A slice column with more levels is a number or a name, not a part of the world; and the ledger would swell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GateRows:
    """Fresh rows with a known truth, in any order."""

    truth: NDArray[Any]
    """Shape (n,); of several targets (n, targets); of a class told by its chances its place, -1 if it is not known."""
    challenger: NDArray[Any]
    """What the version says, after the output guard, shape (n,), or (n, numbers)."""
    champion: NDArray[Any] | None = None
    """What it is compared with says; ``None``: nothing is live, or it cannot be asked about these rows."""
    simple: NDArray[Any] | None = None
    """What the simple baseline says."""
    times: NDArray[Any] | None = None
    """Moment of each row."""
    entities: NDArray[Any] | None = None
    """Whom each row is about."""
    columns: Mapping[str, Sequence[object] | NDArray[Any]] = field(default_factory=dict)
    """Slices, protected slices and groups: each row's level, by column."""
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What may be searched for slices that got worse."""
    names: Sequence[tuple[str, NDArray[Any]]] = ()
    """Columns that may be entities although nobody said so; whether they tie rows together is looked at and told."""
    time_column: str | None = None
    """The column that ``times`` are from, if nobody named it."""
    digest: str
    """Name of the table that the rows are from."""
    dependence: Dependence = field(init=False, repr=False)
    """What may tie rows together."""

    def __post_init__(self) -> None:
        arrays = (self.challenger, self.champion, self.simple, self.times, self.entities)
        tied = [values for _, values in self.names]
        for array in (*arrays, *self.columns.values(), *self.inputs.values(), *tied):
            if array is not None and len(array) != self.n:
                raise ShapeMismatch("A gate's rows are not of one length.", given=f"{self.n} and {len(array)}")
        tie = Dependence(times=self.times, entities=None if self.entities is None else texts(self.entities))
        object.__setattr__(self, "dependence", tie.coded())  # once, for it is asked for every slice

    @property
    def n(self) -> int:
        """How many."""
        return len(self.truth)

    @property
    def span(self) -> tuple[str | None, str | None]:
        """The first and the last moment, as text; ``None`` if rows have no moments."""
        if self.times is None or self.n == 0:
            return None, None
        return _moment(self.times.min()), _moment(self.times.max())

    @property
    def is_wide(self) -> bool:
        """Whether an answer is several numbers."""
        return self.challenger.ndim == 2

    @property
    def has_chances(self) -> bool:
        """Whether an answer is a chance for each of several classes."""
        return self.is_wide and self.truth.ndim == 1 and bool(np.allclose(self.challenger.sum(axis=1), 1.0, atol=1e-3))

    @property
    def is_binary(self) -> bool:
        """Whether the truth is 0 or 1 in every row."""
        return (
            not self.is_wide
            and self.truth.dtype.kind in "iufb"
            and bool(np.isin(self.truth, (0, 1)).all())
            and self.n > 0
        )

    @property
    def is_chance(self) -> bool:
        """Whether the truth is 0 or 1 in every row, and every answer is in [0, 1]: a chance of 1, or a class."""
        answers = [one for one in (self.challenger, self.champion) if one is not None]
        return self.is_binary and all(bool(((one >= 0) & (one <= 1)).all()) for one in answers)

    def levels(self, column: str) -> NDArray[np.str_]:
        """Each row's level of a column, as text.

        Raises:
            UsageError: there is no such column.
            SettingsError: it has more than 50 levels.
        """
        if column not in self.columns:
            raise UsageError(
                f"The gate's rows have no levels of the slice {column!r}.",
                given=", ".join(self.columns) or "no slices",
            )
        levels = texts(self.columns[column])
        count = len(np.unique(levels))
        if count > _MOST_LEVELS:
            raise SettingsError(
                f"The column {column!r} cannot be a slice.",
                given=f"{count} levels",
                accepted=f"at most {_MOST_LEVELS}",
                hint="Name a column of few levels, or make one in the pipeline.",
            )
        return levels


def texts(values: Sequence[object] | NDArray[Any]) -> NDArray[np.str_]:
    """Names as text, so that numbers, text and missing ones sort together."""
    return np.asarray([str(value) for value in values], dtype=np.str_)


def _moment(time: object) -> str:
    return str(np.datetime_as_string(time, unit="s", timezone="UTC") if isinstance(time, np.datetime64) else time)
