"""What is noted of a run beside its results: what its steps logged by themselves, and what it took."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count

from kairos.app.left_logs import LISTENER, LogFolder
from kairos.app.project import Project
from kairos.clock import SystemClock
from kairos.pipeline.engine.noting import NotingEngine
from kairos.pipeline.progress import Progress
from kairos.pipeline.reporting import Watch
from kairos.pipeline.result import RunResult
from kairos.pipeline.setup import Setup
from kairos.values import Digest, Json

__all__ = ["Notes"]

_PATIENCE_S = 60.0
_HASTE_S = 1.0
"""As a loop waits for no more than two seconds, its training among it."""


class Notes:
    """The notes of one run, from now on.

    Args:
        project: Whose.
        watch: What stops a step that has no hope; only of a trial.
    """

    def __init__(self, project: Project, watch: Watch | None = None) -> None:
        self._project, self._watch = project, watch
        self._is_replay = not isinstance(project.clock, SystemClock)
        self._log = LogFolder(project.home)
        self._numbers = count()
        self._others: list[NotingEngine] = []
        self._seeds: dict[str, dict[str, dict[str, list[Digest]]]] = {}
        """By model and seed: what its steps logged."""
        self.engine = self._engine()
        """Runs the steps, and notes what they took."""

    def begin(self, setup: Setup, progress: Progress) -> None:
        """Writes down which run it is, for the case that nobody of it is left to say so."""
        self._log.begin(setup, progress.path)

    def another_engine(self) -> NotingEngine:
        """For the run's steps with another seed, whose cost is the run's, and nothing else."""
        self._others.append(self._engine())
        return self._others[-1]

    def hear_out(self) -> None:
        """Keeps what steps have logged that were at work when the run was stopped; their processes are about to end."""
        patience_s = _HASTE_S if self._project.stopping.is_set() else _PATIENCE_S
        with suppress(KeyboardInterrupt):  # who is in a hurry does without it
            for engine in (self.engine, *self._others):
                engine.hear_out(patience_s=patience_s)

    def close(self) -> None:
        """Removes what is left of logs that were kept, or lost."""
        self._log.close()

    def of_seed(
        self, model: str, seed: int, nth: int, result: RunResult, steps: Collection[str]
    ) -> dict[str, dict[str, Json]]:
        """By step: what it logged with one of the run's seeds. All of it is noted among what was measured.

        Args:
            model: That these steps made.
            seed: Of its step.
            nth: Of the run's seeds, whose first is 0.
            result: What came of the run with this seed.
            steps: Those that a seed makes anew.
        """
        engine = self.engine if nth == 0 else self._others[nth - 1]
        own = replace(result, steps=[step for step in result.steps if step.step in steps])
        if blobs := {step: list(digests) for step, digests in engine.blobs(own).items()}:
            self._seeds.setdefault(model, {})[str(seed)] = blobs
        return engine.logged(own)

    def put_in(self, body: Mapping[str, Json], result: RunResult) -> dict[str, Json]:
        """The run's fact with its notes; ``measured`` is chance, and in no replay."""
        logged = self.engine.logged(result)
        steps = [{**step, "logged": logged[step["step"]]} if step["step"] in logged else step for step in body["steps"]]
        measured = {} if self._is_replay else {"measured": self._measured(result)}
        return {**body, "steps": steps, **measured}

    def _measured(self, result: RunResult) -> dict[str, Json]:
        told, others = self.engine.measured(result), [engine.spent() for engine in self._others]
        return {
            **told,
            "cpu_s": round(told["cpu_s"] + sum(spent.cpu_s for spent in others), 6),
            "peak_bytes": max([told["peak_bytes"], *(spent.peak_bytes for spent in others)]),
            **({"seeds": self._seeds} if self._seeds else {}),
        }

    def _engine(self) -> NotingEngine:
        project = self._project
        return NotingEngine(
            project.engine,
            cache=project.cache,
            store=project.store,
            listener=LISTENER,
            log=self._log.path / str(next(self._numbers)),
            watch=self._watch,
        )
