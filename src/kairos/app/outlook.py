"""What each model waits for: its trial, its bake, freezes and approvals, and when that is due. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kairos.app.control import ask
from kairos.app.evidence import Evidence, Gathered
from kairos.app.learning import Learning, learning_of
from kairos.app.plainly import plain_words
from kairos.app.project import Project
from kairos.app.quality import Quality, find_quality
from kairos.app.settings import ModelSettings
from kairos.app.triaging import open_trouble, trainings
from kairos.app.trials import owed_proof
from kairos.app.watching import Watch
from kairos.delivery.control import freezes_ahead, frozen
from kairos.delivery.retrain.facts import RetrainFacts
from kairos.delivery.retrain.policy import RetrainPolicy
from kairos.delivery.rollout import RolloutPolicy
from kairos.delivery.rollout.deciding import RolloutDecision, decide, decide_bake
from kairos.delivery.rollout.evidence import PairedLoss, RolloutEvidence
from kairos.delivery.rollout.worth import worth_of
from kairos.delivery.stages import Stage
from kairos.delivery.state import ModelState, VersionState
from kairos.errors import KairosError
from kairos.ledger import Entry
from kairos.values import Verdict, VersionRef, parse_moment

__all__ = ["Judged", "Outlook", "Path", "Retrained", "Waiting", "outlook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What a rollout was decided from, at the moments that the ledger keeps, and now."""

    policy: RolloutPolicy
    evidence: tuple[RolloutEvidence, ...]
    """In the order of time; the last one is the present."""
    losses: tuple[tuple[datetime, PairedLoss], ...] = ()
    """The losses of the requests up to each day, by the labels that are known now."""
    stages: tuple[tuple[datetime, str], ...]
    """When which stage began: ``canary 5 %``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A version on trial, or in its bake, and what it waits for."""

    version: VersionRef
    stage: Stage
    share: float
    """The part of the requests that it answers, in [0, 1]."""
    since: datetime
    words: tuple[str, str]
    """What would be decided now, in two sentences that need no statistics."""
    due: datetime | None = None
    """When what is missing will be there at the present rate; ``None``: nothing is, or that cannot be told."""
    is_overdue: bool = False
    """Whether its time is over, so that only a person takes it further."""
    obstacles: tuple[str, ...] = ()
    """Freezes, approvals and rehearsals that its next step waits for, whatever the evidence says."""
    worth: tuple[str, ...] = ()
    """What requests are worth with it, less what they are worth with the other version; a line for each kind."""
    path: Path | None = None
    """``None`` where the evidence could not be gathered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """A decision to train anew, with all that it was made from."""

    at: datetime
    seq: int
    policy: RetrainPolicy
    facts: RetrainFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A version that meets no request, and what its gate said."""

    version: VersionRef
    stage: Stage
    verdict: Verdict | None
    """``None``: it met no gate."""
    words: tuple[str, str] | None
    """In two sentences that need no statistics."""
    due: datetime | None = None
    """The day on which the rows are there that its gate holds for; ``None``: it does not, or that cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One model: what is live, and what is to come."""

    model: str
    champion: VersionRef | None
    since: datetime | None
    """When the champion went live."""
    quality: Quality | None = None
    """``None`` where it cannot be told."""
    retrained: Retrained | None = None
    """The last training that the loop decided; ``None``: there was none, or it tells too little."""
    newest: Judged | None = None
    """The version made last, if it is neither live nor on trial; ``None``: it is, or there is none."""
    trial: Waiting | None = None
    bake: Waiting | None = None
    freezes: tuple[str, ...] = ()
    """Those of the settings and those that people have begun, a sentence each."""
    freezes_ahead: tuple[str, ...] = ()
    """Those of the settings that come next, a sentence each."""
    trouble: tuple[str, str] | None = None
    """Why nothing is learnt until somebody has looked, in two sentences; ``None``: nothing is in the way."""
    learning: Learning | None = None
    """``None``: nothing asks for a new version."""

    @property
    def due(self) -> datetime | None:
        """The next day on which something is due."""
        all_of_it = (self.trial, self.bake, self.newest, self.learning)
        return min((each.due for each in all_of_it if each is not None and each.due is not None), default=None)


