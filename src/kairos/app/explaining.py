"""From one served answer back to the bytes, the code, the gate and the person behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from kairos.app.facts import run_entry
from kairos.app.project import Project
from kairos.delivery.versions import Freeze, VersionState
from kairos.errors import KairosError, NotFound
from kairos.ledger import Entry
from kairos.pipeline.environment import Environment
from kairos.store.label_rows import Said
from kairos.store.records import Prediction
from kairos.values import Digest, Json, VersionRef

__all__ = [
    "Arm",
    "Explanation",
    "LiveAt",
    "Moment",
    "UsedEnvironment",
    "answer_of",
    "explain",
    "live_at",
    "recalibration_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One fact of a version's life: a gate's verdict or a change of stage."""

    at: datetime
    kind: str
    what: str
    verdict: str | None
    reasons: tuple[str, ...]
    override: str | None
    actor: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What one version made of the request."""

    version: VersionRef
    role: str
    answered: bool
    raw: float | None
    output: float | None
    violation: str | None
    action: str | None
    error: str | None
    told: dict[str, Json] = field(default_factory=dict)
    """What left of several outputs, by name; ``raw`` and ``output`` are then their lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedEnvironment:
    """Which distributions a run was made with."""

    lock: Digest
    """Of the file in the store that names all of them."""
    python: str | None = None
    """``None``, as what follows: the lock is not in the store any more."""
    platform: str | None = None
    distributions: int | None = None
    """How many the lock names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole chain behind one answer."""

    prediction: str
    at: datetime
    version: VersionRef
    arms: tuple[Arm, ...]
    inputs: dict[str, Json]
    """What the capture policy kept of them."""
    label: Said | None
    package: Digest
    form: str
    """Which form of the package answers in this installation, and what proves it or why it is the native one."""
    origin: str
    """Why the version was made, as in ``VersionState``."""
    base: VersionRef | None
    """Of a recalibrated version: whose answers it puts right; run, steps and code below are that version's."""
    recalibration: Json
    """How it does so, and from which rows; ``None`` of any other version."""
    run: str
    window: str
    run_at: datetime
    steps: dict[str, Json]
    """By name: fingerprint, code digest, params, input digests."""
    code: dict[str, Json]
    """Git commit, branch, and the digest of what was not committed."""
    environment: UsedEnvironment | None
    """What the run was made with; ``None`` of a run that did not keep it."""
    libraries: dict[str, str]
    """Distributions that the code of its steps reached, with their versions."""
    gate: Moment | None
    stages: tuple[Moment, ...]
    """How the version came to answer, up to the moment of the prediction."""

    @property
    def deployed(self) -> Moment | None:
        """The change of stage that let the version answer."""
        return self.stages[-1] if self.stages else None


def explain(project: Project, prediction_id: str) -> Explanation:
    """Tells where an answer came from.

    Raises:
        NotFound: no such prediction is in the log.
    """
    rows = _find(project, prediction_id)
    arms = tuple(
        Arm(
            version=VersionRef(row.model, row.version),
            role=row.role,
            answered=row.answered,
            raw=row.raw,
            output=row.output,
            violation=row.violation,
            action=row.action,
            error=row.error,
            told=dict(row.told),
        )
        for row in sorted(rows, key=lambda row: (not row.answered, row.version))
    )
    row, version = _answered(rows), arms[0].version
    state = project.state().model(version.model).version(version.number)
    run = run_entry(project, state.run)
    gates = [_moment(e) for e in project.ledger.read(until=row.at, kinds=["gate.decided"], subject=str(version))]
    stages = project.ledger.read(until=row.at, kinds=["stage.changed"], subject=str(version))
    return Explanation(
        prediction=prediction_id,
        at=row.at,
        version=version,
        arms=arms,
        inputs=dict(row.inputs),
        label=project.predictions.truth_of(row),
        package=state.package,
        form=_form(project, state),
        origin=state.origin,
        base=None if state.base is None else VersionRef(version.model, state.base),
        recalibration=recalibration_of(project, version),
        run=state.run,
        window=run.body["window"],
        run_at=run.at,
        steps={step["step"]: {k: step[k] for k in _STEP_FACTS} for step in run.body["steps"]},
        code=dict(run.body["code"]),
        environment=_environment(project, run.body),
        libraries=dict(run.body.get("libraries", {})),
        gate=gates[-1] if gates else None,
        stages=tuple(_moment(e) for e in stages),
    )


