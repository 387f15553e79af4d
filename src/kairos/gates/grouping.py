"""How differently a version treats groups of rows, with bounds that hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.gates.compare import classes_said
from kairos.gates.evidence import GroupFound
from kairos.gates.losses import loss_named
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.stats.groups import GroupDifference, group_difference

__all__ = ["compare_groups"]


def compare_groups(
    rows: GateRows, policy: GatePolicy, levels: Mapping[str, NDArray[np.str_]], champion: NDArray[Any] | None
) -> tuple[GroupFound, ...]:
    """Compares each level of each group column with the largest one.

    For a truth of 0 and 1: the share that is said to be 1, the same among those that are 1 and among those that are 0,
    and the error rate. Else: the mean answer and the mean loss.

    Args:
        rows: Fresh.
        policy: Whose groups.
        levels: Each row's level, by column.
        champion: What it says, for its own differences; ``None`` without one.
    """
    found: list[GroupFound] = []
    for column in policy.groups:
        names, counts = np.unique(levels[column], return_counts=True)
        if names.size < 2:
            continue
        reference = str(names[int(counts.argmax())])
        others = [str(name) for name in names if name != reference]
        mine = list(_measures(rows, policy, rows.challenger))
        theirs = {} if champion is None else {name: (x, among) for name, x, among in _measures(rows, policy, champion)}
        alpha = policy.alpha / (len(others) * len(mine))
        for level in others:
            is_group, is_reference = levels[column] == level, levels[column] == reference
            for measure, values, among in mine:
                difference = group_difference(
                    values,
                    is_group & among,
                    is_reference & among,
                    alpha=alpha,
                    dependence=rows.dependence,
                    rate=rows.is_chance,
                )
                before = _plain_difference(theirs.get(measure), is_group, is_reference)
                found.append(
                    GroupFound(
                        column=column,
                        level=level,
                        reference=reference,
                        measure=measure,
                        challenger=difference,
                        champion=before,
                    )
                )
    return tuple(found)


def _measures(
    rows: GateRows, policy: GatePolicy, answers: NDArray[Any]
) -> Iterator[tuple[str, NDArray[Any], NDArray[np.bool_]]]:
    """Name, value per row, and among which rows."""
    everywhere = np.ones(rows.n, dtype=np.bool_)
    if rows.is_chance:
        said = classes_said(answers, rows, policy.threshold).astype(np.float64)
        yield "selection_rate", said, everywhere
        yield "true_positive_rate", said, rows.truth == 1
        yield "false_positive_rate", said, rows.truth == 0
        yield "error", (said != rows.truth).astype(np.float64), everywhere
    else:
        if not rows.is_wide:
            yield "mean_prediction", np.asarray(answers, dtype=np.float64), everywhere
        yield "error", loss_named(policy.loss)(rows.truth, answers), everywhere


def _plain_difference(
    measured: tuple[NDArray[Any], NDArray[np.bool_]] | None,
    is_group: NDArray[np.bool_],
    is_reference: NDArray[np.bool_],
) -> float | None:
    if measured is None:
        return None
    values, among = measured
    one: GroupDifference = group_difference(values, is_group & among, is_reference & among, alpha=0.5)
    return one.difference
