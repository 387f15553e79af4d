"""Whether a step forward may be taken now: a pure decision from freezes, approvals, and whether the way back was tried.

It is asked after the evidence, by the loop and for people alike. Only what is forward can be held up: a rollback, the
end of a trial and a rejection never ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from kairos.delivery.freezes import FreezeWindow
from kairos.delivery.stages import LOOP, Stage
from kairos.errors import SettingsError
from kairos.values import Json, Verdict, VersionRef, duration_text, parse_duration, plain

if TYPE_CHECKING:
    from kairos.delivery.versions import Approval, ModelState, VersionState

__all__ = ["ControlDecision", "ControlPolicy", "Obstacle", "freezes_ahead", "frozen", "may_go_forward", "refusals"]

_ORDER: tuple[Stage, ...] = ("shadow", "canary", "live")
_NUMBERS = ("no", "one", "two")
_MOST_WINDOWS = 100
"""Freezes that follow one another without a gap are told as one, up to as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPolicy:
    """What has to be true beside the evidence before a version goes forward."""

    approvals: int = 0
    """People who have to approve: 0, 1 or 2."""
    approve_before: Stage = "canary"
    """The first stage that needs them: ``shadow``, ``canary`` (where users get its answers) or ``live``."""
    override_approvals: bool = False
    """Whether one person may go past missing approvals and refusals with a reason."""
    freeze: tuple[FreezeWindow, ...] = ()
    """Times in which nothing goes forward."""
    rehearsed_within: timedelta | None = None
    """How long ago the way back may have been rehearsed before a version goes live; ``None``: it need not be."""
    way_back: timedelta = timedelta(seconds=10)
    """The longest that the way back may take for a rehearsal to pass."""

    def __post_init__(self) -> None:
        if self.approvals not in (0, 1, 2):
            raise SettingsError("Approvals are asked of that many people.", given=self.approvals, accepted="0, 1 or 2")
        if self.approve_before not in _ORDER:
            raise SettingsError("No stage is called so.", given=self.approve_before, accepted=", ".join(_ORDER))
        if self.way_back <= timedelta(0):
            raise SettingsError("The way back takes some time.", given=duration_text(self.way_back))

    def plain(self) -> Json:
        """The policy as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> ControlPolicy:
        """Undoes ``plain``."""
        within = value["rehearsed_within"]
        return cls(
            approvals=value["approvals"],
            approve_before=value["approve_before"],
            override_approvals=value["override_approvals"],
            freeze=tuple(FreezeWindow(text=one["text"]) for one in value["freeze"]),
            rehearsed_within=None if within is None else parse_duration(within),
            way_back=parse_duration(value["way_back"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that a step forward waits for."""

    kind: Literal["freeze", "approval", "refusal", "rehearsal"]
    sentence: str
    """What it is, and what would end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDecision:
    """Whether a step forward may be taken."""

    verdict: Verdict
    """``hold``: something is waited for; ``fail``: a person has refused it."""
    obstacles: tuple[Obstacle, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it waits for, sorted."""
        return tuple(sorted({obstacle.kind for obstacle in self.obstacles}))

    @property
    def sentences(self) -> list[str]:
        """The same for a person."""
        return [obstacle.sentence for obstacle in self.obstacles]

    def past(self, policy: ControlPolicy) -> ControlDecision:
        """What is left of it for a person who goes past it with a reason."""
        rest = () if policy.override_approvals else ("approval", "refusal")
        return _decision([obstacle for obstacle in self.obstacles if obstacle.kind in rest])


def may_go_forward(
    policy: ControlPolicy,
    model: ModelState,
    version: VersionState,
    *,
    to: Stage,
    serving: str | None,
    by: str,
    now: datetime,
) -> ControlDecision:
    """Whether a version may come to the stage ``to`` now.

    Args:
        policy: What has to be true.
        model: Where its versions stand.
        version: The one that goes forward.
        to: ``shadow``, ``canary`` or ``live``; ``retired`` of a former champion that is let go.
        serving: The serving settings that it would have there, as in ``Live``.
        by: Who asks: a person, or the loop.
        now: When.
    """
    if to not in _ORDER:  # the end of a bake: the former champion is let go
        return _decision(frozen(policy, model, now))
    found = [*refusals(version), *frozen(policy, model, now)]
    if _ORDER.index(to) >= _ORDER.index(policy.approve_before):
        found += _missing_approvals(policy, model, version, serving, by)
    if to == "live" and policy.rehearsed_within is not None:
        found += _missing_rehearsal(policy.rehearsed_within, model, version, now)
    return _decision(found)


def refusals(version: VersionState) -> list[Obstacle]:
    """Who has refused the version and has not approved it since; it needs no policy to be heard."""
    return [
        Obstacle(
            kind="refusal",
            sentence=f"{one.person} refused {version.ref} on {one.at:%Y-%m-%d}: {_clause(one.reason)}. It goes on only "
            f"if {one.person} approves it after all.",
        )
        for one in version.approvals
        if one.verdict == "fail"
    ]


