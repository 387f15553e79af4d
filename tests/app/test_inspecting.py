"""Checks of data while a run goes on: what stops it, what warns, what is kept of the rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kairos.app.project import Project
from kairos.app.settings import read_settings
from kairos.app.training import run_steps, train
from kairos.cli import main
from kairos.errors import SettingsError
from kairos.examples.bikes import pipeline as bikes
from kairos.ledger import Fact
from kairos.store.tables import read_table
from kairos.values import Window

pytestmark = pytest.mark.usefixtures("lent")

WINDOW = Window.parse("2011-01-03..2011-01-16")
PIPELINE = """\
from pathlib import Path
import polars as pl
from kairos import Window, source, step

@source(files=["bikes.csv"])
def rentals(window: Window) -> pl.DataFrame:
    at = pl.col("dteday").str.to_datetime("%Y-%m-%d", time_zone="UTC")
    rows = pl.read_csv(Path(__file__).parent / "bikes.csv")
    return rows.filter(at.is_between(window.start, window.end, closed="left"))

@step
def totals(rentals: pl.DataFrame) -> pl.DataFrame:
    return rentals.group_by("dteday", maintain_order=True).agg(pl.col("cnt").sum())
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a project over three weeks of bikes, with what is asked of its source."""
    rows = pl.read_csv(Path(bikes.__file__).parent / bikes.DATA).filter(pl.col("dteday") <= "2011-01-23")

    def written(checks: str, change: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows) -> Path:
        change(rows).write_csv(tmp_path / "bikes.csv")
        (tmp_path / "pipeline.py").write_text(PIPELINE)
        (tmp_path / "kairos.toml").write_text(f'[project]\nname = "bikes"\n\n[data.rentals]\n{checks}\n')
        return tmp_path

    return written


def twice(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows.filter((pl.col("dteday") == "2011-01-04") & (pl.col("hr") == "6am"))])


def test_a_failing_check_stops_the_run_before_the_next_step(write: Callable[..., Path]) -> None:
    """It names rows and columns, keeps the rows aside and out of the message, and goes on once they are repaired."""
    root = write('unique = ["dteday", "hr"]', twice)
    with Project(root, workers=1) as project:
        first = train(project, window=WINDOW).result
        assert [(step.step, step.status) for step in first.steps] == [("rentals", "failed"), ("totals", "not_run")]
        assert first.failure is not None
        assert "2 rows of rentals share their 'dteday', 'hr' with another row" in first.failure.message
        assert "2011-01-04" not in first.failure.message
        (entry,) = project.ledger.read(kinds=["run.failed"])
        (check,) = entry.body["data_checks"]
        assert (check["verdict"], check["rows"], check["columns"]) == ("fail", 2, ["dteday", "hr"])
        bad = read_table(project.store, check["kept"])
        assert bad.select("dteday", "hr").rows() == [("2011-01-04", "6am")] * 2
        assert f"kairos data show {check['kept']}" in first.failure.message
        again = train(project, window=WINDOW).result
        assert again.failure is not None  # what was kept of the step is no way around the check
    write('unique = ["dteday", "hr"]')
    with Project(root, workers=1) as project:
        assert train(project, window=WINDOW).result.ok


def test_a_check_may_warn(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The run goes on; the warning is printed and is part of the run's fact."""
    root = write('unique = ["dteday", "hr"]\nwarn = ["unique"]', twice)
    assert main(["-C", str(root), "run", "--window", str(WINDOW)]) == 0
    said = capsys.readouterr().out
    assert "warning: 2 rows of rentals share" in said
    assert main(["-C", str(root), "run", "--window", str(WINDOW), "--json"]) == 0
    (check,) = json.loads(capsys.readouterr().out)["data_checks"]
    assert (check["verdict"], check["stops"]) == ("fail", False)
    assert main(["-C", str(root), "data", "show", check["kept"]]) == 0
    assert "2011-01-04" in capsys.readouterr().out


