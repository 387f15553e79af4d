"""Tables whose rows are ranked within lists: the rows of a list together, and what a ranker's fit is told of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from kairos.errors import DataRefused, PackageError, did_you_mean
from kairos.gates.lists import Lists
from kairos.models.frames import column_names, take_rows

__all__ = ["by_lists", "list_keys", "told_lists"]


def by_lists(table: Any, name: str | None, *, step: str) -> tuple[Any, Lists | None]:
    """The training table with the rows of one list together, and which these are; ``None``: there are no lists.

    Args:
        table: Polars or pandas.
        name: Column in which rows of one list are alike, if rows are ranked.
        step: Name of the model step.

    Raises:
        PackageError: the table lacks the column.
    """
    if name is None:
        return table, None
    if name not in column_names(table):
        raise PackageError(
            f"The training table of {step!r} lacks the column {name!r}, which says what is ranked together.",
            accepted=", ".join(column_names(table)),
            hint=did_you_mean(name, column_names(table)),
        )
    lists = Lists.of(list_keys(table, name))
    order = lists.together
    if (np.diff(order) > 0).all():
        return table, lists
    table = take_rows(table, order)
    return table, Lists.of(list_keys(table, name))


def list_keys(table: Any, name: str) -> np.ndarray[Any, Any]:
    """What rows of one list have in common, as text, shape (n,).

    Raises:
        DataRefused: a row does not say of which list it is.
    """
    values = table[name].to_list()
    missing = sum(value is None or value != value for value in values)
    if missing:
        raise DataRefused(f"The column {name!r}, which says what is ranked together, is missing in {missing} rows.")
    return np.array([str(value) for value in values], dtype=np.str_)


def told_lists(estimator: Any, lists: Lists) -> dict[str, Any]:
    """What a ranker's ``fit`` has to know of the lists; of one that takes nothing of them, nothing."""
    at, prefix = estimator, ""
    while hasattr(at, "steps"):
        prefix += f"{at.steps[-1][0]}__"
        at = at.steps[-1][1]
    for name, value in (("group", lists.sizes), ("qid", lists.of_row), ("group_id", lists.of_row)):
        if has_fit_parameter(at, name):
            return {prefix + name: value}
    return {}
