"""What a package is worth on the rows that its run held out, and whether two packages answer alike on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kairos.app.baselines import Answered, answers_of_baselines, beating
from kairos.app.facts import artifact_digest
from kairos.app.losses import answers_on, check_columns, fresh_rows, truth_on
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.app.proving import HeldOut, compare_forms
from kairos.app.settings import ModelSettings
from kairos.app.signing import signed_if_needed
from kairos.errors import DataRefused, KairosError
from kairos.experiments.baselines import Beating
from kairos.gates.losses import loss_named
from kairos.models.package import Package
from kairos.pipeline.likeness import Likeness
from kairos.pipeline.project import own_place
from kairos.values import Digest, Json

__all__ = ["Measured", "answers_alike", "measure", "measured_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a package is worth on the rows held out."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Mean losses by name: ``demand.absolute_error``; ``demand.absolute_error.baseline``, of the best baseline by the
    training rows, and ``demand.absolute_error.baseline.linear`` of each; of several targets those of each as well,
    ``demand.absolute_error.TARGET``. Empty without rows."""
    beating: Beating | None = None
    """``None``: no baseline or no interval was asked for, or nothing can be compared."""
    forms: HeldOut | None = None
    """Its compiled form beside the estimator; ``None``: it has none, or was proven on these rows before."""


def measured_of(
    project: Project, model: ModelSettings, package: Digest, run: Json, *, intervals: bool = True
) -> Measured:
    """Mean losses of a package and of its baselines on the rows that its run held out.

    Args:
        project: Whose store.
        model: Its settings.
        package: In the store.
        run: Body of the run's fact.
        intervals: Whether it is told by how much the model beats its baselines, which takes longest.

    Raises:
        KairosError: it could not be measured; the message says that the run is recorded nevertheless.
    """
    try:
        return measure(project, model, package, run, intervals=intervals)
    except KairosError as error:
        what = f"{_unmeasured(model, run)} {error.what}"
        raise type(error)(what, given=error.given, accepted=error.accepted, hint=error.hint, **error.facts) from error
    except Exception as error:  # whatever an estimator or a table raises
        place = own_place(error, project.root)
        given = f"{type(error).__name__}: {error}{place and f' ({place})'}"
        raise DataRefused(_unmeasured(model, run), given=given) from error


def measure(project: Project, model: ModelSettings, package: Digest, run: Json, *, intervals: bool = True) -> Measured:
    """The same, for whoever tells in words of its own what could not be measured.

    Raises:
        Exception: whatever an estimator, a table or the store raises.
    """
    check_columns(holdout_table(project, model, run), model)
    if model.allow_pickle == "signed":
        signed_if_needed(project, package)
    return _measured(project, model, open_version(project, package, model), run, intervals)


def _measured(project: Project, model: ModelSettings, package: Package, run: Json, intervals: bool) -> Measured:
    rows = fresh_rows(holdout_table(project, model, run), model, [package])
    if not len(rows):
        return Measured()
    truth, own = truth_on(rows, package), answers_on(rows, package, model)
    said = answers_of_baselines(project, model, package, run, rows) if model.baselines else _NOBODY
    loss = loss_named(model.gate.loss)
    name = f"{model.name}.{model.gate.loss}"
    chosen = next(iter(said.answers), None)
    metrics = {name: loss(truth, own)}
    for at, target in enumerate(package.spec.targets):
        metrics[f"{name}.{target}"] = loss(truth[:, at], own[:, at])
        if chosen is not None:
            metrics[f"{name}.{target}.baseline"] = loss(truth[:, at], said.answers[chosen][:, at])
    if chosen is not None:
        metrics[f"{name}.baseline"] = loss(truth, said.answers[chosen])
    metrics |= {f"{name}.baseline.{each}": loss(truth, answers) for each, answers in said.answers.items()}
    is_told = intervals and bool(said.answers or said.left_out)
    is_told = is_told and all(np.isfinite(each).all() for each in metrics.values())
    digest = artifact_digest(run, model.holdout)
    return Measured(
        metrics={key: float(values.mean()) for key, values in metrics.items()},
        beating=beating(model, package, rows, own, said, digest) if is_told else None,
        forms=compare_forms(package, rows) if intervals else None,
    )


_NOBODY = Answered(answers={}, left_out={})


def _unmeasured(model: ModelSettings, run: Json) -> str:
    return f"The run {run['id']} is recorded, but {model.name!r} could not be measured on {model.holdout!r}."


def answers_alike(
    project: Project,
    model: ModelSettings,
    before: Digest,
    after: Digest,
    run: Json,
    tolerance: float,
) -> Likeness | None:
    """How two packages of one model answer on the rows held out; ``None`` if that cannot be found out.

    Args:
        project: Whose store.
        model: Its settings.
        before: A package.
        after: Another.
        run: Body of the run's fact.
        tolerance: Answers whose difference is at most this part of the larger one are close.
    """
    try:
        rows = holdout_table(project, model, run)
        old, new = (answers_on(rows, open_version(project, each, model), model) for each in (before, after))
    except Exception:  # whatever an estimator or a table raises: the bytes have been compared already
        return None
    if old.shape != new.shape:  # they tell other classes apart
        return None
    gap, larger = np.abs(old - new), np.maximum(np.abs(old), np.abs(new))
    by = float(np.max(np.divide(gap, larger, out=np.zeros_like(gap), where=larger > 0), initial=0.0))
    what = f"its {len(rows)} answers on the rows held out differ by up to {by:.2g} of the value, and its bytes differ"
    return Likeness(how="close" if by <= tolerance else "different", what=what, by=by)
