"""Recalibration: the live version's answers are put right from its own labelled rows, without running the pipeline."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.losses import guarded
from kairos.app.packages import open_version
from kairos.app.project import Project
from kairos.app.retrying import decide_again
from kairos.app.settings import ModelSettings
from kairos.app.using import uses_store
from kairos.app.watching import TRIAGED, Watch
from kairos.delivery.state import ModelState, VersionState
from kairos.gates.losses import loss_named
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.models.package import Package
from kairos.models.recalibrated import Recalibrated, recalibrated_package
from kairos.monitor.days import day_number, day_start
from kairos.monitor.judgeable import judgeable
from kairos.monitor.onset import biased_since
from kairos.stats.recalibration import Recalibration, Scale, fit_recalibration
from kairos.store.records import DROPPED, INPUT_PREFIX
from kairos.values import Digest, Json, VersionRef, Window, plain

__all__ = ["RECALIBRATION", "Fitted", "fit_on_log", "may_recalibrate", "recalibrate", "rows_of_log"]

RECALIBRATION = "recalibration"
"""Origin of such a version."""

_LEAST_ROWS = 100
_LEAST_DAYS = 5
_JUDGED = 3
"""One day of so many is kept to judge on."""
_SCALES: Mapping[str, Scale] = {"log_loss": "log_odds", "absolute_error": "plain", "squared_error": "plain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A recalibration, and the rows that it was fitted on."""

    recalibration: Recalibration
    answers: NDArray[np.float64]
    """What the version said of them, before its output guard."""
    window: Window
    """When they are from."""


def may_recalibrate(project: Project, watch: Watch, model: ModelSettings, state: ModelState) -> str | None:
    """Why the live version's answers cannot be put right; ``None``: they can be.

    Args:
        project: Whose.
        watch: Of the model.
        model: Its settings.
        state: Of the model.
    """
    champion = state.champion
    if champion is None:
        return "nothing is live"
    if state.was_recalibrated(champion.ref.number):
        return "it was tried before"
    if model.gate.loss not in _SCALES:
        return f"the loss {model.gate.loss!r} asks for no mean"
    lacking = _asked(model.gate) - watch.kept(champion)
    if lacking:
        return f"the log does not keep {', '.join(sorted(lacking))}, which the gate asks about"
    fitted = fit_on_log(project, watch, model, champion)
    return "there are too few labelled rows, or no line would mend it" if fitted is None else None


