"""What a run needs from others: something that runs tasks, and something that finishes models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.limits import Limits
from kairos.pipeline.logged import Listener
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.reporting import Watch
from kairos.values import Digest, Json, Window

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Engine", "FinishRequest", "Mark", "ModelFinisher", "Reader", "Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What an origin tells of the data of one window, before they are read."""

    text: str
    """The watermark: as long as it is the same, the data are. It is kept, so it holds no secret."""
    pin: Json = None
    """What makes a read give the data of this watermark, whatever happens meanwhile, such as a snapshot's id; ``None``
    if nothing can."""

    def __str__(self) -> str:
        return self.text if self.pin is None else f"{self.text} at {self.pin}"


class Reader(Protocol):
    """An origin of raw data that was opened. Asked by one thread at a time, and only for what is between two times.

    What may pass (a lost connection, a time-out) is an ``AdapterError`` with the fact ``passing=True``; the caller of
    ``batches`` begins anew then. No message holds a secret that ``origins.secrets`` did not fill in.
    """

    def marks(self, windows: Sequence[Window]) -> Sequence[Mark | None]:
        """A watermark for each window; ``None`` where the origin cannot tell whether data changed."""
        ...

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """The window's rows in a fixed order, in tables of the same columns and types, a bounded number at a time.

        Args:
            window: The rows' times.
            pin: From the window's mark.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRequest:
    """What a ``@model`` function returned, and where its package goes."""

    step: str
    returned: object
    inputs: Mapping[str, Any]
    target: str | None
    """Of several the first."""
    drop: Sequence[str]
    params: Mapping[str, Json]
    seed: int | None
    lineage: Mapping[str, Json]
    """Fingerprints of all steps behind the model, and the digests of its inputs."""
    workdir: Path
    """An empty folder."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What the pipeline gave, before ``prepare``: the step's inputs by parameter."""
    targets: Sequence[str] = ()
    """All targets, if there are several."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for beside them, by full name."""


class ModelFinisher(Protocol):
    """Makes a package of a model; is sent to another process, so it has to survive pickling."""

    def __call__(self, request: FinishRequest) -> Path:
        """Fits the model if need be, writes its package below ``request.workdir``, and returns the folder.

        Raises:
            KairosError: the model cannot be packaged, or its data are refused.
        """
        ...

    def also(self, step: str) -> Sequence[str]:
        """Full names of artifacts that ``prepare`` needs beside the step's own inputs; usually none."""
        ...

    def prepare(
        self, step: str, target: str | None, inputs: Mapping[str, Any], also: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The inputs that the step's function is called with; usually those given.

        Args:
            step: Its name.
            target: Name of the target column, from the decorator.
            inputs: What the pipeline gives it, by parameter.
            also: What ``also`` named, by its full name.

        Raises:
            KairosError: they do not allow what is asked for.
        """
        ...

    def facts(self, step: str) -> Json:
        """What the outcome for this step depends on, beside the request; it enters the fingerprint."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call of one step, as it is sent to where it runs."""

    source: PipelineSource
    code: Digest
    """The project's files as the run captured them, a folder in the store; the module is loaded from it."""
    store: Path
    """The store's root."""
    step: str
    outputs: Sequence[str]
    """Names of the artifacts it makes."""
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    """By parameter, in the order of the parameters."""
    also: Mapping[str, Artifact] = field(default_factory=dict)
    """What ``finish`` asked for beside them, by full name."""
    params: Mapping[str, Any] = field(default_factory=dict)
    window: Window | None = None
    reads: Window | None = None
    """The window whose rows a source is given from its origin."""
    pin: Json = None
    """At which these are read."""
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    """What the engine gives it, and at which it ends it; how often it is tried is not the engine's to see to."""
    seeds_torch: bool = False
    """Whether its code reaches PyTorch."""
    parts: Sequence[Artifact] = ()
    """If not empty: nothing is called, these tables are put below each other."""
    part_windows: Sequence[Window] = ()
    """Of these tables."""
    finish: ModelFinisher | None = None
    """For a model."""
    lineage: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: str = ""
    """Of the step's computation; that of the whole window for a partition."""
    watch: Watch | None = None
    """Of a trial: what stops it when there is no hope."""
    listener: Listener | None = None
    """Keeps what the step's code logs; ``None``: that is thrown away."""
    log: Path | None = None
    """A folder of this try alone, made by whoever logs first: what the code logs is there as soon as it was logged, and
    still is when the process was killed; ``None``: it is lost with it."""


class Engine(Protocol):
    """Runs tasks. A task may run anywhere, more than once, and beside others.

    Of a task's limits it honours the processors, cards, memory and timeout: it ends a task that has or takes more.
    """

    def submit(self, task: Task) -> Future[tuple[Artifact, ...]]:
        """Begins a task; the future gives its artifacts in the order of ``outputs``.

        An engine that measures gives them as ``Made``.

        The future raises ``StepFailed`` if her code raised (with the user's own traceback), its process died, or a
        limit was passed, and any other ``KairosError`` as it was raised.
        """
        ...

    def close(self) -> None:
        """Ends what runs."""
        ...
