"""What became of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from kairos.errors import NotFound, did_you_mean
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.code_state import CodeState
from kairos.pipeline.typed import typed
from kairos.values import Digest, Json, Window, canonical_json

__all__ = ["Failure", "Kept", "RunResult", "RunStopped", "Status", "StepEvent", "StepResult"]

Status = Literal["ran", "reused", "failed", "not_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """Something that just happened to a step."""

    step: str
    what: Literal["started", "ran", "reused", "failed", "retried", "waits"]
    why: tuple[str, ...] = ()
    """On ``started``: what changed since the last time; on ``retried``: what went wrong, and when it is tried again;
    on ``waits``: which other run is at it."""
    elapsed_s: float = 0.0
    """Since it started, by the run's clock."""
    parts: int = 0
    """Partitions of a source that were pulled; the others were reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What became of one step."""

    step: str
    status: Status
    fingerprint: str | None = None
    """``None`` if it was never known, because something before it failed."""
    code: str | None = None
    """Digest of all the code that it reaches."""
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Digest] = field(default_factory=dict)
    """Artifacts by name and files by path, with their whole digests."""
    outputs: Sequence[Artifact] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    """For a source that reads an origin: watermark by window."""

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {
            "step": self.step,
            "status": self.status,
            "fingerprint": self.fingerprint,
            "code": self.code,
            "params": {name: typed(value) for name, value in self.params.items()},
            "inputs": dict(self.inputs),
            "outputs": [output.plain() for output in self.outputs],
            **({"origin": dict(self.origin)} if self.origin else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run stopped."""

    step: str
    type: str
    """The exception's name."""
    message: str
    traceback: str
    """The user's own, as text; empty if her code did not raise."""

    def plain(self) -> dict[str, Json]:
        """A JSON object, without the traceback, which names files of this machine."""
        return {"step": self.step, "type": self.type, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Blobs that hold what a run was made with, besides its data; a rebuild takes them back out."""

    files: Digest
    """The project's own files as they were captured: a folder."""
    difference: Digest | None
    """What ``git diff`` says against the commit; ``None`` without a commit or a difference."""
    environment: Digest
    """Distributions with their versions, as JSON."""

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"files": self.files, "difference": self.difference, "environment": self.environment}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One execution of a pipeline. What was finished is stored, whatever came later."""

    started_at: datetime
    window: Window
    steps: Sequence[StepResult]
    models: Mapping[str, Digest]
    """Model step to the digest of its package."""
    code: CodeState
    libraries: Mapping[str, str]
    kept: Kept | None = None
    failure: Failure | None = None
    also_failed: Sequence[Failure] = ()
    """Steps that ran beside the one that failed first, and failed as well."""

    @property
    def ok(self) -> bool:
        """Whether all steps have their result."""
        return self.failure is None

    @property
    def id(self) -> str:
        """The run's name: the same for the same computation begun at the same time."""
        facts = {"fingerprints": [step.fingerprint for step in self.steps], "started_at": self.started_at}
        return "r" + hashlib.sha256(canonical_json(facts)).hexdigest()[:10]

    def artifact(self, name: str) -> Artifact:
        """One of the outputs, such as ``split.holdout``.

        Raises:
            NotFound: the run has no such artifact.
        """
        outputs = {output.name: output for step in self.steps for output in step.outputs}
        if name not in outputs:
            raise NotFound(
                f"The run {self.id} has no artifact {name!r}.",
                accepted=", ".join(outputs) or "nothing: it failed",
                hint=did_you_mean(name, outputs),
            )
        return outputs[name]

    def plain(self) -> dict[str, Json]:
        """The fact that the ledger keeps: no durations, no paths of this machine."""
        told = [failure.plain() for failure in self.also_failed]
        return {
            "id": self.id,
            "started_at": self.started_at.isoformat(),
            "window": str(self.window),
            "steps": [step.plain() for step in self.steps],
            "models": dict(self.models),
            "code": self.code.plain(),
            "libraries": dict(self.libraries),
            **({"kept": self.kept.plain()} if self.kept is not None else {}),
            "failure": None if self.failure is None else self.failure.plain(),
            **({"also_failed": told} if told else {}),
        }


class RunStopped(KeyboardInterrupt):
    """Somebody stopped a run in its middle; what was finished is kept.

    Args:
        result: The run up to then; its failure names the steps that were stopped.
    """

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__("" if result.failure is None else result.failure.message)
