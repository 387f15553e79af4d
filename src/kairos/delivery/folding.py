"""What each kind of fact changes in the state of a model; the fold in ``state`` calls these one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from kairos.delivery.versions import MEETS_TRAFFIC, STAGES, Live, ModelState, Stage, VersionState
from kairos.errors import LedgerBroken
from kairos.ledger import Entry
from kairos.values import Digest, Json, Verdict, VersionRef, canonical_json

__all__ = ["VERSION_STEPS"]


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
    before = _known(state, ref, entry)
    version = replace(
        before,
        stage=to,
        share=float(entry.body.get("share") or 0.0),
        since=entry.at,
        stage_seq=entry.seq,
        is_overdue=bool(entry.body.get("is_overdue")),
        was_taken_back=to == "rolled_back" or (before.was_taken_back and to != "live"),
    )
    version = _deployed(version, entry) if to in MEETS_TRAFFIC else replace(version, on_trial_since=None)
    if to == "live":
        return _went_live(state, version, entry)
    state = replace(state, versions=_with(state, version))
    if to in ("shadow", "canary"):
        return replace(state, challenger_number=ref.number)
    return replace(
        state,
        champion_number=None if state.champion_number == ref.number else state.champion_number,
        challenger_number=None if state.challenger_number == ref.number else state.challenger_number,
        previous_number=None if state.previous_number == ref.number else state.previous_number,
    )


def _deployed(version: VersionState, entry: Entry) -> VersionState:
    """The version as it meets live traffic from now on."""
    serving, settings = entry.body.get("serving"), entry.body.get("settings")
    return replace(
        version,
        on_trial_since=version.on_trial_since or entry.at,
        serving=None if serving is None else canonical_json(serving).decode(),
        settings=None if settings is None else Digest(str(settings)),
    )


def _went_live(state: ModelState, version: VersionState, entry: Entry) -> ModelState:
    ref, former = version.ref, state.champion_number
    state = replace(state, versions=_with(state, version))
    if former is not None and former != ref.number:  # it answers nobody any more, but is kept warm
        displaced = replace(state.versions[former], stage="retired", share=0.0, since=entry.at, on_trial_since=None)
        state = replace(state, versions=_with(state, displaced))
    kept = former if former not in (None, ref.number) else state.previous_number
    is_back = entry.body.get("restored") is not None
    return replace(
        state,
        champion_number=ref.number,
        challenger_number=None if state.challenger_number == ref.number else state.challenger_number,
        previous_number=None if kept == ref.number else kept,
        was_live=_back_to(state.was_live, version.live) if is_back else (*state.was_live, version.live),
    )


def _back_to(was_live: tuple[Live, ...], live: Live) -> tuple[Live, ...]:
    """What was live up to the last time that this was; what came after it is no place to go back to."""
    last = max((i for i, one in enumerate(was_live) if one == live), default=None)
    return (*was_live, live) if last is None else was_live[: last + 1]


VERSION_STEPS: Mapping[str, Callable[[ModelState, VersionRef, Entry], ModelState]] = MappingProxyType(
    {"version.registered": _registered, "gate.decided": _gated, "stage.changed": _moved}
)
"""By kind of fact, for facts about a version."""


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
