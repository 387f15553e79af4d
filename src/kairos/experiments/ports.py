"""What is recorded of a run and of a version, and what a recorder promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from kairos.experiments.baselines import Beating
from kairos.values import Digest, VersionRef

__all__ = [
    "CodeRecord",
    "FailedSeed",
    "Recorder",
    "RunRecord",
    "RunStatus",
    "SeedLog",
    "SeedRecord",
    "StepRecord",
    "VersionRecord",
]

RunStatus = Literal["finished", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRecord:
    """The code that a run was made with."""

    commit: str | None = None
    """Of git; ``None`` outside a repository."""
    branch: str | None = None
    dirty_digest: str | None = None
    """SHA-256 of what was not committed; ``None`` if everything was."""
    steps: Mapping[str, str] = field(default_factory=dict)
    """Step to the digest of its code and of all that it reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of a run, and what it took; what is not known is 0, as of a step that was reused."""

    step: str
    status: str
    """``ran``, ``reused``, ``failed`` or ``not_run``."""
    fingerprint: str | None = None
    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    tries: int = 0
    logged: tuple[Digest, ...] = ()
    """Blobs of what its code logged; those that end in ``.dir`` are folders that the others name."""
    param_names: Mapping[str, str] = field(default_factory=dict)
    """Params that its code logged, to their names in the run."""
    metric_names: Mapping[str, str] = field(default_factory=dict)
    """The same of metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedLog:
    """What the steps behind a model logged that one of a run's seeds made anew; empty if they logged nothing."""

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Each as it was last."""
    steps: tuple[StepRecord, ...] = ()
    """Steps that logged something, with all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedSeed:
    """A model of a run that one of the run's seeds gave no metrics of."""

    seed: int
    """Of the model's step."""
    failure: str
    """Why, in one line."""
    logged: SeedLog = field(default_factory=SeedLog)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRecord:
    """A model of a run, made with one of the run's seeds."""

    seed: int
    """Of the model's step."""
    package: Digest
    holdout: Digest
    """The rows that it was measured on; the same for all seeds, unless a seed decides which rows are held out."""
    metrics: Mapping[str, float]
    """As the run's own: ``demand.absolute_error``."""
    logged: SeedLog = field(default_factory=SeedLog)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a pipeline, finished or failed."""

    run: str
    """Its id, the same whenever the same run is made again."""
    status: RunStatus
    started_at: datetime
    ended_at: datetime
    """When the ledger learned of it. Both times are aware, from the project's clock, which may be a replay's."""
    window: str
    """``START..END`` of the data."""
    actor: str
    """Who or what caused the run."""
    models: tuple[str, ...] = ()
    """The ``@model`` steps that gave a package."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """``STEP.PARAM`` to its value, of the type that the step got; and what steps logged, as text."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Mean losses on the holdout; and what steps logged, each as it was last."""
    baselines: Mapping[str, Beating] = field(default_factory=dict)
    """By model: by how much it beats the simple models that were trained beside it."""
    inputs: Mapping[str, Digest] = field(default_factory=dict)
    """Artifact or file that some step took, to its whole digest."""
    outputs: Mapping[str, Digest] = field(default_factory=dict)
    """Artifact that some step gave, to its whole digest."""
    code: CodeRecord = field(default_factory=CodeRecord)
    failure: str | None = None
    """What went wrong, in one line; ``None`` for a finished run."""
    tags: Mapping[str, str] = field(default_factory=dict)
    study: str | None = None
    """Of a trial, and of the runs that a search compares at its end: the study they belong to; of that its own id."""
    steps: tuple[StepRecord, ...] = ()
    elapsed_s: float = 0.0
    """What it took, with ``cpu_s`` and ``peak_bytes``; 0 in a replay, whose days are no machine's."""
    cpu_s: float = 0.0
    peak_bytes: int = 0
    machine: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Digest] = field(default_factory=dict)
    """``files``, ``difference`` and ``environment``: what it was made with."""
    seeds: Mapping[str, tuple[SeedRecord, ...]] = field(default_factory=dict)
    """By model, what several seeds gave, the run's own first; empty for a run with one."""
    failed_seeds: Mapping[str, tuple[FailedSeed, ...]] = field(default_factory=dict)
    """By model, those that gave nothing; without those that somebody stopped before they logged anything."""
    store: Path | None = None
    """Root of the store that holds what is named here; ``None``: it is not at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A registered version of a model."""

    model: str
    number: int
    run: str
    """Id of the run that made it."""
    package: Digest
    """Of the package's folder."""
    package_folder: Path
    """Where the package's files are; they must stay there until the recorder is closed."""
    registered_at: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "manual"
    """Why it was made."""
    base: str | None = None
    """Of a recalibrated version: the one whose answers it puts right, and whose run is named here."""
    twin: str | None = None
    """Of a refit: the version that was judged in its place."""

    @property
    def ref(self) -> VersionRef:
        """``MODEL@NUMBER``."""
        return VersionRef(self.model, self.number)


class Recorder(Protocol):
    """Keeps runs and versions where people and other tools look for them, beside the ledger.

    The ledger is the truth and is written first; a recorder follows. Recording the same thing again changes nothing
    and completes what a crash cut short, so a lost record is repaired by recording it once more.

    Calls are made from one thread and take effect in their order. A recorder may lag behind its caller: an error may
    be raised by a later call, and by ``close`` at the latest; what was recorded beside it is kept. Where several are
    due at once, the others are the first one's fact ``also``.

    An error with the fact ``refused=True`` says that this very thing, or a part of it, is not taken, however often it
    is told; all others say that it may be taken another time, and that nothing told after it was.
    """

    @property
    def place(self) -> str | None:
        """Which record this is, once it is closed; ``None``: not known, as nothing was recorded."""
        ...

    def expect(self, place: str | None) -> None:
        """Says, before all else, which record has been told so far what the ledger says.

        If this is another one, or one that has lost it all, as of a server with a new database, an error with the fact
        ``another=True`` follows, and nothing is recorded: what was told before comes first.

        Args:
            place: As ``place`` was then; ``None``: nobody knows.
        """
        ...

    def record_run(self, record: RunRecord) -> None:
        """Records a run.

        Raises:
            AdapterError: the engine behind refused or failed.
        """
        ...

    def record_version(self, record: VersionRecord) -> None:
        """Records a version, under its own number, with a copy of its package. Its run must be recorded before.

        Raises:
            AdapterError: the engine numbers it differently, has another package under this number, or lacks its run.
        """
        ...

    def set_aliases(self, model: str, aliases: Mapping[str, int | None]) -> None:
        """Points aliases, such as ``champion``, at versions; ``None`` removes one, and those not named stay.

        Raises:
            AdapterError: there is no such version.
        """
        ...

    def close(self) -> None:
        """Returns when all that was given is recorded. Closing twice is harmless.

        Raises:
            AdapterError: some of it could not be recorded.
        """
        ...
