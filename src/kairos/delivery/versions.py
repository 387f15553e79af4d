"""Where a version stands, what a server needs to know of it, and what people have said about it: values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, cast

from kairos.delivery.stages import Stage
from kairos.errors import NotFound
from kairos.values import Digest, Verdict, VersionRef

__all__ = ["Approval", "Freeze", "Live", "ModelState", "Rehearsal", "Route", "VersionState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A version that a server has to have in memory, as it was deployed."""

    ref: VersionRef
    package: Digest
    serving: str | None = None
    """The serving settings of its deployment (output guard, capture policy) as canonical JSON; ``None``: the fact that
    deployed it does not tell, so the settings of the project apply."""
    settings: Digest | None = field(default=None, compare=False)
    """Name of all settings of the model at that time; no part of what is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a server does with requests for one model."""

    model: str
    champion: Live | None
    challenger: Live | None
    stage: Literal["shadow", "canary"] | None
    """Where the challenger stands; ``None`` without one."""
    share: float
    """The part of requests that the challenger answers, in [0, 1]; 0 in shadow."""
    previous: Live | None
    """The champion before this one, kept warm while the new one bakes."""
    salt: str
    """Makes the split of keys differ from rollout to rollout."""
    seq: int
    """The ledger entry that this route follows from."""
    trial_since: datetime | None = None
    """When live traffic first reached the challenger."""
    bake_since: datetime | None = None
    """When live traffic first reached the champion, while the one before is kept warm: trial and bake are one story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's word about a version."""

    person: str
    verdict: Literal["pass", "fail"]
    """``fail``: refused."""
    reason: str
    against: VersionRef | None
    """What was live when it was given."""
    serving: str | None
    """The serving settings that it was given for, as in ``Live``."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A person's word that nothing goes forward."""

    person: str
    reason: str
    at: datetime
    until: datetime | None
    """``None``: until somebody ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How going forward and back went when it was tried beside the traffic."""

    verdict: Verdict
    against: VersionRef | None
    """What was live, and was gone back to."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionState:
    """One version, its package, and where it stands."""

    ref: VersionRef
    package: Digest
    run: str
    origin: str
    """Why it was made: ``manual``, or the loop's gravest reason, as in ``retrain.reasons``."""
    twin: int | None = None
    """Of a refit: the number of the version that was judged in its place; it learnt the same way from fewer rows."""
    base: int | None = None
    """Of a recalibrated version: the number of the one whose answers it puts right."""
    registered_at: datetime
    stage: Stage = "registered"
    share: float = 0.0
    since: datetime
    """When it came to this stage."""
    stage_seq: int
    """The entry that brought it there."""
    on_trial_since: datetime | None = None
    """When live traffic first reached it, in the present attempt to make it live; ``None`` before."""
    is_overdue: bool = False
    """Whether it waits in shadow for a person, because a stage took too long."""
    verdict: Verdict | None = None
    """The last gate's verdict, or ``None`` if it met none."""
    verdict_against: VersionRef | None = None
    """The champion that the last gate compared it with; ``None``: the simple baseline, or it met no gate."""
    was_taken_back: bool = False
    """Whether it was rolled back and has not been live since, whatever its stage is now."""
    serving: str | None = None
    """The serving settings of its last deployment, as in ``Live``."""
    settings: Digest | None = None
    """Name of all settings of the model at that time."""
    registered_by: str
    """Who or what made it."""
    asked_by: str | None = None
    """Who began the present attempt to make it live; ``None`` before."""
    approvals: tuple[Approval, ...] = ()
    """The last word of each person; approvals lapse when an attempt to make it live has ended, refusals do not."""
    rehearsal: Rehearsal | None = None
    """The last one."""
    held_for: frozenset[str] = frozenset()
    """What the ledger tells that it waits for in its present stage, each as ``freeze`` or ``approval freeze``."""

    @property
    def live(self) -> Live:
        """What a server needs of it."""
        return Live(ref=self.ref, package=self.package, serving=self.serving, settings=self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """All versions of one model."""

    model: str
    versions: Mapping[int, VersionState] = field(default_factory=lambda: MappingProxyType({}))
    champion_number: int | None = None
    challenger_number: int | None = None
    previous_number: int | None = None
    """The champion before, while it is kept warm."""
    was_live: tuple[Live, ...] = ()
    """What was live, in its order and as it was served, up to what is live now; what was gone back from is left out."""
    freezes: tuple[Freeze, ...] = ()
    """Those that people have begun and nobody has ended; each may be over by its own date."""
    seq: int = 0

    @property
    def champion(self) -> VersionState | None:
        """The version that answers users."""
        return self._at(self.champion_number)

    @property
    def champion_ref(self) -> VersionRef | None:
        """Its name, or ``None`` if nothing is live."""
        return None if self.champion is None else self.champion.ref

    @property
    def challenger(self) -> VersionState | None:
        """The version under trial on live traffic."""
        return self._at(self.challenger_number)

    @property
    def previous(self) -> VersionState | None:
        """The champion before this one, while it is kept warm."""
        return self._at(self.previous_number)

    @property
    def former(self) -> Live | None:
        """What to go back to: what was live last before the champion as it is served now, and was not taken back.

        The champion itself with settings that were not recorded is no such thing: nothing would change.
        """
        now = None if self.champion is None else self.champion.live
        for live in reversed(self.was_live):
            if live == now or self.versions[live.ref.number].was_taken_back:
                continue
            if live.ref.number != self.champion_number or live.serving is not None:
                return live
        return None

    def last_live(self, number: int) -> Live:
        """That version as it was served when it was live last; as it stands now if it never was."""
        return next((one for one in reversed(self.was_live) if one.ref.number == number), self.version(number).live)

    @property
    def failures_in_a_row(self) -> int:
        """Versions that the loop made after the champion and that were rejected or rolled back; no refits, whose twins
        took their place."""
        newer = [v for n, v in self.versions.items() if self.champion_number is None or n > self.champion_number]
        failed = [v for v in newer if v.origin != "manual" and v.stage in ("rejected", "rolled_back")]
        return sum(v.twin is None or v.stage == "rolled_back" for v in failed)

    def was_recalibrated(self, number: int) -> bool:
        """Whether recalibrating that version would be a second time: it is such a version, or one was made of it."""
        return self.version(number).base is not None or any(one.base == number for one in self.versions.values())

    def refit_of(self, number: int) -> VersionState | None:
        """The refit of that version, if one was made."""
        return next((one for one in self.versions.values() if one.twin == number), None)

    @property
    def newest(self) -> VersionState | None:
        """The version registered last."""
        return self.versions[max(self.versions)] if self.versions else None

    def version(self, number: int) -> VersionState:
        """That version.

        Raises:
            NotFound: there is none of that number.
        """
        if number not in self.versions:
            have = ", ".join(f"{self.model}@{n}" for n in sorted(self.versions)) or "none"
            raise NotFound(f"There is no version {self.model}@{number}.", accepted=have, hint="Type: kairos models")
        return self.versions[number]

    def route(self) -> Route:
        """What a server does with requests for this model."""
        challenger = self.challenger
        stage = challenger.stage if challenger is not None else None
        return Route(
            model=self.model,
            champion=self.champion.live if self.champion else None,
            challenger=challenger.live if challenger else None,
            stage=cast("Literal['shadow', 'canary'] | None", stage),
            share=challenger.share if challenger else 0.0,
            previous=self.previous.live if self.previous else None,
            salt=str(challenger.ref) if challenger else "",
            seq=self.seq,
            trial_since=challenger.on_trial_since if challenger else None,
            bake_since=self.champion.on_trial_since if self.champion and self.previous else None,
        )

    def _at(self, number: int | None) -> VersionState | None:
        return None if number is None else self.versions[number]
