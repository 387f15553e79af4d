"""Making a run again, from the code, the data and the params that were kept, and saying whether the same comes out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from kairos.app.code_folder import make_code_folder
from kairos.app.finishing import finisher
from kairos.app.project import Project
from kairos.app.using import uses_store
from kairos.errors import NotFound, PipelineError
from kairos.experiments.finding import find_run
from kairos.experiments.runs import RUN_KINDS
from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known, StepCache
from kairos.pipeline.engine.local import LocalEngine
from kairos.pipeline.environment import Environment, environment
from kairos.pipeline.fingerprint import Fingerprint, explain_change
from kairos.pipeline.graph import Graph
from kairos.pipeline.likeness import Likeness, compare_artifacts
from kairos.pipeline.project import PipelineSource, load_module
from kairos.pipeline.result import RunResult, StepEvent
from kairos.pipeline.run import run
from kairos.pipeline.typed import untyped
from kairos.values import Digest, Json, VersionRef, Window, plain, unplain

__all__ = ["Diverged", "Rebuilt", "body_of", "rebuild", "run_of"]

Answer = Literal["identical", "close", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged:
    """The first step that gave something else."""

    step: str
    what: str
    """Where its result differs, in words."""
    why: tuple[str, ...]
    """What explains it, a line each: another input, library or param, or chance that no seed controls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of making a run again."""

    run: str
    answer: Answer
    """``close``: equal within the tolerance."""
    steps: Mapping[str, Likeness]
    """Step that was made again to how its result resembles the one of then; the worst of its artifacts."""
    taken: tuple[str, ...]
    """Sources, whose data were taken as they were captured."""
    distributions: Mapping[str, tuple[str | None, str | None]]
    """Those whose version is another one: then, and now; ``None`` where it is not installed."""
    folder: Path
    """Where the code of then is."""
    packages: Mapping[str, Digest] = field(default_factory=dict)
    """Step to the package that it made now."""
    diverged: Diverged | None = None

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self) if each.name != "folder"} | {
            "folder": str(self.folder)
        }


def run_of(project: Project, name: str) -> str:
    """The run that a person means by its id, the beginning of it, or a version that it made.

    Raises:
        NotFound: there is none.
    """
    if "@" in name:
        ref = VersionRef.parse(name)
        return project.state().model(ref.model).version(ref.number).run
    return find_run(project.run_index, name).run


@uses_store
def rebuild(
    project: Project,
    name: str,
    *,
    tolerance: float = 1e-9,
    engine: LocalEngine | None = None,
    on_event: Callable[[StepEvent], None] = lambda event: None,
) -> Rebuilt:
    """Makes a finished run again in a folder of its own, and compares each step's result with the one of then.

    Sources are not pulled again: what they gave then is the data. Every other step runs, whatever is known of it.

    Args:
        project: Whose run.
        name: Its id, or ``MODEL@N``.
        tolerance: Numbers that differ by at most this part of their size are close.
        engine: Where steps run; ``None``: the project's own.
        on_event: Told how the steps get on.

    Raises:
        NotFound: there is no such run, or its code was not kept.
        BlobMissing: data of then are gone.
        PipelineError: a step fails now, and it did not then.
    """
    body = body_of(project, run_of(project, name))
    kept = body.get("kept")
    if kept is None:
        raise NotFound(
            f"The code of the run {body['id']} was not kept.", hint="Runs of newer versions of Kairos keep it."
        )
    folder = project.home / "rebuilds" / str(body["id"])
    folder = make_code_folder(project.store, project.root, folder, kept=kept, commit=body["code"].get("commit"))
    again = _Again(project, body, folder, tolerance, engine, on_event)
    try:
        return again.rebuilt(_differing(project, body))
    finally:
        again.cache.close()


class _Again:
    """One rebuild."""

    def __init__(
        self,
        project: Project,
        body: Json,
        folder: Path,
        tolerance: float,
        engine: LocalEngine | None,
        on_event: Callable[[StepEvent], None],
    ) -> None:
        self._project = project
        self._body = body
        self._folder = folder
        self._tolerance = tolerance
        self._engine = engine or project.engine
        self._on_event = on_event
        shutil.rmtree(folder / ".kairos", ignore_errors=True)
        self.cache = StepCache(folder / ".kairos" / "cache.db")
        self._settings = Project(folder).settings
        self._source = PipelineSource(root=folder, file=self._settings.pipeline, stands_for=project.root)
        self._before = {
            step["step"]: tuple(Artifact.from_plain(each) for each in step["outputs"]) for step in body["steps"]
        }

    def rebuilt(self, distributions: Mapping[str, tuple[str | None, str | None]]) -> Rebuilt:
        """Runs, compares, explains."""
        given = self._given()
        result = self._run(given, None)
        if result.failure is not None:
            raise PipelineError(
                f"The run {self._body['id']} cannot be made again: {result.failure.message}",
                given="; ".join(_told(distributions)[:5]) or None,
                traceback=result.failure.traceback,
            )
        after = {step.step: tuple(step.outputs) for step in result.steps}
        likeness = {name: self._compared(name, after[name]) for name in after if name not in given}
        first = next((name for name in likeness if likeness[name].how == "different"), None)
        diverged = None
        if first is not None:
            why = self._explained(first, result, distributions)
            diverged = Diverged(step=first, what=likeness[first].what, why=why)
        worst = {each.how for each in likeness.values()}
        answer: Answer = "diverged" if first else "close" if "close" in worst else "identical"
        return Rebuilt(
            run=self._body["id"],
            answer=answer,
            steps=likeness,
            taken=tuple(given),
            distributions=distributions,
            folder=self._folder,
            packages={name: each.digest for name in likeness for each in after[name] if each.kind == "package"},
            diverged=diverged,
        )

    def _given(self) -> dict[str, tuple[Fingerprint, Known]]:
        """What the sources gave then, under their fingerprints of then."""
        given = {}
        graph = Graph.from_module(load_module(self._source, keep=False))
        for step in self._body["steps"]:
            if graph.node(step["step"]).spec.kind == "source":
                made = self._project.cache.parts(step["fingerprint"]) or Fingerprint(step=step["step"])
                given[step["step"]] = (made, Known(self._before[step["step"]], None))
                for artifact in self._before[step["step"]]:
                    self._project.store.path(artifact.digest)  # raises if it is gone
        return given

    def _run(self, given: Mapping[str, tuple[Fingerprint, Known]], targets: Sequence[str] | None) -> RunResult:
        from kairos.models.learn import Learn  # loads scikit-learn; a run of no model has none

        learn = {name: Learn(**how) for name, how in (self._body.get("learn") or {}).items()}
        steps = self._body["steps"]
        return run(
            self._source,
            store=self._project.store,
            cache=self.cache,
            engine=self._engine,
            window=Window.parse(self._body["window"]),
            params={step["step"]: {name: untyped(v) for name, v in step["params"].items()} for step in steps},
            clock=self._project.clock,
            finish_model=finisher(Project(self._folder), learn),
            targets=targets or [step["step"] for step in steps],
            force=[step["step"] for step in steps if step["step"] not in given],
            given=given,
            on_event=self._on_event,
            should_stop=self._project.stopping.is_set,
        )

    def _compared(self, step: str, after: Sequence[Artifact]) -> Likeness:
        before = {each.name: each for each in self._before[step]}
        found = []
        for artifact in after:
            one = before.get(artifact.name)
            if one is None:
                found.append(Likeness(how="different", what=f"it had no {artifact.name}", by=float("inf")))
                continue
            like = compare_artifacts(self._project.store, one, artifact, tolerance=self._tolerance)
            if like.how == "different" and artifact.kind == "package":
                like = self._answers_compared(step, one.digest, artifact.digest, like)
            found.append(
                like if len(after) == 1 or not like.what else replace(like, what=f"{artifact.name}: {like.what}")
            )
        order = ("identical", "close", "different")
        return max(found, key=lambda each: (order.index(each.how), each.by))

    def _answers_compared(self, step: str, before: Digest, after: Digest, bytes_differ: Likeness) -> Likeness:
        """Two packages of other bytes may still answer alike on the rows held out."""
        model = next((each for each in self._settings.models.values() if each.step == step), None)
        if model is None:
            return bytes_differ
        from kairos.app.measuring import answers_alike

        found = answers_alike(self._project, model, before, after, self._body, self._tolerance)
        return bytes_differ if found is None else found

    def _explained(
        self, step: str, result: RunResult, distributions: Mapping[str, tuple[str | None, str | None]]
    ) -> tuple[str, ...]:
        recorded = next(one for one in self._body["steps"] if one["step"] == step)
        before = self._project.cache.parts(recorded["fingerprint"])
        after = self.cache.last(step)
        lines = [] if before is None or after is None else explain_change(before, after)
        if not lines and self._is_chance(step, result):
            seed = after.seed if after is not None else 0
            return (f"chance: made twice here from equal inputs with the seed {seed}, it gives two results",)
        return tuple(lines) or tuple(_told(distributions)) or ("nothing that was recorded: look at the machine",)

    def _is_chance(self, step: str, result: RunResult) -> bool:
        """Whether the step gives something else each time."""
        known = {
            one.step: (made, Known(tuple(one.outputs), None))
            for one in result.steps
            if one.step != step and (made := self.cache.last(one.step)) is not None
        }
        again = self._run(known, [step])
        outputs = {one.step: [each.identity for each in one.outputs] for one in again.steps}
        first = [each.identity for one in result.steps if one.step == step for each in one.outputs]
        return again.failure is None and outputs[step] != first


def body_of(project: Project, run_id: str) -> Json:
    """The body of a finished run's fact.

    Raises:
        PipelineError: it failed, or was imported.
    """
    entry = list(project.ledger.read(kinds=RUN_KINDS, subject=run_id))[-1]
    if entry.kind == "run.imported":
        raise PipelineError(f"The run {run_id} was imported, so its steps are not this project's.")
    if entry.kind == "run.failed" or entry.body.get("status") == "failed":
        raise PipelineError(f"The run {run_id} failed, so there is nothing to compare with.", hint="Type: kairos runs")
    return unplain(entry.body)


def _differing(project: Project, body: Json) -> dict[str, tuple[str | None, str | None]]:
    """Distributions in other versions, and those that the run reached and that are gone; others do not matter."""
    kept = Digest(body["kept"]["environment"])
    then = Environment.from_plain(json.loads(project.store.get_bytes(kept, verify=True)))
    now = environment()
    before = {**then.distributions, "python": then.python, "platform": then.platform}
    after = {**now.distributions, "python": now.python, "platform": now.platform}
    return {
        name: (version, after.get(name))
        for name, version in before.items()
        if after.get(name) != version and (name in after or name in body["libraries"])
    }


def _told(distributions: Mapping[str, tuple[str | None, str | None]]) -> list[str]:
    return [f"library {name}: {then or 'absent'} -> {now or 'absent'}" for name, (then, now) in distributions.items()]