def answer_of(project: Project, prediction_id: str) -> Prediction:
    """The answer that the user got, as it was written down.

    Raises:
        NotFound: no such prediction is in the log.
    """
    return _answered(_find(project, prediction_id))


def _answered(rows: list[Prediction]) -> Prediction:
    return next((row for row in rows if row.answered), rows[0])


def _find(project: Project, prediction_id: str) -> list[Prediction]:
    from kairos.app.batches import find_batch_prediction, is_batch_id

    is_batch = is_batch_id(prediction_id)
    rows = find_batch_prediction(project, prediction_id) if is_batch else project.predictions.find(prediction_id)
    if not rows:
        raise NotFound(
            f"There is no prediction {prediction_id!r} in the log.",
            accepted="the prediction_id of an answer that was captured",
        )
    return rows


def _form(project: Project, version: VersionState) -> str:
    # they load numpy and Polars, which a list of versions does without
    from kairos.app.packages import open_stored
    from kairos.app.proving import form_told

    try:
        package = open_stored(project.store, version.package)
        return form_told(project, version, package)
    except KairosError as error:  # the answer was given; that its package is damaged by now belongs in the telling
        return f"unknown: {error.what}"


def _environment(project: Project, run: Json) -> UsedEnvironment | None:
    if "kept" not in run:
        return None
    digest = Digest(run["kept"]["environment"])
    try:
        lock = Environment.from_plain(json.loads(project.store.get_bytes(digest, verify=True)))
    except KairosError:  # missing or damaged: its digest is on record nevertheless
        return UsedEnvironment(lock=digest)
    count = len(lock.distributions)
    return UsedEnvironment(lock=digest, python=lock.python, platform=lock.platform, distributions=count)


def recalibration_of(project: Project, version: VersionRef) -> Json:
    """How a version puts another one's answers right, as it was registered; ``None`` of any other version."""
    [registered, *_] = project.ledger.read(kinds=["version.registered"], subject=str(version))
    return registered.body.get("recalibration")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAt:
    """What one model's users got at a moment."""

    model: str
    version: VersionRef | None
    package: Digest | None
    run: str | None
    settings: Digest | None
    """Name of the settings that it was deployed with, in the store."""
    serving: Json
    """The part of them that the server keeps to; ``None`` if the ledger does not tell."""
    challenger: VersionRef | None
    stage: str | None
    """Of the challenger."""
    share: float
    changed: Moment | None
    """The change that made the version live."""
    is_overdue: bool = False
    """Whether the challenger's time is over, so that it waits for a person."""
    frozen_by: tuple[Freeze, ...] = ()
    """Freezes that people had begun and that held then; those of the settings are not told."""


def live_at(project: Project, at: datetime | None = None) -> list[LiveAt]:
    """What is or was live, model by model, and who changed it on what evidence."""
    found: list[LiveAt] = []
    for model in project.state(until=at).models.values():
        champion, challenger = model.champion, model.challenger
        changed = None if champion is None else next(project.ledger.read(after=champion.stage_seq - 1))
        found.append(
            LiveAt(
                model=model.model,
                version=None if champion is None else champion.ref,
                package=None if champion is None else champion.package,
                run=None if champion is None else champion.run,
                settings=None if champion is None else champion.settings,
                serving=None if champion is None or champion.serving is None else json.loads(champion.serving),
                challenger=None if challenger is None else challenger.ref,
                stage=None if challenger is None else challenger.stage,
                share=0.0 if challenger is None else challenger.share,
                changed=None if changed is None else _moment(changed),
                is_overdue=challenger is not None and challenger.is_overdue,
                frozen_by=tuple(f for f in model.freezes if f.until is None or (at or project.clock.now()) < f.until),
            )
        )
    return sorted(found, key=lambda one: one.model)


_STEP_FACTS = ("fingerprint", "code", "params", "inputs")


def _moment(entry: Entry) -> Moment:
    body = entry.body
    what = body["to"] if entry.kind == "stage.changed" else body.get("sentence", entry.kind)
    return Moment(
        at=entry.at,
        kind=entry.kind,
        what=what,
        verdict=body.get("verdict"),
        reasons=tuple(body.get("reasons") or ()),
        override=body.get("override"),
        actor=entry.actor,
        seq=entry.seq,
        hash=entry.hash,
    )
