"""The losses that a profile keeps: of the holdout, where the step takes one, else of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kairos.errors import UsageError
from kairos.gates.loss_names import is_of_order
from kairos.gates.losses import loss_named
from kairos.models.frames import column_names, frame_kind
from kairos.models.goals import truth_of
from kairos.models.outputs import Output
from kairos.models.profile import ReferenceLosses

__all__ = ["known_truth", "reference_losses"]


def known_truth(table: Any, targets: Sequence[str], outputs: Sequence[Output]) -> np.ndarray[Any, Any] | None:
    """What was true of each row, as a loss takes it; ``None`` if the table lacks it, or not every row has it."""
    if not set(targets) <= set(column_names(table)):
        return None
    if any(_missing(table[name]) for name in targets):
        return None
    return truth_of(table, targets, outputs)


def reference_losses(
    truth: np.ndarray[Any, Any], answers: np.ndarray[Any, Any], *, loss: str, on: str
) -> ReferenceLosses | None:
    """The losses of these rows, before the output guard; ``None`` if they cannot be told.

    Args:
        truth: As a loss takes it.
        answers: Of the model.
        loss: Its name.
        on: Which rows.
    """
    if is_of_order(loss):  # of lists, and told by the measuring of the run
        return None
    try:
        return ReferenceLosses.fit(loss_named(loss)(truth, answers), loss=loss, on=on)
    except UsageError:  # a truth that the loss does not know: the measuring of the run tells it
        return None


def _missing(column: Any) -> bool:
    return bool(column.null_count()) if frame_kind(column.to_frame()) == "polars" else bool(column.isna().any())