def fit_on_log(project: Project, watch: Watch, model: ModelSettings, champion: VersionState) -> Fitted | None:
    """The recalibration that the labelled rows of the last weeks ask for, since the bias began.

    The last third of the days is left out, to judge it on.
    """
    rows = _since_onset(_mature(project, watch, model, champion))
    days = rows["at"].dt.epoch("d").to_numpy()
    known = np.unique(days)
    if len(rows) < _LEAST_ROWS or len(known) < _LEAST_DAYS:
        return None
    learnt = rows.filter(pl.Series(days < known[-(len(known) // _JUDGED)]))
    answers = learnt["raw"].to_numpy()
    found = fit_recalibration(
        answers,
        learnt["label"].to_numpy(),
        learnt["at"].dt.epoch("d").to_numpy(),
        scale=_SCALES[model.gate.loss],
        is_median=model.gate.loss == "absolute_error",
    )
    if found is None:
        return None
    return Fitted(recalibration=found, answers=answers, window=Window(learnt["at"][0], learnt["at"][-1]))


@uses_store
def recalibrate(
    project: Project, watch: Watch, model: ModelSettings, champion: VersionState, *, reasons: list[str]
) -> VersionRef | None:
    """Makes the package of the live version put right, and registers it.

    Returns:
        ``None`` if that version is live no more, or somebody else was faster.

    Raises:
        KairosError: the package cannot be made.
    """
    fitted = fit_on_log(project, watch, model, champion)
    if fitted is None:
        return None
    base = open_version(project, champion.package, model)
    lineage: dict[str, Json] = {
        "base": str(champion.ref),
        "package": champion.package,
        "rows": len(fitted.answers),
        "window": str(fitted.window),
    }
    with tempfile.TemporaryDirectory(prefix="kairos-") as desk:
        recalibrated_package(
            Path(desk) / "package",
            base,
            fitted.recalibration,
            answers=fitted.answers,
            train_until=fitted.window.end,
            lineage=lineage,
        )
        package = project.store.put_folder(Path(desk) / "package")
    body: dict[str, Json] = {
        "package": package,
        "run": champion.run,
        "origin": RECALIBRATION,
        "reasons": reasons,
        "base": str(champion.ref),
        "recalibration": {**plain(fitted.recalibration), "rows": len(fitted.answers), "window": str(fitted.window)},
    }
    return decide_again(partial(_register, project, champion, body))


def _register(project: Project, champion: VersionState, body: dict[str, Json]) -> VersionRef | None:
    state = project.state()
    found = state.model(champion.ref.model)
    if found.champion_ref != champion.ref or found.was_recalibrated(champion.ref.number):
        return None
    ref = VersionRef(champion.ref.model, max(found.versions) + 1)
    project.tell("version.registered", subject=str(ref), body=body, expect=state.seq)
    return ref


def rows_of_log(
    project: Project, watch: Watch, model: ModelSettings, base: VersionState, package: Package, policy: GatePolicy
) -> GateRows:
    """What the version that is live, and the same put right, say of labelled rows later than those it learnt from.

    Args:
        project: Whose.
        watch: Of the model.
        model: Its settings.
        base: The version that is put right.
        package: Of the recalibrated version.
        policy: What the gate asks about.
    """
    mend = package.estimator()
    assert isinstance(mend, Recalibrated)  # of a version with a base
    rows = _mature(project, watch, model, base).filter(pl.col("at") > package.spec.train_until)
    raw = rows["raw"].to_numpy()
    simple = np.nan if package.spec.baseline is None else package.spec.baseline
    is_named = model.entity is not None and not rows["key"].is_in([DROPPED]).any() and not rows["key"].null_count()
    return GateRows(
        truth=rows["label"].to_numpy(),
        challenger=guarded(mend.recalibration(raw), model),
        champion=guarded(raw, model),
        simple=np.full(len(rows), simple),
        times=rows["at"].dt.replace_time_zone(None).to_numpy(),
        entities=rows["key"].to_numpy() if is_named else None,
        columns={name: _levels(rows, INPUT_PREFIX + name) for name in sorted(_asked(policy))},
        digest=_digest(rows),
    )


def _asked(policy: GatePolicy) -> set[str]:
    """Columns that the gate asks about."""
    return {*policy.slices, *policy.groups, *(name.partition("=")[0] for name in policy.protected)}


def _mature(project: Project, watch: Watch, model: ModelSettings, version: VersionState) -> pl.DataFrame:
    """Labelled answers of a version on days that count, in the order of time: what it said, and what was true."""
    now = project.clock.now()
    until = day_start(day_number(watch.when_mature().mature_until(now)))
    window = Window(min(until, max(version.since, until - TRIAGED)), until)
    rows = project.predictions.labelled(model.name, window, as_of=now)
    rows = rows.filter(pl.col("version") == version.ref.number, pl.col("label").is_finite(), pl.col("raw").is_finite())
    rows = rows.unique("id", keep="first", maintain_order=True)
    proper = judgeable(loss_named(model.gate.loss), rows["label"].to_numpy(), rows["raw"].to_numpy())
    return rows.filter(pl.Series(proper, dtype=pl.Boolean)).sort("at", "id")


def _since_onset(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows from the day on which the bias began; all, if it was there from the beginning."""
    days = rows["at"].dt.epoch("d").to_numpy().astype(np.int64)
    first = biased_since(rows["raw"].to_numpy() - rows["label"].to_numpy(), days)
    return rows if first is None else rows.filter(pl.Series(days >= first))


def _levels(rows: pl.DataFrame, column: str) -> list[object]:
    return rows[column].to_list() if column in rows.columns else [None] * len(rows)


def _digest(rows: pl.DataFrame) -> Digest:
    """Names the rows and what was true of them."""
    text = rows.select("id", "label").write_csv()
    return Digest(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
