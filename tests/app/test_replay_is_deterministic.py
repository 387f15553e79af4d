"""The same past, lived through twice, gives the same facts to the byte: workers, server, HTTP and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kairos.app.replay import replay_project
from kairos.errors import SettingsError, UsageError
from kairos.ledger import SqliteLedger
from kairos.values import Window
from tests.app.replaying import Told

REPOSITORY = Path(__file__).parents[2]

PAST = """\
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl
from sklearn.linear_model import LinearRegression

from kairos import Window, model, source, step

CHANGE = datetime(2012, 1, 3, tzinfo=UTC)


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source(every="7d")
def rentals(window: Window) -> pl.DataFrame:
    hours = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    number = hours.dt.epoch("s") // 3600
    temperature = (number * 7 % 24).cast(pl.Float64)
    level = pl.Series([200.0 if hour < CHANGE else 600.0 for hour in hours.to_list()])
    users = level + 5.0 * temperature + (number * number * 13 % 37).cast(pl.Float64)
    return pl.DataFrame({"hour": hours, "temperature": temperature, "users": users})


@step
def split(rentals: pl.DataFrame) -> Split:
    is_late = pl.col("hour") >= pl.col("hour").max() - timedelta(days=5)
    return Split(rentals.filter(~is_late), rentals.filter(is_late))


@model(target="users", drop=["hour"])
def demand(train: pl.DataFrame) -> LinearRegression:
    return LinearRegression()
"""
SETTINGS = """\
[project]
name = "past"
history = "12d"
label_delay = "1d"
window = "2011-11-28..2012-01-01"

[model.demand]
holdout = "split.holdout"
time = "hour"

[model.demand.retrain]
cooldown = "3d"

[replay]
rows = "rentals"
window = "2012-01-02..2012-01-13"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What came of two replays of one project, in two folders and two processes at the same time."""

    first: dict[str, Any]
    second: dict[str, Any]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A world that changes on the second day."""
    running = []
    for seed in ("1", "2"):
        root = tmp_path_factory.mktemp("past")
        (root / "kairos.toml").write_text(SETTINGS)
        (root / "pipeline.py").write_text(PAST)
        command = [sys.executable, "-m", "tests.app.replaying", str(root)]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        running.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, env=environment))
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    first, second = map(json.loads, said)
    return Past(first=first, second=second)


def test_every_fact_is_the_same_twice(past: Past) -> None:
    """An alarm, a training, a gate, a rollout that begins: hashes stand for every byte of every fact."""
    first, second = ([fact["hash"] for fact in one["facts"]] for one in (past.first, past.second))
    assert first == second
    assert {fact["kind"] for fact in past.first["facts"]} == {
        "run.finished",
        "reading.taken",
        "version.registered",
        "gate.decided",
        "stage.changed",
        "finding",
        "retrain.decided",
    }


def test_every_figure_is_the_same_twice(past: Past) -> None:
    """And the story names the ledger that it rests on."""
    assert past.first["story"] == past.second["story"]
    story, facts = past.first["story"], past.first["facts"]
    assert (story["ledger_head"], story["ledger_hash"]) == (len(facts), facts[-1]["hash"])
    assert [policy["name"] for policy in story["policies"]] == ["Kairos", "never retrain", "retrain weekly"]


def test_what_was_sent_is_what_the_backtest_scores(past: Past) -> None:
    """While the first version is live, every day's error over HTTP is that of the same model on the same rows."""
    days = past.first["story"]["days"][:-1]  # the truth about the last one is not known yet
    assert {day["version"] for day in days} == {1}
    assert [day["kairos_loss"] for day in days] == pytest.approx([day["never_loss"] for day in days])


def test_every_fact_is_told_once_and_progress_only_grows(past: Past) -> None:
    """To the end."""
    assert past.first["told"] == past.first["facts"]
    parts = past.first["parts"]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_a_replay_needs_a_home_of_its_own(tmp_path: Path) -> None:
    """The project's own facts are never mixed with those of a replay."""
    (tmp_path / "kairos.toml").write_text(SETTINGS)
    SqliteLedger(tmp_path / ".kairos" / "ledger.db")
    with pytest.raises(UsageError, match="needs a home of its own"):
        replay_project(tmp_path, tmp_path / ".kairos", Told())


@pytest.mark.parametrize(
    ("cut", "complaint"),
    [
        ('rows = "rentals"\nwindow = "2012-01-02..2012-01-13"\n', "when a replay ends"),
        ('window = "2011-11-28..2012-01-01"\n', "what the first model learns from"),
        ('time = "hour"\n', "No model can be replayed"),
    ],
)
def test_settings_that_lack_something_are_named(tmp_path: Path, cut: str, complaint: str) -> None:
    """With what to write; nothing is trained before."""
    (tmp_path / "kairos.toml").write_text(SETTINGS.replace(cut, ""))
    told = Told()
    with pytest.raises(UsageError, match=complaint) as caught:
        replay_project(tmp_path, tmp_path / "home", told)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Write [")
    assert (told.facts, told.stages) == ([], [])


def test_rows_that_the_pipeline_lacks_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """With the nearest name."""
    (tmp_path / "kairos.toml").write_text(SETTINGS.replace('rows = "rentals"', 'rows = "rental"'))
    (tmp_path / "pipeline.py").write_text(PAST)
    told = Told()
    with pytest.raises(SettingsError, match=r"replay\.rows is not in the pipeline") as caught:
        replay_project(tmp_path, tmp_path / "home", told)
    assert (caught.value.given, caught.value.hint) == ("rental", "Did you mean 'rentals'?")
    assert (told.facts, told.stages) == ([], [])


@pytest.mark.parametrize("window", ["2011-12-05..2011-12-20", "2011-12-05..2012-01-01"])
def test_a_window_with_nothing_to_send_is_named_as_it_was_given(tmp_path: Path, window: str) -> None:
    """The first model has learnt from all of it."""
    (tmp_path / "kairos.toml").write_text(SETTINGS)
    with pytest.raises(UsageError, match="nothing to send in its window") as caught:
        replay_project(tmp_path, tmp_path / "home", Told(), window=Window.parse(window))
    assert caught.value.given == str(Window.parse(window))
    assert "2012-01-02 00:00" in str(caught.value.accepted)
