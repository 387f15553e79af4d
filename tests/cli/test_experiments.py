"""``runs`` and ``diff`` over real runs, typed as a person types them: found, sorted, shown, compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kairos.pipeline.progress import Progress
from kairos.pipeline.result import StepEvent
from kairos.values import Window
from tests.cli.said import Said
from tests.e2e.commands import kairos

Type = Callable[..., Said]

SETTINGS = """\
[project]
name = "flows"
window = "2011-01-03..2011-02-28"

[model.flow]
holdout = "split.holdout"
target = "flow"
time = "hour"
"""
PIPELINE = """\
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.linear_model import Ridge

from kairos import Window, model, source, step


class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame


@source
def hours(window: Window) -> pl.DataFrame:
    draw = np.random.default_rng(5)
    hour = pl.datetime_range(window.start, window.end, "1h", closed="left", eager=True)
    level = draw.normal(10.0, 3.0, len(hour))
    return pl.DataFrame({"hour": hour, "level": level, "flow": 4.0 * level + draw.normal(0.0, 2.0, len(hour))})


@step
def split(hours: pl.DataFrame, *, days: int = 14) -> Split:
    is_late = pl.col("hour") >= pl.col("hour").max() - timedelta(days=days)
    return Split(hours.filter(~is_late), hours.filter(is_late))


@model(target="flow", drop=["hour"])
def flow(train: pl.DataFrame, *, strength: float = 1.0) -> Ridge:
    return Ridge(alpha=strength)
"""


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A project with two runs: of a good model, and of one that is held back until it is bad."""
    root = tmp_path_factory.mktemp("flows")
    (root / "kairos.toml").write_text(SETTINGS)
    (root / "pipeline.py").write_text(PIPELINE)
    good, bad = (
        kairos(root, "run", "-p", f"flow.strength={strength}", "--json").json["id"] for strength in ("1.0", "50000.0")
    )
    return root, good, bad


def listed(said: Said) -> list[list[str]]:
    """The cells of a table, its head first."""
    assert (said.code, said.err) == (0, "")
    return [re.split(r"  +", line) for line in said.out.splitlines()]


def test_runs_are_found_sorted_and_shown_as_asked(flows: tuple[Path, str, str], type_in: Type) -> None:
    """By metrics, params and fields; what is sorted by is shown; columns are those that were named, in their order."""
    root, good, bad = flows
    head, only = listed(type_in(root, "runs", "--where", "flow.strength = 1 and status = finished"))
    assert (head[0], only[:2]) == ("run", [good, "finished"])
    assert re.search(r"^flow\.absolute_error 1\.\d+$", only[-1])
    head, *rows = listed(type_in(root, "runs", "--sort", "flow.absolute_error"))
    assert (head[-1], [row[0] for row in rows]) == ("flow.absolute_error", [good, bad])
    assert float(rows[0][-1]) < float(rows[1][-1])
    head, *rows = listed(type_in(root, "runs", "--sort", "flow.strength", "--desc", "--columns", "flow.strength, run"))
    assert [head, *rows] == [["flow.strength", "run"], ["50000", bad], ["1", good]]
    assert type_in(root, "runs", "--where", "flow.absolute_error < 0").out == "No run is so.\n"
    assert len(listed(type_in(root, "runs", "--sort", "ended", "-n", "1"))) == 2


