"""Rows that are ranked against each other: which ones belong to one list, and each list as one row of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kairos.errors import DataRefused

__all__ = ["LONGEST_LIST", "Lists", "in_lists"]

LONGEST_LIST = 1_000
"""Most rows of one list."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lists:
    """Which list each row is of, lists in the order in which they are first met."""

    of_row: NDArray[np.int64]
    """Number of each row's list, shape (n,)."""
    place: NDArray[np.int64]
    """Of each row in its list, in the order of the rows, shape (n,)."""
    firsts: NDArray[np.int64]
    """First row of each list, shape (lists,)."""
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, keys: NDArray[Any]) -> Lists:
        """Reads lists from what rows of one list have in common.

        >>> lists = Lists.of(np.array(["b", "a", "b"]))
        >>> lists.of_row.tolist(), lists.place.tolist(), lists.sizes.tolist()
        ([0, 1, 0], [0, 0, 1], [2, 1])
        """
        _, first, inverse, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        rank = np.empty(len(first), dtype=np.int64)
        order = np.argsort(first)
        rank[order] = np.arange(len(first))
        of_row = rank[inverse.ravel()]
        together = np.argsort(of_row, kind="stable")
        starts = np.concatenate([[0], np.cumsum(sizes[order])[:-1]]).astype(np.int64) if len(keys) else sizes
        place = np.empty(len(keys), dtype=np.int64)
        place[together] = np.arange(len(keys)) - np.repeat(starts, sizes[order])
        return cls(of_row=of_row, place=place, firsts=first[order].astype(np.int64), sizes=sizes[order])

    @property
    def together(self) -> NDArray[np.int64]:
        """The rows in an order in which those of one list stand together."""
        return np.argsort(self.of_row, kind="stable")

    def padded(self, values: NDArray[Any], fill: float) -> NDArray[np.float64]:
        """A row for each list, shape (lists, rows of the longest), float64.

        Args:
            values: Shape (n,).
            fill: Stands behind the last row of a shorter list.

        Raises:
            DataRefused: a list has more than 1,000 rows.
        """
        longest = int(self.sizes.max(initial=0))
        if longest > LONGEST_LIST:
            raise DataRefused(
                "A list that is to be ranked has too many rows.", given=longest, accepted=f"up to {LONGEST_LIST}"
            )
        found = np.full((len(self.sizes), longest), fill)
        found[self.of_row, self.place] = values
        return found

    def telling(self, truth: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row's list tells anything about an order: whether not all of it is equally relevant.

        Args:
            truth: Shape (n,).
        """
        values = np.asarray(truth, dtype=np.float64)
        least, most = np.full(len(self.sizes), np.inf), np.full(len(self.sizes), -np.inf)
        np.minimum.at(least, self.of_row, values)
        np.maximum.at(most, self.of_row, values)
        return np.asarray((least < most)[self.of_row])


def in_lists(
    keys: NDArray[Any], truth: NDArray[Any], answers: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Truth and answers of rows as those of the lists that tell of an order, and the first row of each.

    Args:
        keys: What rows of one list have in common, shape (n,).
        truth: Relevance, shape (n,).
        answers: Scores, shape (n,).
    """
    chosen = np.flatnonzero(Lists.of(keys).telling(truth))
    lists = Lists.of(keys[chosen])
    return (
        lists.padded(np.asarray(truth)[chosen], np.nan),
        lists.padded(np.asarray(answers)[chosen], 0.0),
        chosen[lists.firsts],
    )
