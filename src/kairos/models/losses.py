"""How wrong a version was when it was packaged, as its profile keeps it: all rows, and by level of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kairos.models.levels import fewest_rows
from kairos.stats.sketch import QuantileSketch
from kairos.values import Json

__all__ = ["MOST_SLICES", "LevelLoss", "ReferenceLosses", "level_text", "losses_by_level"]

MOST_SLICES = 50
"""A column of more levels is no part of the world, as the gate has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelLoss:
    """How wrong the model was where a column has one level."""

    rows: int
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLosses:
    """How wrong the model was when it was packaged: what live losses are held against."""

    loss: str
    """Its name."""
    on: str
    """``"holdout"`` or ``"train"`` (then smaller than live ones)."""
    mean: float
    sketch: QuantileSketch
    """Of the loss of each row; of a model that ranks, here and below, of each list."""
    slices: dict[str, dict[str, LevelLoss]] = field(default_factory=dict)
    """By column that the project names, and by level, of those that enough rows share to be named."""

    @classmethod
    def fit(
        cls,
        losses: np.ndarray[Any, Any],
        *,
        loss: str,
        on: str,
        slices: Mapping[str, Sequence[object]] | None = None,
    ) -> ReferenceLosses | None:
        """Describes losses, one a row, shape (n,); ``None`` if one of them is no number, or there are none.

        Args:
            losses: Of rows, or of lists.
            loss: Its name.
            on: Which rows.
            slices: The level of each row, by column.
        """
        if not losses.size or not np.isfinite(losses).all():
            return None
        by_level = {name: losses_by_level(losses, levels) for name, levels in sorted((slices or {}).items())}
        return cls(
            loss=loss,
            on=on,
            mean=float(losses.mean()),
            sketch=QuantileSketch.fit(losses),
            slices={name: found for name, found in by_level.items() if found},
        )

    @classmethod
    def from_plain(cls, value: Json) -> ReferenceLosses:
        """Reads what ``plain`` of ``values`` wrote, with slices or without."""
        slices = {
            name: {level: LevelLoss(**each) for level, each in levels.items()}
            for name, levels in value.get("slices", {}).items()
        }
        return cls(**{**value, "sketch": QuantileSketch.from_plain(value["sketch"]), "slices": slices})


def losses_by_level(losses: np.ndarray[Any, Any], levels: Sequence[object]) -> dict[str, LevelLoss]:
    """The mean loss where a column has one level, by its text; empty if they are too many to be slices.

    Args:
        losses: Shape (n,).
        levels: One a row.
    """
    texts = np.array([level_text(each) for each in levels], dtype=np.str_)
    names, of_row, rows = np.unique(texts, return_inverse=True, return_counts=True)
    if names.size > MOST_SLICES:
        return {}
    sums, fewest = np.bincount(of_row.ravel(), weights=losses, minlength=names.size), fewest_rows(losses.size)
    return {
        str(name): LevelLoss(rows=int(count), mean=float(total / count))
        for name, total, count in zip(names, sums, rows, strict=True)
        if count >= fewest
    }


def level_text(value: object) -> str:
    """A level as text, the same whether a table, or the log, has a whole number as such.

    >>> level_text(3.0), level_text("at"), level_text(None)
    ('3', 'at', 'None')
    """
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
