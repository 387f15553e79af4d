"""Where labels go so that none lies on another."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["spread", "stagger"]


def stagger(labels: Sequence[tuple[float, float]]) -> list[int]:
    """Rows, counted upwards from 0, for labels that stand to the right of posts which rise to their row.

    No label covers another one or a post that passes through its row.

    Args:
        labels: The post's place and the label's width, by place.

    >>> stagger([(0, 30), (20, 30), (100, 30)])
    [1, 0, 0]
    """
    rows = [0] * len(labels)
    reached: list[float] = []  # by row: the leftmost post, so far, that rises to it
    for index in reversed(range(len(labels))):
        place, width = labels[index]
        free = (row for row, post in enumerate(reached) if place + width <= post)
        row = next(free, len(reached))
        rows[index] = row
        reached[: row + 1] = [place] * (row + 1)
    return rows


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Moves places apart, as little as possible and without changing their order, until neighbours are ``gap`` apart.

    >>> spread([10, 12, 50], 10)
    [6.0, 16.0, 50.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, int]] = []  # centre and number of labels that touch
    for index in order:
        centre, count = float(places[index]), 1
        while groups and centre - groups[-1][0] < gap * (count + groups[-1][1]) / 2:
            before, n = groups.pop()
            centre, count = (before * n + centre * count) / (n + count), n + count
        groups.append((centre, count))
    apart = [centre + gap * (k - (count - 1) / 2) for centre, count in groups for k in range(count)]
    moved = [0.0] * len(places)
    for index, place in zip(order, apart, strict=True):
        moved[index] = place
    return moved
