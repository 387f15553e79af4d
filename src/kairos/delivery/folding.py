"""What each kind of fact changes in the state of a model; the fold in ``state`` calls these one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from kairos.delivery.stages import MEETS_TRAFFIC, STAGES, Stage
from kairos.delivery.versions import Approval, Freeze, Live, ModelState, Rehearsal, VersionState
from kairos.errors import LedgerBroken
from kairos.ledger import Entry
from kairos.values import Digest, Json, Verdict, VersionRef, canonical_json, parse_moment

__all__ = ["MODEL_STEPS", "VERSION_STEPS"]


def _registered(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    version = VersionState(
        ref=ref,
        package=Digest(_text(entry, "package")),
        run=_text(entry, "run"),
        origin=_text(entry, "origin"),
        twin=_number(entry, "twin"),
        base=_number(entry, "base"),
        registered_at=entry.at,
        since=entry.at,
        stage_seq=entry.seq,
        registered_by=entry.actor,
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
        held_for=frozenset(),
    )
    version = _deployed(version, entry) if to in MEETS_TRAFFIC else _withdrawn(version)
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
        asked_by=entry.actor if version.on_trial_since is None else version.asked_by,
        serving=None if serving is None else canonical_json(serving).decode(),
        settings=None if settings is None else Digest(str(settings)),
    )


def _withdrawn(version: VersionState) -> VersionState:
    """The version once an attempt to make it live has ended: who approved it did so for that attempt."""
    refused = tuple(one for one in version.approvals if one.verdict == "fail")
    return replace(version, on_trial_since=None, asked_by=None, approvals=refused)


def _went_live(state: ModelState, version: VersionState, entry: Entry) -> ModelState:
    ref, former = version.ref, state.champion_number
    state = replace(state, versions=_with(state, version))
    if former is not None and former != ref.number:  # it answers nobody any more, but is kept warm
        displaced = replace(state.versions[former], stage="retired", share=0.0, since=entry.at)
        state = replace(state, versions=_with(state, _withdrawn(displaced)))
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


def _approved(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    verdict = _text(entry, "verdict")
    against, serving = entry.body.get("against"), entry.body.get("serving")
    word = Approval(
        person=entry.actor,
        verdict="pass" if verdict == "pass" else "fail",
        reason=_text(entry, "reason"),
        against=None if against is None else VersionRef.parse(str(against)),
        serving=None if serving is None else canonical_json(serving).decode(),
        at=entry.at,
    )
    version = _known(state, ref, entry)
    others = tuple(one for one in version.approvals if one.person != entry.actor)
    return replace(state, versions=_with(state, replace(version, approvals=(*others, word))))


def _rehearsed(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    against = entry.body.get("against")
    rehearsal = Rehearsal(
        verdict=cast("Verdict", _text(entry, "verdict")),
        against=None if against is None else VersionRef.parse(str(against)),
        at=entry.at,
    )
    return replace(state, versions=_with(state, replace(_known(state, ref, entry), rehearsal=rehearsal)))


def _held(state: ModelState, ref: VersionRef, entry: Entry) -> ModelState:
    version = _known(state, ref, entry)
    told = version.held_for | {" ".join(map(str, entry.body.get("waits_for") or ()))}
    return replace(state, versions=_with(state, replace(version, held_for=told)))


def _frozen(state: ModelState, entry: Entry) -> ModelState:
    until = entry.body.get("until")
    freeze = Freeze(
        person=entry.actor,
        reason=_text(entry, "reason"),
        at=entry.at,
        until=None if until is None else parse_moment(str(until)),
    )
    return replace(state, freezes=(*state.freezes, freeze))


def _unfrozen(state: ModelState, entry: Entry) -> ModelState:
    return replace(state, freezes=())


VERSION_STEPS: Mapping[str, Callable[[ModelState, VersionRef, Entry], ModelState]] = MappingProxyType(
    {
        "version.registered": _registered,
        "gate.decided": _gated,
        "stage.changed": _moved,
        "approval.decided": _approved,
        "rehearsal.done": _rehearsed,
        "rollout.held": _held,
    }
)
"""By kind of fact, for facts about a version."""

MODEL_STEPS: Mapping[str, Callable[[ModelState, Entry], ModelState]] = MappingProxyType(
    {"freeze.begun": _frozen, "freeze.ended": _unfrozen}
)
"""By kind of fact, for facts about a model."""


def _with(state: ModelState, version: VersionState) -> Mapping[int, VersionState]:
    return MappingProxyType({**state.versions, version.ref.number: version})


def _known(state: ModelState, ref: VersionRef, entry: Entry) -> VersionState:
    if ref.number not in state.versions:
        raise _unreadable(entry, f"{ref} was never registered")
    return state.versions[ref.number]


def _number(entry: Entry, name: str) -> int | None:
    """Of the version that a fact names; ``None``: it names none."""
    return None if entry.body.get(name) is None else VersionRef.parse(str(entry.body[name])).number


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