def outlook(project: Project, model: ModelSettings) -> Outlook:
    """What a model waits for now; the log of predictions is read."""
    found, watch = project.state().model(model.name), Watch(project, model, only_looks=True)
    gathering = Evidence(project, watch, Gathered())
    champion, challenger = found.champion, found.challenger
    trial = bake = None
    trouble = open_trouble(project, found)
    if champion is not None and challenger is not None:
        trial = _trial(project, model, found, champion, challenger, gathering)
    if champion is not None and found.previous is not None:
        bake = _bake(project, model, found, champion, found.previous, gathering)
    return Outlook(
        model=model.name,
        champion=found.champion_ref,
        since=None if champion is None else champion.since,
        trial=trial,
        bake=bake,
        newest=_newest(project, found),
        retrained=_retrained(project, model.name),
        quality=find_quality(project, watch),
        freezes=tuple(one.sentence for one in frozen(model.control, found, project.clock.now())),
        freezes_ahead=freezes_ahead(model.control, project.clock.now()),
        trouble=None if trouble is None else plain_words(trouble),
        learning=learning_of(project, model, found, watch),
    )


def _newest(project: Project, found: ModelState) -> Judged | None:
    newest = found.newest
    if newest is None or newest.ref.number in (found.champion_number, found.challenger_number, found.previous_number):
        return None
    told = list(project.ledger.read(kinds=["gate.decided"], subject=str(newest.ref)))
    words = plain_words(told[-1]) if told else None
    ready = told[-1].body.get("ready_on") if told and newest.verdict == "hold" else None
    due = None if ready is None else parse_moment(str(ready))
    return Judged(version=newest.ref, stage=newest.stage, verdict=newest.verdict, words=words, due=due)


def _retrained(project: Project, model: str) -> Retrained | None:
    told = trainings(project, model)
    if not told:
        return None
    body = told[-1].body
    try:
        policy, facts = RetrainPolicy.from_plain(body["policy"]), RetrainFacts.from_plain(body["facts"])
    except (KairosError, KeyError, TypeError, ValueError):  # written by another release
        return None
    return Retrained(at=told[-1].at, seq=told[-1].seq, policy=policy, facts=facts)


def _trial(
    project: Project,
    model: ModelSettings,
    found: ModelState,
    champion: VersionState,
    challenger: VersionState,
    gathering: Evidence,
) -> Waiting:
    following = model.delivery.after(challenger.stage, challenger.share).stage
    obstacles = tuple(ask(project, found, challenger, following).sentences)
    try:
        evidence = gathering(champion, challenger).evidence
        policy = owed_proof(model, challenger, evidence)
        decision = decide(policy, challenger.stage, challenger.share, evidence)
    except KairosError as error:
        return _unknown(challenger, error, obstacles)
    losses = gathering.by_day(champion, challenger)
    return _waiting(project, challenger, policy, evidence, decision, obstacles, losses)


def _bake(
    project: Project,
    model: ModelSettings,
    found: ModelState,
    champion: VersionState,
    previous: VersionState,
    gathering: Evidence,
) -> Waiting:
    obstacles = tuple(ask(project, found, previous, "retired").sentences)
    try:
        evidence = gathering(previous, champion).evidence
        decision = decide_bake(model.delivery, evidence)
    except KairosError as error:
        return _unknown(champion, error, obstacles)
    losses = gathering.by_day(previous, champion)
    return _waiting(project, champion, model.delivery, evidence, decision, obstacles, losses)


def _waiting(
    project: Project,
    version: VersionState,
    policy: RolloutPolicy,
    evidence: RolloutEvidence,
    decision: RolloutDecision,
    obstacles: tuple[str, ...],
    losses: Sequence[tuple[datetime, PairedLoss]],
) -> Waiting:
    begun = version.on_trial_since or version.since
    mine = [e for e in project.ledger.read(kinds=_STEPS, subject=str(version.ref)) if e.at >= begun]
    kept = [e.body["evidence"] for e in mine if e.body.get("evidence")]
    before = [RolloutEvidence.from_plain(one) for one in kept]
    path = Path(
        policy=policy,
        evidence=(*before, evidence),
        losses=tuple(losses),
        stages=tuple((e.at, _step(e)) for e in mine if e.kind == "stage.changed"),
    )
    return Waiting(
        version=version.ref,
        stage=version.stage,
        share=version.share,
        since=version.since,
        words=decision.words,
        due=decision.due,
        is_overdue=version.is_overdue,
        obstacles=obstacles,
        worth=tuple(str(each) for each in worth_of(policy, evidence)),
        path=path,
    )


def _unknown(version: VersionState, error: KairosError, obstacles: tuple[str, ...]) -> Waiting:
    return Waiting(
        version=version.ref,
        stage=version.stage,
        share=version.share,
        since=version.since,
        words=("What is known about the version could not be gathered.", error.what),
        is_overdue=version.is_overdue,
        obstacles=obstacles,
    )


_STEPS = ("stage.changed", "rollout.held")


def _step(entry: Entry) -> str:
    share = f" {100 * entry.body['share']:.3g} %" if entry.body["to"] == "canary" else ""
    return f"{entry.body['to'].replace('_', ' ')}{share}"
