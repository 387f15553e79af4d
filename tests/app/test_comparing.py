"""``kairos policy compare``: which settings would have lost less on a project's past."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kairos.app import comparing
from kairos.app.comparing import Comparison, Fared, Part
from kairos.cli import comparing as cli
from kairos.cli import main
from kairos.ledger import SqliteLedger
from kairos.values import Window

pytestmark = pytest.mark.usefixtures("lent")

PIPELINE = """\
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import polars as pl
from sklearn.linear_model import LinearRegression

from kairos import Window, model, source, step

CHANGE = datetime(2012, 2, 20, tzinfo=UTC)


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
history = "28d"
label_delay = "1d"
window = "2011-11-28..2012-01-01"

[model.demand]
holdout = "split.holdout"
time = "hour"

[replay]
rows = "rentals"
window = "2012-01-02..END"
"""
WAITS = '[model.demand.retrain]\non = []\ncost = "100000%"\nmax_age = "400d"\ngrowth = 100.0\n'
ACTS = '[model.demand.retrain]\ncost = "50%"\n'

Compare = Callable[..., Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world that changes in the seventh week of thirteen; a policy that acts, and one that waits."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "kairos.toml").write_text(SETTINGS.replace("END", "2012-04-01"))
    (folder / "acts.toml").write_text(ACTS)
    (folder / "waits.toml").write_text(WAITS)
    return folder


def _typed(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["-C", str(root), "policy", "compare", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_who_answers_a_change_loses_less(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sentences and a table of all policies; waiting is never changing, and hindsight is beaten by neither."""
    acts, waits = str(root / "acts.toml"), str(root / "waits.toml")
    code, out, err = _typed(root, capsys, acts, waits, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    fared = {one["name"]: one for one in found["policies"]}
    assert list(fared) == [acts, waits, "never", "every week", "best in hindsight", "no model"]
    assert fared[waits] == fared["never"] | {"name": waits}
    assert fared["best in hindsight"]["loss"] < fared[acts]["loss"] < 0.6 * fared[waits]["loss"]
    assert 1 <= fared[acts]["changes"] < fared["every week"]["changes"] == 12
    assert found["difference"] == pytest.approx(fared[acts]["loss"] - fared[waits]["loss"])
    assert found["low"] <= found["difference"] <= found["high"] < 0
    assert found["rows"] == 91 * 24

    code, out, _ = _typed(root, capsys, waits, acts)
    first, second, *rest = out.splitlines()
    assert first == f"{acts} would have lost less for 'demand' than {waits}."
    assert second.startswith(f"{waits} less {acts}: ")
    assert "no model" in rest[-1]
    assert len(out.splitlines()) < 24
    assert not list(SqliteLedger(root / ".kairos" / "ledger.db").read())


def test_a_policy_beside_itself_is_no_better(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The difference is nothing, and no winner is named."""
    (root / "same.toml").write_text(WAITS)
    code, out, _ = _typed(root, capsys, str(root / "waits.toml"), str(root / "same.toml"))
    assert code == 0
    assert out.startswith("Neither of ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "says nothing that can be compared"),
        ("no toml", "is not TOML"),
        ("[model.demand.monitor]\nalpha = 0.1\n", "model.demand.monitor"),
        ("[model.other.retrain]\nbudget = 2\n", "model.other"),
        ("[model.demand.retrain]\nbudgett = 2\n", "budgett"),
    ],
)
def test_what_cannot_be_compared_is_named(root: Path, capsys: pytest.CaptureFixture[str], text: str, said: str) -> None:
    """With the file it stands in, before anything runs."""
    (root / "wrong.toml").write_text(text)
    code, out, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "wrong.toml"))
    assert code in (1, 2)
    assert out == ""
    assert said in err
    assert "wrong.toml" in err


def test_a_file_that_is_not_there_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a matter of usage."""
    code, _, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "nowhere.toml"))
    assert code == 2
    assert "nowhere.toml" in err


