"""A bias that leaves the ranking intact is mended from the labels alone; a changed relation is learnt anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from kairos.app.contributing import why_answer
from kairos.app.controller import Controller
from kairos.app.explaining import explain
from kairos.app.judging import judge
from kairos.app.packages import open_stored
from kairos.app.recomputing import recompute_all
from kairos.app.watching import Watch
from kairos.cli import main
from kairos.models.score import score_table
from kairos.pipeline.engine.local import LocalEngine
from kairos.store.predictions import Label, Prediction
from kairos.store.tables import write_table
from kairos.values import VersionRef
from tests.app.test_controller import interrupt
from tests.app.worlds import DAY, HOUR, PIPELINE, SETTINGS, START, Stock, World, package_of

Truth = Callable[[pl.DataFrame], pl.Series]

MONTHLY = SETTINGS.replace('bake = "3d"', 'bake = "3d"\nmin_canary_requests = 5') + (
    '\n[model.demand.gate]\nmin_rows = 60\n\n[model.demand.retrain]\nmax_age = "300d"\n'
)

LEARNS = PIPELINE.replace(
    "users = LEVEL - 23.0 + 2.0 * (temperature * 5 % 24)",
    "users = 100.0 + 10.0 * temperature + 25.0 * ((temperature * 11) % 7 - 3)",
)


def usual(rows: pl.DataFrame) -> pl.Series:
    """What the first version has learnt."""
    return 100.0 + 10.0 * rows["temperature"]


def shifted(rows: pl.DataFrame) -> pl.Series:
    """The level is another one."""
    return 220.0 + 10.0 * rows["temperature"]


def reversed_(rows: pl.DataFrame) -> pl.Series:
    """The relation is another one."""
    return 700.0 - 10.0 * rows["temperature"]


def table(start: datetime, days: int, truth: Truth, *, seed: int) -> pl.DataFrame:
    """Hours with a temperature and what was true."""
    random = np.random.default_rng(seed)
    hours = pl.datetime_range(start, start + days * DAY, "1h", closed="left", eager=True)
    rows = pl.DataFrame({"hour": hours, "temperature": random.uniform(0.0, 30.0, len(hours))})
    noise = pl.Series("noise", random.normal(0.0, 25.0, len(hours)))
    return rows.with_columns(users=truth(rows) + noise)


class Town(World):
    """A world whose models answer by what they have learnt."""

    def begin(self) -> VersionRef:
        """Makes a straight line live that has learnt what was usual."""
        train = table(START - 42 * DAY, 28, usual, seed=1)
        package = package_of(self.project.store, self.root / "made", LinearRegression(), train)
        holdout = write_table(self.project.store, table(START - 14 * DAY, 14, usual, seed=2))
        ref = self.register(package=package, holdout=holdout)
        self.gate(ref)
        self.put(ref, "live")
        return ref

    def pass_day(self, truth: Truth) -> None:
        """Requests of a day, answered by all that predict; truths a day later; then the loop looks."""
        start, state = self.clock.now(), self.model()
        rows = table(start, 1, truth, seed=start.timetuple().tm_yday)
        found, labels = [], []
        for version in (state.champion, state.challenger, state.previous):
            if version is None:
                continue
            said = score_table(open_stored(self.project.store, version.package), rows)
            for number, hour in enumerate(rows.iter_rows(named=True)):
                is_drawn = state.challenger is not None and number / 24 < state.challenger.share
                answers = state.challenger if is_drawn else state.champion
                found.append(
                    Prediction(
                        id=f"{start + number * HOUR:%m%d%H}",
                        at=start + number * HOUR,
                        model="demand",
                        version=version.ref.number,
                        role="champion" if version is state.champion else "challenger",
                        answered=version is answers,
                        share=0.0 if state.challenger is None else state.challenger.share,
                        inputs={"temperature": hour["temperature"]},
                        raw=float(said[number]),
                        output=float(said[number]),
                        latency_us=100,
                    )
                )
        for number, value in enumerate(rows["users"]):
            labels.append(Label(prediction_id=f"{start + number * HOUR:%m%d%H}", value=value, at=start + DAY))
        self.keep(found, labels)
        self.clock.move_to(start + DAY)
        Controller(self.project).tick()


@pytest.fixture
def town(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Town:
    """With one version, that is live, and two usual weeks behind it."""
    town = Town(tmp_path / "toy", stock, MONTHLY, LEARNS)
    town.project.engine = engine
    town.begin()
    for _ in range(14):
        town.pass_day(usual)
    assert town.facts("finding", "retrain.decided") == []
    return town


def until(town: Town, truth: Truth, days: int, *, done: Callable[[], object]) -> None:
    """Lets days pass until something is so."""
    for _ in range(days):
        town.pass_day(truth)
        if done():
            return
    raise AssertionError([(entry.kind, entry.subject, entry.body.get("to")) for entry in town.facts()])


def actions(town: Town) -> list[str]:
    """What was decided about learning."""
    return [entry.body["action"] for entry in town.facts("retrain.decided")]


def test_a_level_that_moved_is_recalibrated_and_goes_live(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """From alarm to live without the pipeline; each decision is made again from the ledger, and the bias is gone."""
    runs = len(town.facts("run.finished"))
    until(town, shifted, 40, done=lambda: town.model().champion_number == 2)
    assert actions(town) == ["recalibrate"]
    assert len(town.facts("run.finished")) == runs
    version = town.model().version(2)
    first = town.model().version(1)
    assert (version.origin, version.base, version.run) == ("recalibration", 1, first.run)
    spec = open_stored(town.project.store, version.package).spec
    [registered] = [e for e in town.facts("version.registered") if e.subject == "demand@2"]
    assert spec.train_until is not None
    assert registered.at > spec.train_until
    assert registered.body["recalibration"]["level"] == pytest.approx(120.0, abs=10.0)
    assert registered.body["recalibration"]["slope"] == 1.0
    gate = next(e for e in town.facts("gate.decided") if e.subject == "demand@2")
    assert gate.body["evidence"]["oldest"] > f"{spec.train_until:%Y-%m-%dT%H}"
    assert {one.outcome for one in recompute_all(town.project.ledger)} <= {"identical", "unknown"}
    kinds = {"gate.decided", "retrain.decided"}
    mine = [one for one in recompute_all(town.project.ledger) if one.kind in kinds and one.seq > registered.seq]
    assert {one.outcome for one in mine} == {"identical"}
    for _ in range(12):
        town.pass_day(shifted)
    champion = town.model().champion
    assert champion is not None
    watch = Watch(town.project, town.project.settings.model("demand"))
    assert [f.check for f in watch.look() if f.level == "alarm"] == []
    told = explain(town.project, f"{town.clock.now() - HOUR:%m%d%H}")
    assert (told.origin, told.base) == ("recalibration", VersionRef("demand", 1))
    assert main(["-C", str(town.root), "models"]) == 0
    assert "recalibration of demand@1" in capsys.readouterr().out
    why = why_answer(town.project, told.prediction)
    assert why.base is not None
    assert why.base + sum(one.contribution for one in why.inputs) == pytest.approx(told.arms[0].raw)
    assert main(["-C", str(town.root), "explain", told.prediction]) == 0
    assert "recalibrated demand@1: level +1" in capsys.readouterr().out


def test_a_relation_that_changed_is_learnt_anew(town: Town) -> None:
    """The ranking is lost: no straight line between answers mends it."""
    until(town, reversed_, 40, done=lambda: actions(town))
    assert actions(town) == ["retrain"]
    assert town.model().version(2).base is None


def test_a_version_is_recalibrated_once(town: Town) -> None:
    """Where that did not help, or the level moves on, the next alarm leads to a training."""
    until(town, shifted, 40, done=lambda: town.model().champion_number == 2)

    def higher(rows: pl.DataFrame) -> pl.Series:
        return shifted(rows) + 150.0

    until(town, higher, 60, done=lambda: len(actions(town)) == 2)
    assert actions(town) == ["recalibrate", "retrain"]


def test_a_loop_stopped_before_the_version_was_registered_makes_it_later(town: Town) -> None:
    """The decision stands alone in the ledger; a day later it is made again, and one version comes of it."""

    def stop() -> None:
        raise KeyboardInterrupt

    ledger = town.project.ledger
    for _ in range(40):
        interrupt(town, "version.registered", stop)
        try:
            town.pass_day(shifted)
        except KeyboardInterrupt:
            break
    town.project.ledger = ledger
    assert 2 not in town.stages()
    town.pass_day(shifted)
    assert actions(town) == ["recalibrate", "recalibrate"]
    assert set(town.stages()) == {1, 2}


def test_a_person_may_ask_the_gate_again(town: Town) -> None:
    """It answers from later rows than those that the version was fitted on; where its base is gone it holds."""
    until(town, shifted, 40, done=lambda: 2 in town.stages())
    for _ in range(2):
        town.pass_day(shifted)
    ref = VersionRef("demand", 2)
    found = judge(town.project, ref)
    assert found.decision.verdict == "pass"
    town.put(town.passed(205.0), "live")
    gone = judge(town.project, ref).decision
    assert gone.verdict == "hold"
    assert "which is live no more" in gone.sentence