def test_runs_are_told_to_a_machine(flows: tuple[Path, str, str]) -> None:
    """Whole without columns, with their types; with them only these, and ``null`` for what a run lacks."""
    root, good, bad = flows
    first, second = kairos(root, "runs", "--sort", "flow.absolute_error", "--json").json
    assert (first["run"], second["run"]) == (good, bad)
    assert first["params"]["flow.strength"] == 1.0
    told = kairos(root, "runs", "--sort", "flow.strength", "--columns", "run,flow.strength,failure", "--json").json
    assert told == [
        {"run": good, "flow.strength": 1.0, "failure": None},
        {"run": bad, "flow.strength": 50000.0, "failure": None},
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--where", "flow.absolute_eror < 40"),
            r"No run has 'flow.absolute_eror'.*Did you mean 'flow.absolute_error'",
        ),
        (("--where", "flow.absolute_error <"), r"--where cannot be read at its end.*a value"),
        (("--where", "flow.absolute_error < much"), r"cannot be compared so.*a number"),
        (("--sort", "strength"), r"No run has 'strength'.*Did you mean 'flow.strength'"),
        (("--columns", "run,strenght"), r"No run has 'strenght'"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    flows: tuple[Path, str, str], type_in: Type, words: tuple[str, ...], said: str
) -> None:
    """As wrong usage, with what there is and the nearest name; to a machine as JSON."""
    refused = type_in(flows[0], "runs", *words)
    assert (refused.code, refused.out) == (2, "")
    assert re.search(f"(?s){said}", refused.err)
    assert re.search(f"(?s){said}", type_in(flows[0], "runs", *words, "--json").error["message"])


def test_what_runs_now_is_listed_last_where_runs_are_sorted(flows: tuple[Path, str, str], type_in: Type) -> None:
    """It has no metric yet. A condition is asked of it as well: what it lacks answers no comparison."""
    root, good, bad = flows
    window = Window.parse("2011-01-03..2011-02-28")
    with Progress(root / ".kairos" / "runs", window=window, started_at=datetime.now(UTC)) as progress:
        progress.note(StepEvent(step="split", what="started"))
        now = listed(type_in(root, "runs"))[1]
        assert now[1] == "running"
        name = now[0]
        rows = listed(type_in(root, "runs", "--sort", "flow.absolute_error", "--desc"))
        assert [row[0] for row in rows[1:]] == [bad, good, name]
        for where, found in (
            ("status = running", [name]),
            ("started > 2011-01-01", [name, bad, good]),
            ("not flow.absolute_error < 40", [name]),
            ("flow.absolute_error < 40 or window ~ 2011", [name, bad, good]),
            ("commit != none", [bad, good]),
        ):
            rows = listed(type_in(root, "runs", "--where", where))
            assert [row[0] for row in rows[1:]] == found, where
        (told,) = json.loads(
            type_in(root, "runs", "--where", "status = running", "--columns", "run,window,flow.strength", "--json").out
        )
        assert told == {"run": name, "window": str(window), "flow.strength": None}


def test_two_runs_are_compared(flows: tuple[Path, str, str], type_in: Type) -> None:
    """What differs, as a table; below it whether the metric does by more than chance would make, with the interval."""
    root, good, bad = flows
    said = type_in(root, "diff", good, bad)
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"^ +name +{good} +{bad}$", said.out, re.MULTILINE)
    assert re.search(r"^params +flow.strength +1 +50000$", said.out, re.MULTILINE)
    assert re.search(
        r"^flow\.absolute_error [\d.]+ -> [\d.]+: worse, by more than chance would make \(interval [\d.]+ to [\d.]+, "
        r"95 %; 337 rows of split.holdout of r\w{10} that neither was trained on, which depend by times\)\.$",
        said.out,
        re.MULTILINE,
    )
    assert "better, by more than" in type_in(root, "diff", "flow@2", "flow@1", "--on", "first").out
    same = type_in(root, "diff", good, good)
    assert same.out == f"{good} and {good} do not differ in params, data, code or metrics.\n"
    nobody = type_in(root, "diff", good, "r000")
    assert (nobody.code, "There is no run 'r000'" in nobody.err) == (1, True)


def test_a_comparison_is_told_to_a_machine(flows: tuple[Path, str, str]) -> None:
    """All of it, with the verdict as a word."""
    root, good, bad = flows
    told: Any = kairos(root, "diff", good, bad, "--json").json
    assert {change["name"]: (change["before"], change["after"]) for change in told["params"]} == {
        "flow.strength": (1.0, 50000.0)
    }
    (judged,) = told["judged"]
    assert (judged["metric"], judged["verdict"], judged["n"]) == ("flow.absolute_error", "worse", 337)
    assert 0 < judged["lower"] < judged["difference"] < judged["upper"]
    assert told["not_judged"] == []
