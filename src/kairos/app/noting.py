"""What is noted of a run beside its results: what its steps logged by themselves, and what it took."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.app.project import Project
from kairos.clock import SystemClock
from kairos.pipeline.engine.noting import NotingEngine
from kairos.pipeline.result import RunResult
from kairos.values import Json

__all__ = ["Notes"]

_LISTENER = "kairos.adapters.mlflow.inside:keep"
"""Loaded by a worker whose step logged with MLflow, and by nobody else."""


class Notes:
    """The notes of one run, from now on.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._is_replay = not isinstance(project.clock, SystemClock)
        self.engine = NotingEngine(project.engine, cache=project.cache, store=project.store, listener=_LISTENER)
        """Runs the steps, and notes what they took."""

    def put_in(self, body: Mapping[str, Json], result: RunResult) -> dict[str, Json]:
        """The run's fact with its notes; ``measured`` is chance, and in no replay."""
        logged = self.engine.logged(result)
        steps = [{**step, "logged": logged[step["step"]]} if step["step"] in logged else step for step in body["steps"]]
        measured = {} if self._is_replay else {"measured": self.engine.measured(result)}
        return {**body, "steps": steps, **measured}
