"""A verdict rests on rows that neither model has seen, and the fact holds all that it takes to decide again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kairos.app.judging import judge
from kairos.errors import DataRefused, NotFound
from kairos.gates.decide import decide
from kairos.gates.evidence import GateEvidence
from kairos.gates.policy import GatePolicy
from kairos.store.tables import write_table
from kairos.values import VersionRef
from tests.app.worlds import DAY, SETTINGS, START, Stock, World, hourly


def test_the_first_version_is_compared_with_a_simple_baseline(world: World) -> None:
    """With the median of what it was trained on: better passes, worse fails."""
    good, bad = world.register(200.0), world.register(260.0)
    passed, failed = judge(world.project, good), judge(world.project, bad)
    assert (passed.decision.verdict, passed.against, passed.evidence.baseline) == ("pass", None, "simple baseline")
    assert failed.decision.verdict == "fail"
    assert world.model().version(1).verdict == "pass"
    assert world.model().version(2).verdict == "fail"


def test_a_version_is_compared_with_the_champion(world: World) -> None:
    """Better passes, worse fails, and what cannot be told apart holds."""
    champion = world.live(205.0)
    same, bad = world.register(205.0), world.register(260.0)
    assert judge(world.project, same).decision.verdict == "hold"
    judged = judge(world.project, bad)
    assert (judged.decision.verdict, judged.against) == ("fail", champion)
    assert world.facts("gate.decided")[-1].body["against"] == "demand@1"
    bad_champion = world.live(260.0)
    assert bad_champion.number == 4
    assert judge(world.project, same).decision.verdict == "pass"


def test_the_champion_is_not_compared_with_itself(world: World) -> None:
    """But with the simple baseline, as it was when nothing was live."""
    judged = judge(world.project, world.live(200.0))
    assert (judged.against, judged.evidence.baseline) == (None, "simple baseline")


def test_what_is_asked_for_depends_on_why_a_version_was_made(world: World) -> None:
    """An equal model is no reason to change, but good enough for a refresh."""
    world.live(205.0)
    same = world.register(205.0)
    assert judge(world.project, same).decision.verdict == "hold"
    refresh = judge(world.project, same, require="non_inferior")
    assert (refresh.decision.verdict, refresh.policy.require) == ("pass", "non_inferior")


def test_too_few_rows_hold_and_say_how_many_are_missing(world: World) -> None:
    """Never a pass, never a zero."""
    world.live(205.0)
    judged = judge(world.project, world.register(200.0, holdout=world.stock.few))
    assert judged.decision.verdict == "hold"
    assert judged.decision.needed_rows == 52
    assert world.facts("gate.decided")[-1].body["needed_rows"] == 52


def test_rows_that_a_model_was_trained_on_do_not_count(world: World) -> None:
    """A holdout that reaches back into the training is cut to what is fresh."""
    old = hourly(START - 42 * DAY, 28, level=230.0)
    fresh = hourly(START - 14 * DAY, 14, seed=1)
    digest = write_table(world.project.store, pl.concat([old, fresh]).sample(fraction=1.0, shuffle=True, seed=3))
    judged = judge(world.project, world.register(200.0, holdout=digest))
    assert judged.evidence.overall.n == len(fresh) == judge(world.project, world.register(200.0)).evidence.overall.n
    assert judged.evidence.rows_digest == digest
    assert judged.evidence.oldest == f"{START - 14 * DAY:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "text"])
def test_freshness_does_not_depend_on_how_the_time_is_written(world: World, zone: str | None) -> None:
    """Without a zone, in any zone, or as text: the same moments are the same rows."""
    table = hourly(START - 16 * DAY, 16, seed=1)
    hour = {
        None: pl.col("hour").dt.replace_time_zone(None),
        "UTC": pl.col("hour"),
        "Europe/Berlin": pl.col("hour").dt.convert_time_zone("Europe/Berlin"),
        "text": pl.col("hour").dt.strftime("%Y-%m-%dT%H:%M:%S"),
    }[zone]
    digest = write_table(world.project.store, table.with_columns(hour))
    judged = judge(world.project, world.register(200.0, holdout=digest))
    assert judged.evidence.overall.n == 14 * 24


def test_rows_without_a_truth_do_not_count(world: World) -> None:
    """They are no zero either."""
    truth = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("users"))
    table = hourly(START - 14 * DAY, 14, seed=1).with_columns(users=truth)
    judged = judge(world.project, world.register(200.0, holdout=write_table(world.project.store, table)))
    assert judged.evidence.overall.n == 7 * 24


def test_a_holdout_without_the_target_is_refused(world: World) -> None:
    """It names both; no verdict is written."""
    digest = write_table(world.project.store, hourly(START - 14 * DAY, 14).drop("users"))
    ref = world.register(200.0, holdout=digest)
    with pytest.raises(DataRefused, match=r"'split\.holdout' lacks the target 'users'"):
        judge(world.project, ref)
    assert world.facts("gate.decided") == []


def test_the_loss_is_that_of_what_would_leave_the_server(tmp_path: Path, stock: Stock) -> None:
    """Where the guard clips, a model that says 260 says 210, and users suffer no more than that."""
    world = World(tmp_path / "toy", stock, SETTINGS + "\n[model.demand.output]\nrange = [0, 210]\n")
    bad = judge(world.project, world.register(260.0))
    assert bad.decision.verdict == "pass"
    assert bad.evidence.overall.challenger < 25.0


def test_a_version_that_is_not_there_is_named(world: World) -> None:
    """And nothing is written."""
    world.register()
    head = world.project.ledger.head()
    with pytest.raises(NotFound, match="no version demand@9"):
        judge(world.project, VersionRef("demand", 9))
    assert world.project.ledger.head() == head


def test_a_decision_can_be_made_again_from_its_fact(tmp_path: Path, stock: Stock) -> None:
    """Policy and evidence are in the ledger; deciding on them gives the same verdict, in the same words."""
    settings = SETTINGS.replace('time = "hour"', 'time = "hour"\nslices = ["half"]')
    world = World(tmp_path / "toy", stock, settings)
    half = pl.when(pl.col("hour").dt.hour() < 12).then(pl.lit("morning")).otherwise(pl.lit("evening"))
    digest = write_table(world.project.store, hourly(START - 14 * DAY, 14, seed=1).with_columns(half=half))
    for level in (200.0, 205.0, 260.0):
        judge(world.project, world.register(level, holdout=digest))
    world.clock.move_to(START + timedelta(days=100))
    for entry in world.facts("gate.decided"):
        policy, evidence = (
            GatePolicy.from_plain(entry.body["policy"]),
            GateEvidence.from_plain(entry.body["evidence"]),
        )
        again = decide(policy, evidence)
        assert set(evidence.slices) == {"half=morning", "half=evening"}
        assert (again.verdict, again.sentence) == (entry.body["verdict"], entry.body["sentence"])
        assert (list(again.reasons), again.needed_rows) == (entry.body["reasons"], entry.body["needed_rows"])


def test_a_champion_that_takes_a_column_which_is_gone_makes_the_gate_hold(world: World) -> None:
    """The two cannot be asked about the same rows; that is no error, and the sentence names the column."""
    world.live(200.0)
    renamed = hourly(START - 14 * DAY, 14, seed=1).rename({"temperature": "warmth"})
    package = Stock.package(world.project.store, world.root / "other", 260.0, rename={"temperature": "warmth"})
    ref = world.register(260.0, holdout=write_table(world.project.store, renamed), package=package)
    judged = judge(world.project, ref)
    assert judged.decision.verdict == "hold"
    assert "demand@1 takes the column 'temperature', which the holdout lacks" in judged.decision.sentence
    assert decide(judged.policy, GateEvidence.from_plain(judged.entry.body["evidence"])) == judged.decision
