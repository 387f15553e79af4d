"""Which values are frequent, of a column with any number of different ones, in a fixed number of counters?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kairos.errors import UsageError
from kairos.values import Json

__all__ = ["Frequent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frequent:
    """At most ``size`` values with their counts, each too high by at most ``errors[value]``, which is at most n / size.

    Every value that occurs more than ``n / size`` times is among them. Adding two keeps both promises, in any order;
    the counts themselves depend on the order, the bounds hold in all.

    References:
        Metwally, Agrawal & El Abbadi (2005), space-saving; Agarwal et al. (2013) for merging.
    """

    size: int
    """Counters, 1 or more."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Most frequent first, ties by name."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """By how much each count may be too high."""
    n: int = 0
    """Values that were seen."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError("Frequent values need counters.", given=self.size, accepted="1 or more")

    @classmethod
    def of(cls, values: Iterable[str], *, size: int = 100) -> Frequent:
        """Counts a batch exactly, then keeps the most frequent of it.

        >>> found = Frequent.of("abracadabra", size=3) + Frequent.of("zoo", size=3)
        >>> found.n, found.between("a")
        (14, (5, 5))
        """
        counted = Counter(values)
        return _kept(size, dict(counted), dict.fromkeys(counted, 0), counted.total())

    def __add__(self, other: Frequent) -> Frequent:
        """Of both.

        Raises:
            UsageError: they have different numbers of counters.
        """
        if self.size != other.size:
            raise UsageError("Different numbers of counters do not add up.", given=f"{self.size} and {other.size}")
        counts, errors = {}, {}
        for value in self.counts.keys() | other.counts.keys():
            counts[value] = self.between(value)[1] + other.between(value)[1]
            errors[value] = sum(high - low for low, high in (self.between(value), other.between(value)))
        return _kept(self.size, counts, errors, self.n + other.n)

    @property
    def most_missed(self) -> int:
        """How often a value that is not among them may have occurred, at most."""
        return min(self.counts.values()) if len(self.counts) == self.size else 0

    def between(self, value: str) -> tuple[int, int]:
        """How often a value occurred: at least, and at most."""
        if value not in self.counts:
            return 0, self.most_missed
        return self.counts[value] - self.errors[value], self.counts[value]

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"size": self.size, "counts": dict(self.counts), "errors": dict(self.errors), "n": self.n}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Json]) -> Frequent:
        """Reads what ``plain`` wrote."""
        return cls(**plain)


def _kept(size: int, counts: dict[str, int], errors: dict[str, int], n: int) -> Frequent:
    order = sorted(counts, key=lambda value: (-counts[value], value))[:size]
    return Frequent(
        size=size, counts={value: counts[value] for value in order}, errors={v: errors[v] for v in order}, n=n
    )
