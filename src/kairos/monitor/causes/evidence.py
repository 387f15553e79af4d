"""What a search for causes is made from: rows with their symptom, and what the ledger tells around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kairos.errors import ShapeMismatch

__all__ = ["KINDS", "CauseEvidence", "Difference", "Event", "Kind", "Rows", "Symptom"]

Symptom = Literal["loss", "bias", "impossible", "output"]
"""What went wrong with a row: ``loss`` and ``bias`` (prediction minus label, or label minus prediction where that is
what rose) need labels; ``impossible`` is 1 where the output broke its range; ``output`` is the prediction itself."""

Kind = Literal[
    "schema", "unit", "missing", "unseen", "data", "params", "code", "library", "settings", "mix", "shift",
    "labels", "deployment", "serving", "concept",
]  # fmt: skip
"""From upstream to downstream; of causes that account for the same, the one further upstream is named first."""

KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as it was, between the run of one version and that of the version before it."""

    kind: Kind
    what: str
    """Part of a sentence, such as ``scikit-learn 1.8.0 -> 1.9.1``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Users began to get another version's answers."""

    at: datetime
    seq: int
    """The ledger entry that tells."""
    version: str
    before: str | None
    """The version that had answered; ``None``: nothing had."""
    what: str
    """Part of a sentence, such as ``demand@4 went live``."""
    differences: tuple[Difference, ...] = ()
    """What came with it."""
    effect: tuple[float, float, float] | None = None
    """Of the new version on the symptom, on requests that both predicted: estimate, lower and upper bound; ``None``
    if too few were."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Answered requests, in any order; where a label is needed, only those that have one."""

    day: NDArray[np.int64]
    """UTC day of the prediction, as ``kairos.monitor.days.day_number`` numbers them, shape (n,)."""
    value: NDArray[np.float64]
    """The symptom, shape (n,), finite; higher is worse."""
    inputs: Mapping[str, NDArray[Any]]
    """Captured inputs: float64 with NaN, or objects with ``None``, each of shape (n,)."""
    output: NDArray[np.float64]
    """What was answered, shape (n,); NaN where nothing was."""
    label: NDArray[np.float64]
    """The truth, shape (n,); NaN where it is not known."""

    def __post_init__(self) -> None:
        sizes = {len(x) for x in (self.day, self.value, self.output, self.label, *self.inputs.values())}
        if len(sizes) > 1:
            raise ShapeMismatch("Rows of a search for causes are not paired.", given=f"lengths {sorted(sizes)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CauseEvidence:
    """Everything that ``find_causes`` looks at."""

    model: str
    as_of: datetime
    symptom: Symptom
    named: str
    """The symptom for a person, such as ``mean absolute error``."""
    rows: Rows
    events: tuple[Event, ...] = ()
    """In the order of time."""
    slices: frozenset[str] = frozenset()
    """Inputs by which the owner parts the traffic; others do so, too, if they have levels."""
    not_before: int | None = None
    """Day before which no rise is looked for; ``None``: anywhere."""
    reference: Literal["before", "holdout"] = "before"
    """Rows before the rise are what users got, or, where a model was not live for long enough, its holdout."""
    column: str | None = None
    """The input that the finding is about, if it is about one."""
