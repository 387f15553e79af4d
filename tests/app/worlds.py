"""A small project whose world is known: models that always say one number, hourly requests, truths a day later."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyRegressor

from kairos.app.project import Project
from kairos.app.standing import settings_now
from kairos.clock import ReplayClock
from kairos.delivery.state import ModelState
from kairos.ledger import Entry
from kairos.models.finish import FinishModel, ModelOptions
from kairos.serving.deployment import Compared, compared
from kairos.store.blobs import Store
from kairos.store.counts import Sheet
from kairos.store.predictions import Label, Prediction
from kairos.store.tables import write_table
from kairos.values import Digest, Json, VersionRef

__all__ = [
    "DAY",
    "HOUR",
    "LEVELS",
    "PIPELINE",
    "SETTINGS",
    "START",
    "Stock",
    "World",
    "hourly",
    "kinds",
    "package_of",
]

START = datetime(2012, 1, 2, tzinfo=UTC)
"""A Monday; when the clock of every world begins."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

LEVELS = (200.0, 205.0, 260.0)
"""What the models of the stock always say: good, about as good, and bad, where 200 is the truth more or less."""

SETTINGS = """\
[project]
name = "toy"
label_delay = "1d"
history = "28d"

[model.demand]
holdout = "split.holdout"
target = "users"
time = "hour"

[model.demand.delivery]
stages = ["shadow", "canary:25%", "live"]
min_pairs = 48
bake = "3d"
"""

PIPELINE = """\
from datetime import timedelta
from typing import NamedTuple

import polars as pl
from sklearn.dummy import DummyRegressor

from kairos import Window, model, source, step

LEVEL = 200.0


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d")
def rentals(window: Window) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    temperature = (hours.dt.epoch("s") // 3600 * 7 % 24).cast(pl.Float64)
    users = LEVEL - 23.0 + 2.0 * (temperature * 5 % 24)
    return pl.DataFrame({"hour": hours, "temperature": temperature, "users": users})


@step
def split(rentals: pl.DataFrame) -> Split:
    is_late = pl.col("hour") >= pl.col("hour").max() - timedelta(days=7)
    return Split(rentals.filter(~is_late), rentals.filter(is_late))


@model(target="users", drop=["hour"])
def demand(train: pl.DataFrame) -> DummyRegressor:
    return DummyRegressor()
"""
"""A pipeline whose model says the mean of what it saw, which is ``LEVEL``."""


