"""How wrong the live version was, day by day, beside what is tolerated: for people; findings are the monitor's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch
from kairos.delivery.state import VersionState
from kairos.errors import KairosError
from kairos.gates.losses import loss_named
from kairos.gates.metrics import metric_named
from kairos.models.losses import ReferenceLosses, losses_by_level
from kairos.monitor.days import daily_means
from kairos.monitor.findings import Finding
from kairos.monitor.labelled import labelled_rows
from kairos.store.records import INPUT_PREFIX
from kairos.values import VersionRef, Window

__all__ = ["Beside", "Quality", "beside_sentences", "find_quality", "quality_of"]

_LONGEST = timedelta(days=120)
_MOST_TOLD = 5
_NO_PROOF = "That is for information: what is proven is told as a finding."


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What users have suffered beside what the version lost when it was packaged; nothing is proven by it."""

    about: str | None
    """``COLUMN=LEVEL``; ``None``: everything."""
    live: float
    """Mean loss of labelled rows of days that count."""
    rows: int
    """Of them."""
    then: float
    """The reference loss in the version's profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Mean losses of the live version on days whose labels are in."""

    version: VersionRef
    loss: str
    """For people: ``mean absolute error``."""
    days: tuple[tuple[datetime, float, int], ...]
    """When a day ended, its mean loss, and its rows; in the order of time."""
    usual: float | None
    """The mean loss on the holdout; ``None``: there is none to compare with."""
    tolerated: float | None
    """Above this, for long enough, the monitor alarms."""
    findings: tuple[tuple[datetime, Finding], ...] = ()
    """What was found about the version since it went live, and when."""
    beside: tuple[Beside, ...] = ()
    """All rows first, then the project's slices as far as the log has them, the worst first; for information."""
    beside_on: str = "holdout"
    """On which rows the reference was taken: ``train`` means smaller than live ones."""
    share_above: float | None = None
    """The share of live rows whose loss is above the reference's 90 % quantile; 0.1 is as it was then."""
    unit: str = "row"
    """What a loss is of; ``list`` of a model that ranks."""


def quality_of(project: Project, model: ModelSettings, champion: VersionState, watch: Watch) -> Quality:
    """The last 120 days at most.

    Raises:
        KairosError: the version's package or its holdout cannot be read.
    """
    now, loss_of = project.clock.now(), loss_named(model.gate.loss)
    _, reference = watch.reference(champion)
    form, unlabelled = watch.form(champion), model.monitor.unlabelled
    window = Window(max(champion.since, now - _LONGEST), max(champion.since, now))
    rows = labelled_rows(project.predictions, model.name, window, as_of=now, form=form, unlabelled=unlabelled)
    rows = rows.filter(pl.col("version") == champion.ref.number)
    rows = form.with_losses(loss_of, rows).filter(pl.col("loss").is_not_null())
    days = daily_means(
        rows["at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]"),
        rows["loss"].to_numpy(),
        mature_until=watch.when_mature().mature_until(now),
        min_rows=model.monitor.min_day_rows,
    )
    counted = rows.filter(pl.col("at") < watch.when_mature().mature_until(now))
    profile, losses = watch.reference(champion)[0], counted["loss"].to_numpy()
    kept = watch.kept(champion)
    levels = {name: counted[INPUT_PREFIX + name].to_list() for name in kept if INPUT_PREFIX + name in counted.columns}
    told = project.ledger.read(after=champion.stage_seq, kinds=["finding"], subject=model.name)
    found = [(entry.at, Finding.from_plain(entry.body)) for entry in told]
    return Quality(
        version=champion.ref,
        loss=metric_named(model.gate.loss).title,
        days=tuple(zip(days.ends, days.means.tolist(), days.rows.tolist(), strict=True)),
        usual=None if reference is None else reference.mean,
        tolerated=None if reference is None else reference.upper * (1 + model.monitor.quality_tolerance),
        findings=tuple(each for each in found if each[1].version == champion.ref.number),
        beside=() if profile.losses is None else tuple(_beside(profile.losses, losses, levels)),
        beside_on="holdout" if profile.losses is None else profile.losses.on,
        share_above=None if profile.losses is None else _share_above(profile.losses, losses),
        unit="list" if form.ranks else "row",
    )


def find_quality(project: Project, watch: Watch) -> Quality | None:
    """The same of what is live; ``None`` where nothing is, or where it cannot be told."""
    champion = project.state().model(watch.model.name).champion
    try:
        return None if champion is None else quality_of(project, watch.model, champion, watch)
    except KairosError:  # a package or a holdout that is gone is told elsewhere
        return None


def beside_sentences(quality: Quality) -> tuple[str, ...]:
    """The live losses beside the reference losses, for people; none where either is not known."""
    if not quality.beside:
        return ()
    whole, *slices = quality.beside
    of = "the holdout" if quality.beside_on == "holdout" else "the rows of training, where losses are smaller"
    unit = quality.unit if whole.rows == 1 else f"{quality.unit}s"
    said = (
        f"{quality.version} has had a {quality.loss} of {whole.live:.4g} on {whole.rows:,} live {unit} whose labels "
        f"are in; when it was packaged it was {whole.then:.4g} on {of}."
    )
    if quality.share_above is not None:
        said += f" {quality.share_above:.0%} of them lost more than nine tenths did then."
    parts = ", ".join(f"{each.about} {each.live:.4g} (then {each.then:.4g})" for each in slices[:_MOST_TOLD])
    more = f" and {len(slices) - _MOST_TOLD} more" if len(slices) > _MOST_TOLD else ""
    return (said, *([f"By slice, the most above it first: {parts}{more}."] if slices else []), _NO_PROOF)


def _beside(
    then: ReferenceLosses, losses: NDArray[np.float64], levels: Mapping[str, Sequence[object]]
) -> Iterator[Beside]:
    """Live losses beside the reference, all first; slices of too few rows to be named then are left out."""
    if not losses.size:
        return
    yield Beside(about=None, live=float(losses.mean()), rows=losses.size, then=then.mean)
    found = [
        Beside(about=f"{name}={level}", live=live.mean, rows=live.rows, then=known[level].mean)
        for name, known in then.slices.items()
        if name in levels
        for level, live in losses_by_level(losses, levels[name]).items()
        if level in known
    ]
    yield from sorted(found, key=lambda each: (each.then - each.live, each.about))


def _share_above(then: ReferenceLosses, losses: NDArray[np.float64]) -> float | None:
    if not losses.size or not then.sketch.rows:
        return None
    return float((losses > then.sketch.quantile(0.9)).mean())
