"""A replay as a story: what was answered, what was true, what was decided, and what other policies would have lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from kairos.app.backtest import Backtest
from kairos.app.forms import live_form
from kairos.app.packages import open_version
from kairos.app.plainly import gate_case, plain_line
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.app.story import DayPoint, GateLine, HourPoint, PolicyLine, Story
from kairos.app.telling import DECISIONS
from kairos.delivery.state import ModelState
from kairos.errors import KairosError
from kairos.gates.losses import loss_named
from kairos.gates.metrics import loss_unit, metric_named
from kairos.ledger import Entry
from kairos.models.profile import Profile
from kairos.monitor.watch import window_drift
from kairos.values import Window, without_secrets

__all__ = ["answered", "tell_story"]

_STRETCH = timedelta(days=7)


def tell_story(
    project: Project,
    *,
    model: ModelSettings,
    window: Window,
    others: dict[str, Backtest],
    footnotes: Sequence[str] = (),
) -> Story:
    """Collects the figures of a replay.

    Args:
        project: Whose log and ledger.
        model: Which of its models.
        window: The traffic.
        others: What other policies would have lost, by name; ``never retrain`` and ``retrain weekly`` are drawn. They
            are told on the rows whose truth is known by now, as Kairos is.
        footnotes: What the figures do not show.
    """
    answers = answered(project, model, window)
    form = live_form(project, model)
    rows = form.with_losses(loss_named(model.gate.loss), answers)
    known_until = project.clock.now() - project.settings.label_delay
    others = {name: other.until(known_until) for name, other in others.items()}
    entries = list(project.ledger.read())
    mine = [entry for entry in entries if entry.kind in DECISIONS and _is_about(entry, model.name)]
    lines = [plain_line(entry) for entry in mine if _is_worth_a_line(entry)]
    deployments = [e for e in mine if e.kind == "stage.changed" and e.body["to"] == "live"]
    never, weekly = others.get("never retrain"), others.get("retrain weekly")
    return Story(
        project=project.settings.name,
        title=f"{model.name}: when to change the model that is live",
        span=window,
        seed=project.settings.seed,
        unit=model.target or "target",
        loss=metric_named(model.gate.loss).title,
        loss_unit=loss_unit(model.gate.loss, model.target or "target"),
        days=tuple(_days(rows, window, never, weekly, _drift(project, model, answers, window))),
        hours=tuple(_stretches(rows, deployments, window)) if form.has_error else (),
        decisions=tuple(lines),
        gates=tuple(line for entry in mine if entry.kind == "gate.decided" for line in _gate_lines(entry)),
        policies=(
            PolicyLine(
                name="Kairos",
                loss=_mean_error(rows),
                deployments=len(deployments),
                impossible_predictions=_impossible(answers, model),
                note=f"the server stopped {answers['violation'].is_not_null().sum()} impossible values of its models",
            ),
            *(
                PolicyLine(
                    name=name,
                    loss=other.mean,
                    deployments=other.deployments,
                    impossible_predictions=0,
                    note=f"{other.violations} impossible values would have had to be stopped",
                )
                for name, other in others.items()
            ),
        ),
        places=_places(project),
        ledger_head=entries[-1].seq,
        ledger_hash=entries[-1].hash,
        footnotes=tuple(footnotes),
    )


def answered(project: Project, model: ModelSettings, window: Window) -> pl.DataFrame:
    """What users got in a window where the truth is known, in the order of time."""
    project.roll()
    rows = project.predictions.labelled(model.name, window, as_of=project.clock.now())
    return rows.filter(pl.col("answered"))


def _is_about(entry: Entry, model: str) -> bool:
    """Whether a fact is about the model, one of its versions, or all models, as a run is."""
    return entry.kind == "run.failed" or entry.subject.partition("@")[0] == model


def _is_worth_a_line(entry: Entry) -> bool:
    return entry.kind != "finding" or entry.body["level"] == "alarm"


def _gate_lines(entry: Entry) -> Iterator[GateLine]:
    """One, or none if the entry tells of no interval."""
    try:
        case = gate_case(entry)
    except (KairosError, KeyError, TypeError):  # written by another release
        return
    if case is None or not case.evidence.metrics:
        return
    whole, margin = case.evidence.overall, case.policy.margin
    if not (math.isfinite(whole.lower) and math.isfinite(whole.upper) and whole.champion):
        return
    unit = 100 / abs(whole.champion)
    yield GateLine(
        at=entry.at,
        version=entry.subject,
        verdict=case.decision.verdict,
        n=whole.n,
        difference=whole.difference * unit,
        lower=whole.lower * unit,
        upper=whole.upper * unit,
        margin=margin.resolve(whole.champion) * unit,
    )


def _impossible(rows: pl.DataFrame, model: ModelSettings) -> int:
    """Answers outside the range that left all the same."""
    lower, upper = model.output.lower, model.output.upper
    outside = pl.lit(value=False)
    if lower is not None:
        outside = outside | (pl.col("output") < lower)
    if upper is not None:
        outside = outside | (pl.col("output") > upper)
    return rows.filter(outside | ~pl.col("output").is_finite()).height


def _days(
    rows: pl.DataFrame,
    window: Window,
    never: Backtest | None,
    weekly: Backtest | None,
    drift: dict[date, tuple[float, str]],
) -> list[DayPoint]:
    kairos = rows.group_by(day=pl.col("at").dt.date()).agg(
        loss=pl.col("loss").mean(), version=pl.col("version").mode().min()
    )
    mine: dict[date, Any] = {row["day"]: row for row in kairos.iter_rows(named=True)}
    per_day = [{} if other is None else _daily(other) for other in (never, weekly)]
    days = [window.start.date() + timedelta(days=i) for i in range(round(window.days))]
    return [
        DayPoint(
            day=day,
            kairos_loss=mine[day]["loss"] if day in mine else None,
            never_loss=per_day[0].get(day),
            weekly_loss=per_day[1].get(day),
            version=mine[day]["version"] if day in mine else None,
            drift=drift[day][0] if day in drift else None,
            drift_column=drift[day][1] if day in drift else None,
        )
        for day in days
    ]


def _daily(other: Backtest) -> dict[date, float]:
    frame = pl.DataFrame({"day": [at.date() for at in other.at], "loss": other.losses})
    means = frame.group_by("day").agg(pl.col("loss").mean())
    return dict(zip(means["day"].to_list(), means["loss"].to_list(), strict=True))


def _stretches(rows: pl.DataFrame, deployments: list[Entry], window: Window) -> list[HourPoint]:
    """The first week, and the week before and after the change that mattered most."""
    starts = [window.start]
    weeks = [e.at for e in deployments if window.start + _STRETCH <= e.at <= window.end - _STRETCH]
    if weeks:
        gains = [_error(rows, Window(at - _STRETCH, at)) - _error(rows, Window(at, at + _STRETCH)) for at in weeks]
        starts.append(weeks[int(np.argmax(gains))] - _STRETCH)
    shown = pl.lit(value=False)
    for number, start in enumerate(starts):
        end = start + (_STRETCH if number == 0 else 2 * _STRETCH)
        shown = shown | pl.col("at").is_between(start, end, closed="left")
    return [
        HourPoint(at=row["at"], prediction=row["output"], truth=row["label"], version=row["version"])
        for row in rows.filter(shown, pl.col("label").is_finite()).iter_rows(named=True)
    ]


def _error(rows: pl.DataFrame, window: Window) -> float:
    part = rows.filter(pl.col("at").is_between(window.start, window.end, closed="left"))
    return _mean_error(part)


def _mean_error(rows: pl.DataFrame) -> float:
    """NaN without rows."""
    known = rows["loss"].drop_nulls()
    return float(np.mean(known.to_numpy())) if len(known) else float("nan")


def _drift(project: Project, model: ModelSettings, rows: pl.DataFrame, window: Window) -> dict[date, tuple[float, str]]:
    """The largest stability index of the week up to each Monday, against the training of the version that answered."""
    state: ModelState = project.state().model(model.name)
    profiles: dict[int, Profile] = {}
    found: dict[date, tuple[float, str]] = {}
    for week in window.split(_STRETCH):
        part = rows.filter(pl.col("at").is_between(week.start, week.end, closed="left"))
        if part.height < 24:
            continue
        number = int(part["version"].mode().min())  # type: ignore[arg-type]
        if number not in profiles:
            package = state.version(number).package
            profiles[number] = open_version(project, package, model).profile
        distances = window_drift(part, profiles[number])
        if distances:
            column = max(sorted(distances), key=lambda name: distances[name])
            found[week.end.date() - timedelta(days=1)] = (distances[column], column)
    return found


def _places(project: Project) -> dict[str, str]:
    home = project.home.relative_to(project.root).as_posix()
    tracking = project.settings.tracking
    record = f"{home}/mlflow.db" if tracking is None else without_secrets(tracking)
    return {"ledger": f"{home}/ledger.db", "MLflow record": record, "predictions": f"{home}/predictions"}
