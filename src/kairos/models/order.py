"""The order that scores put the rows of a list into."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["ranks_within"]


def ranks_within(lists: Sequence[Hashable], scores: Sequence[float | None]) -> list[int | None]:
    """The place of each row in its list, from 1 for the highest score; ``None`` where a row has no score.

    Each place is given once: of equal scores the row that came first stands first, so the places are an order.

    Args:
        lists: What rows of one list have in common, one a row.
        scores: Higher is better, one a row; ``None`` or NaN is no score.

    Examples:
        >>> ranks_within(["a", "b", "a", "a"], [0.2, 7.0, 0.9, 0.2])
        [2, 1, 1, 3]
    """
    scored = [row for row, score in enumerate(scores) if score is not None and score == score]
    found: list[int | None] = [None] * len(scores)
    next_place: dict[Hashable, int] = {}
    for row in sorted(scored, key=lambda row: -(scores[row] or 0.0)):
        found[row] = next_place[lists[row]] = next_place.get(lists[row], 0) + 1
    return found
