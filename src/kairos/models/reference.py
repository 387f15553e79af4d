"""The losses that a profile keeps: of the holdout, where the step takes one, else of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kairos.errors import KairosError
from kairos.gates.lists import Lists, in_lists
from kairos.gates.losses import loss_named
from kairos.models.every import every_so_many
from kairos.models.frames import column_names, frame_kind, take_rows
from kairos.models.goals import truth_of
from kairos.models.options import ModelOptions
from kairos.models.outputs import Output
from kairos.models.profile import ReferenceLosses
from kairos.models.ranked import list_keys

__all__ = ["Judged", "known_truth", "reference_losses"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Rows whose losses a profile keeps."""

    table: Any
    """Polars or pandas, with the columns of slices and lists as far as there are any."""
    truth: Array | None
    """As a loss takes it, one a row; ``None``: it is not known of every row."""
    is_holdout: bool

    def evenly(self, truth: Array, options: ModelOptions) -> tuple[Judged, Array]:
        """At most 200,000 of the training rows, evenly over the table; of what is ranked whole lists.

        Args:
            truth: Of each row of the table, as a loss takes it.
            options: Of the model.

        Returns:
            Those rows, and their positions.
        """
        every, rows = every_so_many(len(truth)), np.arange(len(truth))
        of = rows if options.rank_within is None else Lists.of(list_keys(self.table, options.rank_within)).of_row
        rows = np.flatnonzero(of % every == 0)
        return replace(self, table=take_rows(self.table, rows), truth=truth[rows]), rows

    @property
    def on(self) -> str:
        """Which rows they are."""
        return "holdout" if self.is_holdout else "train"


def known_truth(table: Any, targets: Sequence[str], outputs: Sequence[Output]) -> Array | None:
    """What was true of each row, as a loss takes it; ``None`` if the table lacks it, or not every row has it."""
    if not set(targets) <= set(column_names(table)):
        return None
    if any(_missing(table[name]) for name in targets):
        return None
    return truth_of(table, targets, outputs)


def reference_losses(judged: Judged, answers: Array, options: ModelOptions) -> ReferenceLosses | None:
    """The losses of rows, or of lists, before the output guard; ``None`` if they cannot be told.

    Args:
        judged: The rows.
        answers: Of the model.
        options: Its loss, slices, and what is ranked together.
    """
    truth, names = judged.truth, set(column_names(judged.table))
    if truth is None or (options.rank_within is not None and options.rank_within not in names):
        return None
    levels = {name: judged.table[name].to_list() for name in options.slices if name in names}
    try:
        if options.rank_within is not None:
            truth, answers, firsts = in_lists(list_keys(judged.table, options.rank_within), truth, answers)
            levels = {name: [values[row] for row in firsts.tolist()] for name, values in levels.items()}
        losses = loss_named(options.loss)(truth, answers)
    except KairosError:  # a truth that the loss does not know: the measuring of the run tells it
        return None
    return ReferenceLosses.fit(losses, loss=options.loss, on=judged.on, slices=levels)


def _missing(column: Any) -> bool:
    return bool(column.null_count()) if frame_kind(column.to_frame()) == "polars" else bool(column.isna().any())
