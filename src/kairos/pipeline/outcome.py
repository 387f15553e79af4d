"""What became of a run's steps, as far as it is known: the results that a run's fact is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kairos.errors import KairosError
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.job import Job
from kairos.pipeline.plan import code_digest
from kairos.pipeline.result import Failure, RunResult, Status, StepResult
from kairos.pipeline.setup import Setup
from kairos.values import Digest

__all__ = ["Outcome"]


@dataclass(slots=True)
class Outcome:
    """Results, artifacts and failures of one run."""

    setup: Setup
    results: dict[str, StepResult] = field(default_factory=dict)
    made: dict[str, Fingerprint] = field(default_factory=dict)
    """By step, from when it is known."""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """By full name."""
    failures: list[Failure] = field(default_factory=list)
    """In the order in which they became known; after the first one no step is started any more."""

    def settled(self, job: Job, outputs: Sequence[Artifact], status: Status) -> None:
        """Takes in what a step gave."""
        self.results[job.name] = self._result(job, status, outputs)
        self.artifacts.update((output.name, output) for output in outputs)

    def failed(self, job: Job, error: KairosError) -> bool:
        """Takes in why a step failed; ``False`` if it had failed already, as of a source several partitions may."""
        if job.name in self.results:
            return False
        self.results[job.name] = self._result(job, "failed", ())
        failure = Failure(
            step=job.name,
            type=str(error.facts.get("type", type(error).__name__)),
            message=self.setup.shown(error),
            traceback=str(error.facts.get("traceback", "")),
        )
        self.failures.append(failure)
        return True

    def stopped(self, jobs: Sequence[Job]) -> None:
        """Takes in at which steps the run was stopped."""
        for job in jobs:
            self.results[job.name] = self._result(job, "failed", ())
        unknown = [name for name in self.setup.settings if name not in self.results]
        at = sorted({job.name for job in jobs}) or [*unknown, *self.setup.settings][:1]
        message = f"The run was stopped by the user at step {' and '.join(map(repr, at))}."
        self.failures.insert(0, Failure(step=at[0], type="Stopped", message=message, traceback=""))

    def digests(self) -> Iterator[Digest]:
        """Of all that the steps gave."""
        return (output.digest for result in self.results.values() for output in result.outputs)

    def result(self) -> RunResult:
        """The run up to now."""
        setup = self.setup
        libraries = {name: version for made in self.made.values() for name, version in made.libraries.items()}
        models = {
            name: result.outputs[0].digest
            for name, result in self.results.items()
            if result.outputs and setup.settings[name].node.spec.kind == "model"
        }
        return RunResult(
            started_at=setup.started_at,
            window=setup.window,
            steps=[self.results.get(name) or StepResult(step=name, status="not_run") for name in setup.settings],
            models=dict(sorted(models.items())),
            code=setup.code,
            libraries=dict(sorted(libraries.items())),
            kept=setup.kept,
            failure=self.failures[0] if self.failures else None,
            also_failed=tuple(self.failures[1:]),
        )

    def _result(self, job: Job, status: Status, outputs: Sequence[Artifact]) -> StepResult:
        named = {job.setting.node.inputs[parameter]: artifact.digest for parameter, artifact in job.inputs.items()}
        is_named = job.name in self.made
        return StepResult(
            step=job.name,
            status=status,
            fingerprint=job.made.digest if is_named else None,
            code=code_digest(job.made) if is_named else None,
            params={**job.setting.params, **({"seed": job.setting.seed} if job.setting.node.spec.takes_seed else {})},
            inputs={**named, **job.files},
            outputs=outputs,
            origin={str(window): str(mark) for window, mark in job.marks.items() if mark is not None},
        )