def frozen(policy: ControlPolicy, model: ModelState, now: datetime) -> list[Obstacle]:
    """The freezes that hold now: one of the settings, told with its end, and those that people have begun."""
    found = []
    window = next((one for one in policy.freeze if one.end_of(now) is not None), None)
    if window is not None:
        until = f"{_end_of_all(policy, now):%Y-%m-%d %H:%M} UTC"
        sentence = f"Nothing goes forward until {until}: the settings freeze {window.text!r}. A rollback is possible."
        found.append(Obstacle(kind="freeze", sentence=sentence))
    for freeze in model.freezes:
        if freeze.until is None or now < freeze.until:
            end = f"until {freeze.until:%Y-%m-%d %H:%M} UTC" if freeze.until else "until somebody unfreezes it"
            sentence = f"{freeze.person} froze {model.model} {end}: {_clause(freeze.reason)}. A rollback is possible."
            found.append(Obstacle(kind="freeze", sentence=sentence))
    return found


def freezes_ahead(policy: ControlPolicy, now: datetime) -> tuple[str, ...]:
    """The windows of the settings that do not hold now, each with when it holds next, the next first."""
    waiting = [(one.next_after(now), one.text) for one in policy.freeze if one.end_of(now) is None]
    return tuple(
        f"From {place[0]:%Y-%m-%d %H:%M} to {place[1]:%Y-%m-%d %H:%M} UTC nothing will go forward: {text!r}."
        for place, text in sorted((place, text) for place, text in waiting if place is not None)
    )


def _end_of_all(policy: ControlPolicy, now: datetime) -> datetime:
    """When none of the windows holds any more."""
    end = now
    for _ in range(_MOST_WINDOWS):
        later = max((e for e in (one.end_of(end) for one in policy.freeze) if e is not None), default=None)
        if later is None:
            break
        end = later
    return end


def _missing_approvals(
    policy: ControlPolicy, model: ModelState, version: VersionState, serving: str | None, by: str
) -> Iterator[Obstacle]:
    given = [one for one in version.approvals if one.verdict == "pass"]
    why_not = {one.person: _why_not(one, model.champion_ref, version, serving, by) for one in given}
    counted = [person for person, reason in why_not.items() if reason is None]
    missing = policy.approvals - len(counted)
    if missing <= 0:
        return
    people = "person" if missing == 1 else "people"
    sentences = [f"{version.ref} waits for approval by {_NUMBERS[missing]} {'more ' if counted else ''}{people}."]
    sentences += [f"{' and '.join(counted)} approved it."] if counted else []
    sentences += [f"The approval by {person} does not count: {why}." for person, why in why_not.items() if why]
    yield Obstacle(kind="approval", sentence=" ".join(sentences))


def _why_not(
    one: Approval, champion: VersionRef | None, version: VersionState, serving: str | None, by: str
) -> str | None:
    """Why an approval does not count, or ``None`` if it does."""
    if one.person == LOOP:
        return "the loop is no person"
    if one.person == version.registered_by:
        return f"{one.person} made the version"
    if one.person == version.asked_by:
        return f"{one.person} asked for it"
    if one.person == by:
        return f"{one.person} takes this step"
    if one.against != champion:
        return f"it was given when {one.against or 'nothing'} was live"
    if one.serving != serving:
        return "it was given for other settings of output and capture"
    return None


def _missing_rehearsal(
    within: timedelta, model: ModelState, version: VersionState, now: datetime
) -> Iterator[Obstacle]:
    champion, last = model.champion, version.rehearsal
    if champion is None or champion.ref == version.ref:
        return
    if last is None or last.against != champion.ref:
        what = "was not rehearsed"
    elif last.verdict != "pass":
        what = f"did not pass its rehearsal of {last.at:%Y-%m-%d %H:%M}"
    elif now - last.at > within:
        what = f"was rehearsed on {last.at:%Y-%m-%d %H:%M}, longer than {duration_text(within)} ago"
    else:
        return
    hint = f"Type: kairos deploy --rehearse {version.ref}"
    yield Obstacle(kind="rehearsal", sentence=f"The way back from {version.ref} to {champion.ref} {what}. {hint}")


def _decision(obstacles: list[Obstacle]) -> ControlDecision:
    verdict: Verdict = "pass" if not obstacles else "hold"
    if any(obstacle.kind == "refusal" for obstacle in obstacles):
        verdict = "fail"
    return ControlDecision(verdict=verdict, obstacles=tuple(obstacles))


def _clause(reason: str) -> str:
    """A person's words at the end of a sentence of ours."""
    return reason.strip().rstrip(".")
