"""What other policies would have lost: on the same rows, with nothing that was not known then."""

from __future__ import annotations

import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from kairos.app.backtest import always_deploy, never_retrain
from kairos.app.packages import open_stored
from kairos.store.tables import write_table
from kairos.values import Window
from tests.app.worlds import DAY, SETTINGS, START, Stock, World, hourly

WEEKS = Window(START, START + 21 * DAY)
GUARDED = SETTINGS + "\n[model.demand.output]\nrange = [0, 210]\n"


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """The truth is 200 until the third week, and 300 from then on."""
    before, after = hourly(START - 60 * DAY, 74), hourly(START + 14 * DAY, 14, level=300.0, seed=1)
    return pl.concat([before, after]).sample(fraction=1.0, shuffle=True, seed=5)


def test_one_model_for_ever(world: World, rows: pl.DataFrame) -> None:
    """Its losses are those of the rows in the window, in the order of time."""
    package = open_stored(world.project.store, world.stock.packages[260.0])
    found = never_retrain(package, rows, world.project.settings.model("demand"), WEEKS)
    sent = rows.filter(pl.col("hour").is_between(WEEKS.start, WEEKS.end, closed="left")).sort("hour")
    assert found.at == sent["hour"].to_list()
    assert found.losses.tolist() == pytest.approx((sent["users"] - 260.0).abs().to_list())
    assert found.mean == pytest.approx(float((sent["users"] - 260.0).abs().mean()))  # type: ignore[arg-type]


def test_the_guard_stands_before_every_policy(tmp_path: Path, stock: Stock, rows: pl.DataFrame) -> None:
    """What it had to stop is counted, and users suffer the clipped value."""
    world = World(tmp_path / "toy", stock, GUARDED)
    package = open_stored(world.project.store, stock.packages[260.0])
    found = never_retrain(package, rows, world.project.settings.model("demand"), WEEKS)
    sent = rows.filter(pl.col("hour").is_between(WEEKS.start, WEEKS.end, closed="left")).sort("hour")
    assert found.violations == len(sent) == 21 * 24
    assert found.losses.tolist() == pytest.approx((sent["users"] - 210.0).abs().to_list())


def test_a_new_model_every_week_learns_from_what_was_known_then(world: World, rows: pl.DataFrame) -> None:
    """The third week is answered by a model that has not seen it; in the fourth it has seen six days of it."""
    window = Window(START, START + 28 * DAY)
    found = always_deploy(world.project, rows, world.project.settings.model("demand"), window)
    by_week = [found.losses[week * 168 : (week + 1) * 168] for week in range(4)]
    assert [round(float(losses.mean()) / 10) for losses in by_week] == [2, 2, 10, 7]
    fourth = rows.filter(pl.col("hour").is_between(START + 21 * DAY, START + 28 * DAY, closed="left")).sort("hour")
    known = rows.filter(pl.col("hour").is_between(START - 7 * DAY, START + 20 * DAY, closed="left"))
    expected = (fourth["users"] - float(known["users"].mean())).abs()  # type: ignore[arg-type]
    assert by_week[3].tolist() == pytest.approx(expected.to_list())
    assert (found.deployments, found.at) == (4, rows.filter(pl.col("hour") >= START).sort("hour")["hour"].to_list())


def test_the_order_of_the_rows_does_not_matter(world: World, rows: pl.DataFrame) -> None:
    """Time is their order."""
    model = world.project.settings.model("demand")
    first = always_deploy(world.project, rows, model, WEEKS, every=timedelta(days=7))
    again = always_deploy(world.project, rows.reverse(), model, WEEKS, every=timedelta(days=7))
    assert first.losses.tolist() == again.losses.tolist()


def test_the_program_beside_a_replay_gives_both_policies(world: World, rows: pl.DataFrame) -> None:
    """From names alone: the project, the table, the first version and the window."""
    ref = world.live(260.0)
    digest = write_table(world.project.store, rows)
    arguments = [str(world.root), str(world.project.home), digest, str(ref), str(WEEKS)]
    done = subprocess.run([sys.executable, "-m", "kairos.app.backtest", *arguments], check=True, capture_output=True)
    found = pickle.loads(done.stdout)
    assert list(found) == ["never retrain", "retrain weekly"]
    model = world.project.settings.model("demand")
    weekly = always_deploy(world.project, rows, model, WEEKS)
    assert found["retrain weekly"].losses.tolist() == weekly.losses.tolist()
    assert found["never retrain"].deployments == 1