def hourly(start: datetime, days: int, *, level: float = 200.0, seed: int = 0) -> pl.DataFrame:
    """Hours with one input and the truth, which lies around the level by some 20."""
    random = np.random.default_rng(seed)
    hours = pl.datetime_range(start, start + days * DAY, "1h", closed="left", eager=True)
    return pl.DataFrame(
        {
            "hour": hours,
            "temperature": random.normal(15.0, 5.0, len(hours)),
            "users": level + 25.0 * random.standard_normal(len(hours)),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """As ``kairos.models.ports.FinishRequest`` says."""

    returned: object
    inputs: dict[str, Any]
    workdir: Path
    step: str = "demand"
    target: str | None = "users"
    drop: Sequence[str] = ("hour",)
    params: Mapping[str, Any]
    seed: int | None = 0
    lineage: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    targets: Sequence[str] = ()
    also: Mapping[str, Any] = field(default_factory=dict)


def package_of(store: Store, folder: Path, estimator: BaseEstimator, train: pl.DataFrame) -> Digest:
    """Trains an estimator, in a new folder, and stores its package."""
    request = _Request(returned=estimator, inputs={"train": train}, workdir=folder, params={}, lineage={"inputs": {}})
    folder.mkdir()
    finish = FinishModel(settings={"demand": ModelOptions(time="hour", lower=0.0, upper=5000.0)})
    return store.put_folder(finish(request))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Packages and a holdout in a store; made once, and linked into each world."""

    cache: Path
    packages: Mapping[float, Digest]
    """By what they say."""
    holdout: Digest
    """The two weeks before ``START``."""
    few: Digest
    """The last two days of it."""

    @staticmethod
    def package(store: Store, folder: Path, level: float, *, rename: Mapping[str, str] | None = None) -> Digest:
        """Trains one that always says ``level``, in a new folder, and stores it."""
        train = hourly(START - 42 * DAY, 28, level=230.0).rename(dict(rename or {}))
        return package_of(store, folder, DummyRegressor(strategy="constant", constant=level), train)

    @classmethod
    def make(cls, folder: Path) -> Stock:
        """Trains and stores, in a new folder. What was trained on is past: 230, so a median of it is worse than 205."""
        store = Store(folder / "cache")
        holdout = hourly(START - 14 * DAY, 14, seed=1)
        packages = {}
        for level in LEVELS:
            packages[level] = cls.package(store, folder / f"{level:g}", level)
        return cls(
            cache=store.root,
            packages=packages,
            holdout=write_table(store, holdout),
            few=write_table(store, holdout.tail(48)),
        )


class World:
    """A project under a clock of its own, with what one needs to make its past up.

    Args:
        root: A folder for the project; made if it is not there, else the project in it is opened once more.
        stock: Its packages.
        settings: The text of ``kairos.toml``.
        pipeline: The text of ``pipeline.py``.
        refit: Whether a version that passed learns once more, and readings are taken; what most tests are about
            happens without.
    """

    def __init__(
        self, root: Path, stock: Stock, settings: str = SETTINGS, pipeline: str = PIPELINE, *, refit: bool = False
    ) -> None:
        self.root, self.stock = root, stock
        if not root.exists():
            root.mkdir(parents=True)
            (root / "kairos.toml").write_text(settings if refit else _without_refits(settings))
            (root / "pipeline.py").write_text(pipeline)
            shutil.copytree(stock.cache, root / ".dvc" / "cache", copy_function=os.link)
        self.clock = ReplayClock(START)
        self.project = Project(root, clock=self.clock, actor="tester")
        self._counts = self.project.counts.writer("world", now=START)
        self._sheets: dict[Compared, Counter[str]] = {}

    def again(self) -> World:
        """The same project as another process would open it, at the same time."""
        other = World(self.root, self.stock)
        other.clock.move_to(self.clock.now())
        return other

    def run(self, holdout: Digest | None = None, *, model: str = "demand") -> str:
        """Tells of a run that gave a holdout; returns its id."""
        run = f"r{self.project.ledger.head():010x}"
        output = {"name": "split.holdout", "digest": holdout or self.stock.holdout, "kind": "table/polars", "meta": {}}
        steps = [
            {
                "step": "split",
                "status": "ran",
                "fingerprint": "f" * 64,
                "code": "c" * 64,
                "params": {},
                "inputs": {},
                "outputs": [output],
            }
        ]
        body = {
            "id": run,
            "started_at": self.clock.now().isoformat(),
            "window": f"{START - 42 * DAY:%Y-%m-%d}..{START - DAY:%Y-%m-%d}",
            "steps": steps,
            "models": {model: "0" * 32 + ".dir"},
            "metrics": {f"{model}.absolute_error": 20.0},
            "code": {"commit": None, "branch": None, "dirty_digest": None},
            "libraries": {},
            "failure": None,
        }
        self.project.tell("run.finished", subject=run, body=body)
        return run

    def register(
        self,
        level: float = 200.0,
        *,
        holdout: Digest | None = None,
        origin: str = "manual",
        model: str = "demand",
        package: Digest | None = None,
    ) -> VersionRef:
        """Registers the next version: one that says ``level``."""
        run = self.run(holdout, model=model)
        models = self.project.state().models
        ref = VersionRef(model, max(models[model].versions, default=0) + 1 if model in models else 1)
        body = {"package": package or self.stock.packages[level], "run": run, "origin": origin, "reasons": []}
        self.project.tell("version.registered", subject=str(ref), body=body)
        return ref

    def gate(self, ref: VersionRef, verdict: str = "pass") -> None:
        """Tells of a verdict against what is live, without looking at anything."""
        champion = self.model(ref.model).champion_ref
        against = None if champion is None else str(champion)
        body: dict[str, Json] = {
            "verdict": verdict,
            "sentence": f"{verdict}: made up",
            "reasons": [],
            "against": against,
        }
        self.project.tell("gate.decided", subject=str(ref), body=body)

    def passed(self, level: float = 200.0, *, origin: str = "manual", model: str = "demand") -> VersionRef:
        """Registers the next version, which passes its gate."""
        ref = self.register(level, origin=origin, model=model)
        self.gate(ref)
        return ref

    def put(self, ref: VersionRef, stage: str, *, share: float = 0.0) -> None:
        """Tells that a version came to a stage."""
        before = self.project.state().model(ref.model).version(ref.number)
        body: dict[str, Json] = {
            "from": before.stage,
            "to": stage,
            "share": share,
            "verdict": "pass",
            "reasons": ["made up"],
            "override": None,
            "evidence": None,
            "policy": None,
        }
        if stage in ("shadow", "canary", "live"):
            body |= settings_now(self.project, ref.model)
        self.project.tell("stage.changed", subject=str(ref), body=body)

    def live(self, level: float = 200.0, *, model: str = "demand") -> VersionRef:
        """Registers the next version and makes it live."""
        ref = self.passed(level, model=model)
        self.put(ref, "live")
        return ref

    def day(
        self,
        *says: tuple[VersionRef, float],
        truth: float = 200.0,
        answered_by: Mapping[int, int] | None = None,
        inputs: Mapping[str, Json] | None = None,
    ) -> None:
        """Lets a day pass: every hour a request, which each version answers with what it says; truths a day later.

        Args:
            says: Versions, and what each of them says; the first answers the user.
            truth: Around which the truth lies.
            answered_by: Which of ``says`` answers, by the hour, where it is not the first.
            inputs: What every request says, as the log keeps it.
        """
        start = self.clock.now()
        truths = hourly(start, 1, level=truth, seed=start.timetuple().tm_yday)["users"].to_list()
        stages = {s.ref: s for m in self.project.state().models.values() for s in m.versions.values()}
        rows, labels = [], []
        for hour in range(24):
            at = start + hour * HOUR
            mine = (answered_by or {}).get(hour, 0)
            for number, (ref, value) in enumerate(says):
                name = f"{ref.model}/{at.isoformat()}"
                rows.append(
                    Prediction(
                        id=name,
                        at=at,
                        model=ref.model,
                        version=ref.number,
                        role="champion" if number == 0 else "challenger",
                        answered=number == mine,
                        share=max(stages[r].share for r, _ in says),
                        inputs=dict(inputs or {}),
                        raw=value,
                        output=value,
                        latency_us=100,
                    )
                )
            labels.append(Label(prediction_id=f"{says[0][0].model}/{at.isoformat()}", value=truths[hour], at=at + DAY))
        self.keep(rows, labels)
        self.clock.move_to(start + DAY)

    def keep(self, rows: Sequence[Prediction], labels: Sequence[Label] = ()) -> None:
        """Writes to the prediction log, and counts as a server would."""
        self._count(rows)
        writer = self.project.predictions.writer("world")
        if rows:
            writer.append(rows)
        if labels:
            writer.append_labels(labels)
        writer.close()

    def _count(self, rows: Sequence[Prediction]) -> None:
        """As ``kairos.serving.tally`` does, of errors and impossible values."""
        by_request: dict[str, dict[int, Prediction]] = {}
        for row in rows:
            by_request.setdefault(row.id, {})[row.version] = row
        for route in self.project.state().routes():
            for each in compared(route):
                base, test = each.comparison.base, each.comparison.test
                sheet = self._sheets.setdefault(each, Counter())
                for versions in by_request.values():
                    if next(iter(versions.values())).model == route.model:
                        sheet.update(_counts(versions.get(base), versions.get(test), each.share))
        sheets = [Sheet(comparison=c.comparison, share=c.share, counts=n) for c, n in self._sheets.items()]
        self._counts.write(sheets, now=self.clock.now())

    def facts(self, *kinds: str) -> list[Entry]:
        """What the ledger tells."""
        return list(self.project.ledger.read(kinds=kinds or None))

    def model(self, name: str = "demand") -> ModelState:
        """Where its versions stand."""
        return self.project.state().model(name)

    def stages(self, name: str = "demand") -> dict[int, str]:
        """Stage by number."""
        return {number: version.stage for number, version in self.model(name).versions.items()}


def _without_refits(settings: str) -> str:
    table = "[model.demand.retrain]\n"
    settings = settings if table in settings else f"{settings}\n{table}"
    return settings.replace(table, f'{table}refit = false\nblock = "3650d"\n')


def _counts(base: Prediction | None, test: Prediction | None, share: float) -> Counter[str]:
    """Of one request."""
    bad = [None if row is None else _bad(row) for row in (base, test)]
    found = Counter(requests=1, predicted=int(test is not None), paired=int(base is not None and test is not None))
    if test is not None:
        found.update({"path" if test.answered else "aside": 1, **({f"own.{bad[1]}": 1} if bad[1] else {})})
    for mine, theirs, arm in ((bad[0], bad[1], "base"), (bad[1], bad[0], "test")):
        if mine and base is not None and test is not None and mine != theirs:
            found[f"pairs.{mine}.{arm}"] += 1
    for row, kind, arm in ((base, bad[0], "base"), (test, bad[1], "test")):
        if 0 < share < 1 and row is not None and (row.answered or row.action in ("fallback", "refuse")):
            found.update({f"asked.{arm}": 1, **({f"asked.{kind}.{arm}": 1} if kind else {})})
    return found


def _bad(row: Prediction) -> str | None:
    if row.error is not None or row.raw is None:
        return "errors"
    return "impossible" if row.violation is not None and row.action != "clip" else None


def kinds(entries: Iterable[Entry]) -> list[str]:
    """What sort of facts, in their order."""
    return [entry.kind for entry in entries]
