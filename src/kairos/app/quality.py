"""How wrong the live version was, day by day, beside what is tolerated: for people; findings are the monitor's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.watching import Watch
from kairos.delivery.state import VersionState
from kairos.gates.losses import loss_named
from kairos.gates.metrics import metric_named
from kairos.monitor.days import daily_means
from kairos.monitor.findings import Finding
from kairos.monitor.labelled import labelled_rows
from kairos.values import VersionRef, Window

__all__ = ["Quality", "quality_of"]

_LONGEST = timedelta(days=120)


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
    told = project.ledger.read(after=champion.stage_seq, kinds=["finding"], subject=model.name)
    found = [(entry.at, Finding.from_plain(entry.body)) for entry in told]
    return Quality(
        version=champion.ref,
        loss=metric_named(model.gate.loss).title,
        days=tuple(zip(days.ends, days.means.tolist(), days.rows.tolist(), strict=True)),
        usual=None if reference is None else reference.mean,
        tolerated=None if reference is None else reference.upper * (1 + model.monitor.quality_tolerance),
        findings=tuple(each for each in found if each[1].version == champion.ref.number),
    )
