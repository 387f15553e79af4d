"""Making the model behind one answer again, and asking it the same question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kairos.app.contributing import kept_row
from kairos.app.explaining import answer_of, recalibration_of
from kairos.app.packages import open_stored, open_version
from kairos.app.project import Project
from kairos.app.rebuilding import Rebuilt, body_of, rebuild
from kairos.app.settings import ModelSettings
from kairos.app.using import uses_store
from kairos.errors import NotFound
from kairos.models.outputs import leads
from kairos.pipeline.result import StepEvent
from kairos.values import Digest, Json, VersionRef

__all__ = ["AnsweredAgain", "Outcome", "answer_again"]

Outcome = Literal["identical", "close", "differs", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredAgain:
    """What the model that was made again answers."""

    version: VersionRef
    outcome: Outcome
    """``close``: equal within the tolerance; ``unknown``: not all inputs were kept, and the packages differ."""
    tolerance: float
    recorded: float | None
    """The answer of then, before the guard; of several outputs their lead."""
    kept: float | None
    """What the package of then answers now to the inputs that were kept; ``None`` without them."""
    rebuilt: float | None
    """The same of the package that was made again."""
    package: Digest
    """Of the run, then; of a recalibrated version that of the model inside."""
    package_rebuilt: Digest
    lost: dict[str, str]
    """Inputs whose values are not known any more, and why."""
    why: tuple[str, ...]
    """What explains a difference, a line each."""
    run: str
    """That was made again."""

    @property
    def is_same_package(self) -> bool:
        """Whether the same bytes came out."""
        return self.package == self.package_rebuilt


@uses_store
def answer_again(
    project: Project,
    prediction_id: str,
    *,
    tolerance: float = 1e-9,
    on_event: Callable[[StepEvent], None] = lambda event: None,
) -> AnsweredAgain:
    """Makes the run of an answer's version again and compares what its package answers to the inputs that were kept.

    A recalibrated version is put right again as it was then. Where inputs were not kept, the same bytes show the same
    answer; other bytes show nothing.

    Args:
        project: Whose answer.
        prediction_id: As it was given with the answer.
        tolerance: Answers that differ by at most this part of the larger one are close.
        on_event: Told how the steps get on.

    Raises:
        NotFound: no such prediction is in the log, or its run cannot be made again.
        BlobMissing: data of then are gone.
        PipelineError: a step fails now, and it did not then.
    """
    answered = answer_of(project, prediction_id)
    ref = VersionRef(answered.model, answered.version)
    model = project.settings.model(ref.model)
    state = project.state().model(ref.model).version(ref.number)
    made = rebuild(project, str(ref), tolerance=tolerance, on_event=on_event)
    before, after = _packages(project, made, model)
    row, lost = kept_row(answered, open_version(project, state.package, model), model)
    kept = again = None
    outcome: Outcome = "identical" if before == after else "unknown"
    if not lost:
        mend = recalibration_of(project, ref)
        kept = _ask(project, state.package, model, row, None)
        again = _ask(project, after, model, row, mend)
        pairs = [(kept, again)] if answered.raw is None else [(kept, again), (np.array([answered.raw]), again[:1])]
        outcome = _worst(pairs, tolerance)
    return AnsweredAgain(
        version=ref,
        outcome=outcome,
        tolerance=tolerance,
        recorded=answered.raw,
        kept=None if kept is None else float(kept[0]),
        rebuilt=None if again is None else float(again[0]),
        package=before,
        package_rebuilt=after,
        lost=lost,
        why=() if outcome in ("identical", "close") else _why(made, before == after),
        run=made.run,
    )


def _packages(project: Project, made: Rebuilt, model: ModelSettings) -> tuple[Digest, Digest]:
    """Of the model's step: then, and now."""
    steps: Json = body_of(project, made.run)["steps"]
    before = [
        each["digest"]
        for step in steps
        if step["step"] == model.step
        for each in step["outputs"]
        if each["kind"] == "package"
    ]
    if not before or model.step not in made.packages:
        raise NotFound(
            f"The run {made.run} made no package in a step {model.step!r}.",
            accepted=", ".join(made.packages) or "nothing: the run has no model",
            hint=f"See step in [model.{model.name}].",
        )
    return Digest(before[0]), made.packages[model.step]


def _ask(
    project: Project, digest: Digest, model: ModelSettings, row: dict[str, Json], mend: Json
) -> np.ndarray[Any, Any]:
    """What a package answers a row: the lead, and then all numbers if there are several."""
    # What was made again here and now may be loaded: the code that it runs has just run.
    package = open_stored(project.store, digest, allow_pickle=bool(model.allow_pickle))
    signature = package.spec.signature
    answers = package.runner().predict(signature.parse_rows([row]))
    if mend is not None:
        from kairos.stats.recalibration import Recalibration  # it loads scipy

        answers = Recalibration(level=mend["level"], slope=mend["slope"], scale=mend["scale"])(answers)
    lead = leads(signature.outputs, np.asarray(answers))
    return np.concatenate([lead, np.ravel(answers)]) if signature.outputs else np.asarray(lead)


def _worst(pairs: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]], tolerance: float) -> Outcome:
    if all(np.array_equal(one, other, equal_nan=True) for one, other in pairs):
        return "identical"
    is_close = all(
        one.shape == other.shape
        and bool(np.all(np.abs(one - other) <= tolerance * np.maximum(np.abs(one), np.abs(other))))
        for one, other in pairs
    )
    return "close" if is_close else "differs"


def _why(made: Rebuilt, is_same_package: bool) -> tuple[str, ...]:
    if made.diverged is not None:
        return (f"step {made.diverged.step}: {made.diverged.what}", *made.diverged.why)
    libraries = tuple(
        f"library {name}: {then or 'absent'} -> {now or 'absent'}" for name, (then, now) in made.distributions.items()
    )
    if libraries:
        return libraries
    if is_same_package:
        return ("the package is the same to the byte: the inputs that were kept are not those of then, or the machine",)
    return ("nothing that was recorded: look at the machine",)
