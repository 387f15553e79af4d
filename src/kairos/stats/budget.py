"""How much privacy has been given away? Releases add up, exactly; what would go beyond the limit is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from kairos.errors import UsageError
from kairos.stats.noise import Share, exact

__all__ = ["PrivacyBudget", "Release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Something that left with noise."""

    name: str
    day: date
    """Whose rows it was made of."""
    eps: Fraction
    delta: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyBudget:
    """A limit, and what was released under it. Never changes: ``charge`` gives a new one, to be kept before releasing.

    Releases of one day add up (sequential composition). Those of different days add up, too, unless each person is in
    one day only (parallel composition): then the dearest day counts.
    """

    eps: Fraction
    """What all releases together may cost one person."""
    delta: Fraction = Fraction(0)
    a_person_is_in_one_day: bool = False
    """True only where it is certain: for visitors who never come back, not for customers."""
    releases: tuple[Release, ...] = field(default=())

    @classmethod
    def of(cls, eps: Share, delta: Share | None = None, *, a_person_is_in_one_day: bool = False) -> PrivacyBudget:
        """A budget of which nothing is spent.

        >>> budget = PrivacyBudget.of(1)
        >>> for day in range(1, 11):
        ...     budget = budget.charge(Release(name="hours", day=date(2012, 1, day), eps=Fraction(1, 10)))
        >>> budget.left_eps
        Fraction(0, 1)
        """
        return cls(
            eps=exact("eps", eps),
            delta=Fraction(0) if delta is None else exact("delta", delta),
            a_person_is_in_one_day=a_person_is_in_one_day,
        )

    @property
    def spent(self) -> tuple[Fraction, Fraction]:
        """What the releases cost one person: eps and delta."""
        by_day: dict[date, tuple[Fraction, Fraction]] = {}
        for one in self.releases:
            eps, delta = by_day.get(one.day, (Fraction(0), Fraction(0)))
            by_day[one.day] = eps + one.eps, delta + one.delta
        if not by_day:
            return Fraction(0), Fraction(0)
        days = list(by_day.values())
        if self.a_person_is_in_one_day:
            return max(eps for eps, _ in days), max(delta for _, delta in days)
        return sum((eps for eps, _ in days), Fraction(0)), sum((delta for _, delta in days), Fraction(0))

    @property
    def left_eps(self) -> Fraction:
        """What may still be spent on a day that has no release yet."""
        return self.eps if self.a_person_is_in_one_day else self.eps - self.spent[0]

    def charge(self, release: Release) -> PrivacyBudget:
        """The budget after this release.

        Raises:
            UsageError: it would go beyond the limit; nothing may be released.
        """
        after = replace(self, releases=(*self.releases, release))
        eps, delta = after.spent
        if eps > self.eps or delta > self.delta:
            raise UsageError(
                f"The release {release.name!r} of {release.day} would go beyond the privacy budget.",
                given=f"eps {eps}, delta {delta} in all",
                accepted=f"eps {self.eps}, delta {self.delta}",
                hint="Release less, or wait until the budget is renewed.",
            )
        return after