def test_runs_that_are_not_recorded_are_checked_as_well(
    write: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """What a check refuses, no comparison and no reading learns from; a warning is logged."""
    with Project(write('unique = ["dteday", "hr"]', twice), workers=1) as project:
        stopped = run_steps(project, WINDOW, ["totals"])
        assert stopped.failure is not None
        assert "2 rows of rentals share" in stopped.failure.message
        assert caplog.messages == []
    with Project(write('unique = ["dteday", "hr"]\nwarn = ["unique"]', twice), workers=1) as project:
        assert run_steps(project, WINDOW, ["totals"]).ok
        (said,) = caplog.messages
        assert "warning: 2 rows of rentals share" in said
        assert list(project.ledger.read()) == []


@pytest.mark.parametrize(
    ("checks", "window", "failure"),
    [
        ('time = "dteday"\nfresh = "2d"', WINDOW, None),
        ('time = "dteday"\nfresh = "2d"', Window.parse("2011-01-03..2011-01-31"), "2011-01-23 00:00, 9 days before"),
        ("rows = 100", WINDOW, None),
        ("rows = 1000", WINDOW, "at least 1,000"),
        ('volume = "10%"', WINDOW, None),
        ('volume = "10%"', Window.parse("2011-01-03..2011-01-31"), "the median is"),
        ("distance = 0.2", WINDOW, None),
        ("distance = 0.2\nreference = 'other.parquet'", WINDOW, "'temp' by"),
        ('distance = 0.2\nreference = "other.parquet"\ncolumns = ["hum"]', WINDOW, None),
        ('unique = ["day"]', WINDOW, "name a column 'day' that it lacks"),
    ],
)
def test_every_check_tells_good_from_bad(
    write: Callable[..., Path], checks: str, window: Window, failure: str | None
) -> None:
    """Freshness by the window's end, rows alone and beside three past runs, distributions beside a reference."""
    root = write(checks)
    rows = pl.read_csv(root / "bikes.csv")
    rows.with_columns(pl.col("temp") + 10).write_parquet(root / "other.parquet")
    with Project(root, workers=1) as project:
        for _ in range(3):
            made = {"name": "rentals", "digest": "0" * 32, "kind": "table/polars", "meta": {"rows": 23 * 7}}
            body = {"window": "2011-01-03..2011-01-09", "steps": [{"step": "rentals", "outputs": [made]}]}
            project.tell_all([Fact(kind="run.finished", subject="r0", body=body)])
        result = train(project, window=window).result
    if failure is None:
        assert result.ok, result.failure
    else:
        assert result.failure is not None
        assert failure in result.failure.message


def test_without_a_past_there_is_no_verdict(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a pass nor a failure; and it is said."""
    root = write('volume = "10%"\ndistance = 0.2')
    assert main(["-C", str(root), "run", "--window", str(WINDOW)]) == 0
    assert capsys.readouterr().out.count("no verdict yet") == 2


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ('fresh = "1d"', "both fresh and time"),
        ('volume = "half"', "as in '50%'"),
        ("volume = 0.5", "wrong type"),
        ("distance = 2", "below 0.83"),
        ('columns = ["a"]', "no distance"),
        ('warn = ["uniqe"]', "Did you mean 'unique'"),
        ("uniqe = []", "Did you mean 'unique'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(checks: str, said: str) -> None:
    """With the key's name."""
    import tomllib

    with pytest.raises(SettingsError, match=r"data\.rentals") as error:
        read_settings(tomllib.loads(f'[project]\nname = "p"\n[data.rentals]\n{checks}'))
    assert said in str(error.value)


def test_an_artifact_that_is_not_there_is_named_before_anything_runs(write: Callable[..., Path]) -> None:
    """With the nearest name."""
    root = write("rows = 1")
    toml = root / "kairos.toml"
    toml.write_text(toml.read_text().replace("data.rentals", "data.rental"))
    with Project(root, workers=1) as project, pytest.raises(SettingsError, match="Did you mean 'rentals'"):
        train(project, window=WINDOW)
