"""What the project's settings say about a model, as far as finishing it goes."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.models.baselines.names import BASELINES, BaselineName

__all__ = ["ModelOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What the project's settings say about a model."""

    step: str | None = None
    """Name of its ``@model`` step; ``None`` if it is the model's own name."""
    target: str | None = None
    """``None``: the decorator says it."""
    targets: tuple[str, ...] = ()
    """All of them, if there are several."""
    time: str | None = None
    entity: str | None = None
    rank_within: str | None = None
    """Column whose rows are ranked against each other where they are alike."""
    item: str | None = None
    """Column that says which thing a row of a list is."""
    loss: str = "absolute_error"
    drop: tuple[str, ...] = ()
    """Beside what the decorator drops."""
    lower: float | None = None
    """Smallest prediction that may leave the server."""
    upper: float | None = None
    """Largest prediction that may leave the server."""
    allow_pickle: bool = False
    baselines: tuple[BaselineName, ...] = BASELINES
    """Simple models that are fitted beside it."""
    label_delay_s: float = 0.0
    """How late a truth is known, which the last value has to wait for."""
    slices: tuple[str, ...] = ()
    """Columns by whose levels the reference losses are kept as well."""

    @property
    def keys(self) -> list[str]:
        """Columns that say when, about whom, in which list and of what a row is: never inputs."""
        return [key for key in (self.time, self.entity, self.rank_within, self.item) if key is not None]
