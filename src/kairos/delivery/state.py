"""Where every version stands: a fold over the ledger. Nothing else keeps this state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, cast, get_args

from kairos.errors import LedgerBroken, NotFound, did_you_mean
from kairos.ledger import Entry
from kairos.values import Digest, Json, Verdict, VersionRef

__all__ = ["DeliveryState", "Live", "ModelState", "Route", "Stage", "VersionState"]

Stage = Literal["registered", "shadow", "canary", "live", "retired", "rejected", "rolled_back"]
"""Where a version stands."""

STAGES: tuple[Stage, ...] = get_args(Stage)

_MEETS_TRAFFIC = ("shadow", "canary", "live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A version that a server has to have in memory."""

    ref: VersionRef
    package: Digest


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionState:
    """One version, its package, and where it stands."""

    ref: VersionRef
    package: Digest
    run: str
    origin: str
    """Why it was made: ``manual``, or the loop's gravest reason, as in ``retrain.reasons``."""
    registered_at: datetime
    stage: Stage = "registered"
    share: float = 0.0
    since: datetime
    """When it came to this stage."""
    stage_seq: int
    """The entry that brought it there."""
    on_trial_since: datetime | None = None
    """When live traffic first reached it, in the present attempt to make it live; ``None`` before."""
    verdict: Verdict | None = None
    """The last gate's verdict, or ``None`` if it met none."""
    verdict_against: VersionRef | None = None
    """The champion that the last gate compared it with; ``None``: the simple baseline, or it met no gate."""
    was_taken_back: bool = False
    """Whether it was rolled back and has not been live since, whatever its stage is now."""

    @property
    def live(self) -> Live:
        """What a server needs of it."""
        return Live(ref=self.ref, package=self.package)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """All versions of one model."""

    model: str
    versions: Mapping[int, VersionState] = field(default_factory=lambda: MappingProxyType({}))
    champion_number: int | None = None
    challenger_number: int | None = None
    previous_number: int | None = None
    """The champion before, while it is kept warm."""
    was_live: tuple[int, ...] = ()
    """Numbers in the order in which they went live."""
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
    def former(self) -> VersionState | None:
        """The version to go back to: the last one that was live before the champion and was not taken back itself."""
        for number in reversed(self.was_live):
            if number != self.champion_number and not self.versions[number].was_taken_back:
                return self.versions[number]
        return None

    @property
    def failures_in_a_row(self) -> int:
        """Versions that the loop made after the champion and that were rejected or rolled back."""
        newer = [v for n, v in self.versions.items() if self.champion_number is None or n > self.champion_number]
        return sum(v.origin != "manual" and v.stage in ("rejected", "rolled_back") for v in newer)

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
        )

    def _at(self, number: int | None) -> VersionState | None:
        return None if number is None else self.versions[number]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """Where every version of every model stands, as of one ledger entry."""

    models: Mapping[str, ModelState] = field(default_factory=lambda: MappingProxyType({}))
    seq: int = 0

    @classmethod
    def fold(cls, entries: Iterable[Entry], *, start: DeliveryState | None = None) -> DeliveryState:
        """The state after these entries; ``start`` is the state before the first of them."""
        state = start if start is not None else cls()
        models = dict(state.models)
        seq = state.seq
        for entry in entries:
            seq = entry.seq
            step = _STEPS.get(entry.kind)
            if step is None:
                continue
            ref = VersionRef.parse(entry.subject)
            before = models.get(ref.model, ModelState(model=ref.model))
            models[ref.model] = replace(step(before, ref, entry), seq=entry.seq)
        return cls(models=MappingProxyType(models), seq=seq)

    def model(self, name: str) -> ModelState:
        """That model.

        Raises:
            NotFound: no version of it was ever registered.
        """
        if name not in self.models:
            raise NotFound(
                f"There is no model {name!r}.",
                accepted=", ".join(sorted(self.models)) or "none is registered yet",
                hint=did_you_mean(name, self.models) or "Type: kairos run",
            )
        return self.models[name]

    def routes(self) -> list[Route]:
        """What a server does, model by model, in the order of their names."""
        return [self.models[name].route() for name in sorted(self.models)]


def _registered(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    version = VersionState(
        ref=ref,
        package=Digest(_text(entry, "package")),
        run=_text(entry, "run"),
        origin=_text(entry, "origin"),
        registered_at=entry.at,
        since=entry.at,
        stage_seq=entry.seq,
    )
    return replace(state, versions=_with(state, version))


def _gated(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    verdict = cast("Verdict", _text(entry, "verdict"))
    against = entry.body.get("against")
    judged = replace(
        _known(state, ref, entry),
        verdict=verdict,
        verdict_against=None if against is None else VersionRef.parse(str(against)),
    )
    return replace(state, versions=_with(state, judged))


def _moved(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    to = cast("Stage", _text(entry, "to"))
    if to not in STAGES:
        raise _unreadable(entry, f"the stage {to!r} is unknown")
    share = float(entry.body.get("share") or 0.0)
    before = _known(state, ref, entry)
    on_trial_since = (before.on_trial_since or entry.at) if to in _MEETS_TRAFFIC else None
    version = replace(
        before,
        stage=to,
        share=share,
        since=entry.at,
        stage_seq=entry.seq,
        on_trial_since=on_trial_since,
        was_taken_back=to == "rolled_back" or (before.was_taken_back and to != "live"),
    )
    state = replace(state, versions=_with(state, version))
    if to == "live":
        former = state.champion_number
        if former is not None and former != ref.number:  # it answers nobody any more, but is kept warm
            displaced = replace(state.versions[former], stage="retired", share=0.0, since=entry.at, on_trial_since=None)
            state = replace(state, versions=_with(state, displaced))
        kept = former if former not in (None, ref.number) else state.previous_number
        challenger = None if state.challenger_number == ref.number else state.challenger_number
        previous = None if kept == ref.number else kept
        return replace(
            state,
            champion_number=ref.number,
            challenger_number=challenger,
            previous_number=previous,
            was_live=(*state.was_live, ref.number),
        )
    if to in ("shadow", "canary"):
        return replace(state, challenger_number=ref.number)
    return replace(
        state,
        champion_number=None if state.champion_number == ref.number else state.champion_number,
        challenger_number=None if state.challenger_number == ref.number else state.challenger_number,
        previous_number=None if state.previous_number == ref.number else state.previous_number,
    )


_STEPS = {"version.registered": _registered, "gate.decided": _gated, "stage.changed": _moved}


def _with(state: ModelState, version: VersionState) -> Mapping[int, VersionState]:
    return MappingProxyType({**state.versions, version.ref.number: version})


def _known(state: ModelState, ref: VersionRef, entry: Entry) -> VersionState:
    if ref.number not in state.versions:
        raise _unreadable(entry, f"{ref} was never registered")
    return state.versions[ref.number]


def _text(entry: Entry, name: str) -> str:
    value: Json = entry.body.get(name)
    if not isinstance(value, str):
        raise _unreadable(entry, f"{name!r} is missing")
    return value


def _unreadable(entry: Entry, why: str) -> LedgerBroken:
    return LedgerBroken(
        f"Entry {entry.seq} ({entry.kind} about {entry.subject}) makes no sense: {why}.",
        hint="Type: kairos ledger verify",
        seq=entry.seq,
    )
