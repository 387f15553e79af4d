"""What a package is worth on the rows that its run held out, and whether two packages answer alike on them."""

from __future__ import annotations

import numpy as np

from kairos.app.losses import answers_on, check_columns, holdout_losses
from kairos.app.packages import holdout_table, open_version
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.signing import signed_if_needed
from kairos.errors import DataRefused, KairosError
from kairos.pipeline.likeness import Likeness
from kairos.pipeline.project import own_place
from kairos.values import Digest, Json

__all__ = ["answers_alike", "measure", "metrics_of"]


def metrics_of(project: Project, model: ModelSettings, package: Digest, run: Json) -> dict[str, float]:
    """Mean losses of a package and of its simple baseline on the rows that its run held out.

    Args:
        project: Whose store.
        model: Its settings.
        package: In the store.
        run: Body of the run's fact.

    Returns:
        By name: ``demand.absolute_error``, ``demand.absolute_error.baseline``; of several targets those of each as
        well, ``demand.absolute_error.TARGET``; empty without rows.

    Raises:
        KairosError: it could not be measured; the message says that the run is recorded nevertheless.
    """
    try:
        return measure(project, model, package, run)
    except KairosError as error:
        what = f"{_unmeasured(model, run)} {error.what}"
        raise type(error)(what, given=error.given, accepted=error.accepted, hint=error.hint, **error.facts) from error
    except Exception as error:  # whatever an estimator or a table raises
        place = own_place(error, project.root)
        given = f"{type(error).__name__}: {error}{place and f' ({place})'}"
        raise DataRefused(_unmeasured(model, run), given=given) from error


def measure(project: Project, model: ModelSettings, package: Digest, run: Json) -> dict[str, float]:
    """The same, for whoever tells in words of its own what could not be measured.

    Raises:
        Exception: whatever an estimator, a table or the store raises.
    """
    check_columns(holdout_table(project, model, run), model)
    if model.allow_pickle == "signed":
        signed_if_needed(project, package)
    losses = holdout_losses(project, model, open_version(project, package, model), run)
    if not losses.rows:
        return {}
    name = f"{model.name}.{model.gate.loss}"
    means = {name: losses.own, f"{name}.baseline": losses.baseline}
    for target, (own, baseline) in losses.targets.items():
        means |= {f"{name}.{target}": own, f"{name}.{target}.baseline": baseline}
    return {key: float(values.mean()) for key, values in means.items()}


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