def test_a_few_weeks_tell_nothing(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a shorter replay it is said how long it has to be."""
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "kairos.toml").write_text(SETTINGS.replace("END", "2012-02-01"))
    code, _, err = _typed(tmp_path, capsys, str(root / "acts.toml"), str(root / "waits.toml"))
    assert code == 2
    assert "56 days or more" in err


CLASSES = PIPELINE.replace("LinearRegression", "LogisticRegression").replace(
    '"users": users})', '"users": (users > users.median()).cast(pl.Int64)})'
)


def _project(folder: Path, pipeline: str, *, loss: str = "absolute_error") -> Path:
    (folder / "pipeline.py").write_text(pipeline)
    settings = SETTINGS.replace("END", "2012-03-03").replace('time = "hour"', f'time = "hour"\nloss = "{loss}"')
    (folder / "kairos.toml").write_text(settings)
    (folder / "acts.toml").write_text(ACTS)
    (folder / "waits.toml").write_text(WAITS)
    return folder


@pytest.mark.parametrize("loss", ["log_loss", "zero_one"])
def test_policies_of_a_classifier_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str], loss: str) -> None:
    """By chances or by classes, as its loss has it."""
    root = _project(tmp_path, CLASSES, loss=loss)
    code, out, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "waits.toml"), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["loss_name"] == loss
    fared = {one["name"]: one["loss"] for one in found["policies"]}
    assert fared["best in hindsight"] <= min(fared["never"], fared["every week"])
    assert all(each >= 0 for each in fared.values())


def _several(columns: str) -> str:
    """A step that also takes the weather, and looks at how far what it is given reaches."""
    weather = f"@step\ndef weather(rentals: pl.DataFrame) -> pl.DataFrame:\n    return rentals.select({columns})\n\n\n"
    text = PIPELINE.replace("@model(", f"{weather}@model(").replace("(train: pl.", "(train: pl.DataFrame, weather: pl.")
    looks = '    assert weather["hour"].max() == train["hour"].max(), "a look into the future"\n'
    return text.replace("    return LinearRegression()", f"{looks}    return LinearRegression()")


def test_a_step_of_several_tables_is_given_what_was_known_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No training is shown rows of its future, in no table."""
    root = _project(tmp_path, _several('"hour", "temperature"'))
    code, out, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "waits.toml"), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["rows"] == 62 * 24


def test_a_table_that_does_not_say_when_its_rows_are_from_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In plain words, with the parameter that is in the way."""
    root = _project(tmp_path, _several('"temperature"'))
    code, out, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "waits.toml"))
    assert (code, out) == (2, "")
    assert "the step 'demand' takes 'weather' as well, whose rows have no column 'hour'" in err
    assert "tables that all have the time column 'hour'" in err


def test_a_step_that_fails_on_a_part_of_the_past_is_her_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With her traceback, and up to which day it was given rows; it is no defect of Kairos."""
    root = _project(tmp_path, PIPELINE.replace("    return LinearRegression()", "    raise ValueError('no')"))
    code, _, err = _typed(root, capsys, str(root / "acts.toml"), str(root / "waits.toml"))
    assert code == 1
    assert "error: Step 'demand' failed on the rows before 20" in err
    assert "in demand" in err
    assert "kairos/app" not in err


def test_each_of_several_outputs_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the policies, with intervals that hold together; of what ranks lists are counted."""
    fared = tuple(Fared(name=name, loss=loss, changes=1) for name, loss in (("a.toml", 3.0), ("b.toml", 2.0)))
    part = Part(name="h2", losses=(3.5, 2.5), difference=1.0, low=0.25, high=1.75)
    found = Comparison(
        model="demand",
        loss_name="absolute_error",
        window=Window.parse("2012-01-02..2012-04-01"),
        rows=90,
        policies=fared,
        difference=1.0,
        low=0.5,
        high=1.5,
        parts=(part,),
    )
    for told, counted in ((found, "90 rows"), (replace(found, parts=(), ranks=True), "90 lists")):
        monkeypatch.setattr(comparing, "compare_policies", lambda *_, told=told: told)
        monkeypatch.setattr(cli, "open_project", lambda args: nullcontext())
        assert cli.compare(Namespace(first=None, second=None, json=False)) == 0
        out = capsys.readouterr().out
        assert f"on {counted} of 2012-01-02" in out
        assert ("h2 3.5 2.5 1 0.25 and 1.75" in " ".join(out.split())) == bool(told.parts)
        assert ("the intervals hold together with chance 95 %" in out) == bool(told.parts)
