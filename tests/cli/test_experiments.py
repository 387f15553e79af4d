"""``run --seeds``, ``runs``, ``show`` and ``diff`` as a person types them: made, found, sorted, shown, compared."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kairos.pipeline.engine.local import LocalEngine
from kairos.pipeline.progress import Progress
from kairos.pipeline.result import StepEvent
from kairos.values import Window
from tests.cli.said import Said, typed
from tests.e2e.commands import start
from tests.lending import lend

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
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn.tree import DecisionTreeRegressor

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
def flow(train: pl.DataFrame, *, depth: int = 6, seed: int = 0) -> DecisionTreeRegressor:
    while seed and Path("hold").exists():
        Path("held").touch()
        time.sleep(0.01)
    if seed and Path("together").exists():
        Path(f"at-{seed}").touch()
        end_s = time.monotonic() + 300
        while len(list(Path().glob("at-*"))) < 2:
            assert time.monotonic() < end_s, "the other seed waits for this one"
            time.sleep(0.01)
    if seed and Path("fail").exists():
        raise ValueError("not with this one")
    return DecisionTreeRegressor(max_depth=depth, splitter="random")
"""


class Flows(NamedTuple):
    """A project with two runs with three seeds each."""

    root: Path
    good: str
    bad: str
    """Of a model that is kept from learning."""
    said: str
    """By the command that made the bad one."""


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory, workers: LocalEngine) -> Flows:
    """Made once; the good model's other seeds wait for each other, so they have to run at once."""
    root = tmp_path_factory.mktemp("flows")
    (root / "kairos.toml").write_text(SETTINGS)
    (root / "pipeline.py").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        lend(workers, patch)
        (root / "together").touch()
        good = typed(root, "run", "--seeds", "3", "--json").json["id"]
        (root / "together").unlink()
        said = typed(root, "run", "--seeds", "3", "-p", "flow.depth=1").out
    (bad,) = re.findall(r"^run (r\w{10}) finished$", said, re.MULTILINE)
    return Flows(root, good, bad, said)


def listed(said: Said) -> list[list[str]]:
    """The cells of a table, its head first."""
    assert (said.code, said.err) == (0, "")
    return [re.split(r"  +", line) for line in said.out.splitlines()]


def test_runs_are_found_sorted_and_shown_as_asked(flows: Flows, type_in: Type) -> None:
    """By metrics, params and fields; what is sorted by is shown; columns are those that were named, in their order."""
    root, good, bad, _ = flows
    head, only = listed(type_in(root, "runs", "--where", "flow.depth = 6 and status = finished"))
    assert (head[0], only[:2]) == ("run", [good, "finished"])
    assert re.search(r"^flow\.absolute_error [\d.]+ \(over 3 seeds [\d.]+ on average, sd [\d.]+\)$", only[-1])
    head, *rows = listed(type_in(root, "runs", "--sort", "flow.absolute_error"))
    assert (head[-1], [row[0] for row in rows]) == ("flow.absolute_error", [good, bad])
    assert float(rows[0][-1]) < float(rows[1][-1])
    head, *rows = listed(type_in(root, "runs", "--sort", "flow.depth", "--desc", "--columns", "flow.depth, run"))
    assert [head, *rows] == [["flow.depth", "run"], ["6", good], ["1", bad]]
    assert type_in(root, "runs", "--where", "flow.absolute_error < 0").out == "No run is so.\n"
    assert len(listed(type_in(root, "runs", "--sort", "ended", "-n", "1"))) == 2


def test_runs_are_told_to_a_machine(flows: Flows, type_in: Type) -> None:
    """Whole without columns, with their types; with them only these, and ``null`` for what a run lacks."""
    root, good, bad, _ = flows
    first, second = type_in(root, "runs", "--sort", "flow.absolute_error", "--json").json
    assert (first["run"], second["run"]) == (good, bad)
    assert first["params"]["flow.depth"] == 6
    assert (first["seeds"]["flow"][0]["seed"], len(first["seeds"]["flow"])) == (0, 3)
    told = type_in(root, "runs", "--sort", "flow.depth", "--columns", "run,flow.depth,failure", "--json").json
    assert told == [
        {"run": bad, "flow.depth": 1, "failure": None},
        {"run": good, "flow.depth": 6, "failure": None},
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
        (("--sort", "depth"), r"No run has 'depth'.*Did you mean 'flow.depth'"),
        (("--columns", "run,strenght"), r"No run has 'strenght'"),
    ],
)
def test_what_cannot_be_asked_is_refused(flows: Flows, type_in: Type, words: tuple[str, ...], said: str) -> None:
    """As wrong usage, with what there is and the nearest name; to a machine as JSON."""
    refused = type_in(flows.root, "runs", *words)
    assert (refused.code, refused.out) == (2, "")
    assert re.search(f"(?s){said}", refused.err)
    assert re.search(f"(?s){said}", type_in(flows.root, "runs", *words, "--json").error["message"])


def test_what_runs_now_is_listed_last_where_runs_are_sorted(flows: Flows, type_in: Type) -> None:
    """It has no metric yet. A condition is asked of it as well: what it lacks answers no comparison."""
    root, good, bad, _ = flows
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
            type_in(root, "runs", "--where", "status = running", "--columns", "run,window,flow.depth", "--json").out
        )
        assert told == {"run": name, "window": str(window), "flow.depth": None}


def test_two_runs_are_compared(flows: Flows, type_in: Type) -> None:
    """What differs, as a table; below it whether the metric does by more than chance would make, with the interval."""
    root, good, bad, _ = flows
    said = type_in(root, "diff", good, bad)
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"^ +name +{good} +{bad}$", said.out, re.MULTILINE)
    assert re.search(r"^params +flow.depth +6 +1$", said.out, re.MULTILINE)
    assert re.search(
        r"^flow\.absolute_error [\d.]+ -> [\d.]+: worse, by more than chance would make \(interval [\d.]+ to [\d.]+, "
        r"95 %; 337 rows of split.holdout of r\w{10} that neither was trained on, which depend by times\)\.$",
        said.out,
        re.MULTILINE,
    )
    assert re.search(
        r"^flow\.absolute_error [\d.]+ -> [\d.]+: worse, by more than chance would make \(interval [\d.]+ to [\d.]+, "
        r"95 %; over 3 seeds that both have, on split.holdout, as it is\)\.$",
        said.out,
        re.MULTILINE,
    )
    assert "better, by more than" in type_in(root, "diff", "flow@2", "flow@1", "--on", "first").out
    same = type_in(root, "diff", good, good)
    assert same.out == f"{good} and {good} do not differ in params, data, code or metrics.\n"
    assert type_in(root, "diff", good, "flow@1").out == f"{good} and flow@1 were made by one run, {good}.\n"
    nobody = type_in(root, "diff", good, "r000")
    assert (nobody.code, "There is no run 'r000'" in nobody.err) == (1, True)


def test_a_comparison_is_told_to_a_machine(flows: Flows, type_in: Type) -> None:
    """All of it, with the verdict as a word."""
    root, good, bad, _ = flows
    told: Any = type_in(root, "diff", good, bad, "--json").json
    assert {change["name"]: (change["before"], change["after"]) for change in told["params"]} == {"flow.depth": (6, 1)}
    judged, over_seeds = told["judged"]
    assert (over_seeds["over"], over_seeds["verdict"], over_seeds["n"]) == ("seeds", "worse", 3)
    assert (judged["metric"], judged["verdict"], judged["n"]) == ("flow.absolute_error", "worse", 337)
    assert 0 < judged["lower"] < judged["difference"] < judged["upper"]
    assert told["not_judged"] == []


def test_a_run_tells_what_its_seeds_gave(flows: Flows, type_in: Type) -> None:
    """On the screen, in ``show``, and whole to a machine; a plan says what others would make."""
    assert re.search(r"flow, seed 3 of 3 +ran \([\d.]+ s\)$", flows.said, re.MULTILINE)
    assert re.search(
        r"^  flow: over 3 seeds mean absolute error is [\d.]+ on average, with a standard deviation of [\d.]+$",
        flows.said,
        re.MULTILINE,
    )
    root, bad = flows.root, flows.bad
    shown = type_in(root, "show", bad)
    assert re.search(r"metrics: flow\.absolute_error [\d.]+ \(over 3 seeds [\d.]+ on average, sd [\d.]+\)", shown.out)
    assert re.search(r"^seeds of +seed +flow.absolute_error +package$", shown.out, re.MULTILINE)
    assert len(re.findall(r"^flow +\d+ +[\d.]+ +\w{8}$", shown.out, re.MULTILINE)) == 3
    body = type_in(root, "show", bad, "--json").json
    assert body["metrics"]["flow.seeds"] == 3
    assert [sorted(each) for each in body["seeds"]["flow"]] == [["holdout", "logged", "metrics", "package", "seed"]] * 3
    planned = type_in(root, "run", "--plan", "--seeds", "3")
    assert "Each of the 2 other seeds would make: flow." in planned.out
    for words in (("--seeds", "0"), ("--seeds", "3", "--until", "split")):
        assert type_in(root, "run", *words).code == 2


@pytest.fixture
def copy(flows: Flows, tmp_path: Path) -> Path:
    """The project with its runs, to make others in."""
    return Path(shutil.copytree(flows.root, tmp_path / "flows"))


def test_a_seed_that_fails_is_told_with_the_rest(copy: Path, type_in: Type) -> None:
    """The run is recorded with what the others gave, and the command ends with 1."""
    (copy / "fail").touch()
    said = type_in(copy, "run", "--seeds", "2", "-p", "flow.depth=2")
    assert said.code == 1
    (name,) = re.findall(r"^run (r\w{10}) finished$", said.out, re.MULTILINE)
    assert "is registered" in said.out
    assert 'raise ValueError("not with this one")' in said.err
    assert re.search(
        r"^error: seed 2 of 2 \(flow \d+\): Step 'flow' failed .*not with this one$", said.err, re.MULTILINE
    )
    shown = type_in(copy, "show", name)
    assert re.search(r"^seed 2 \(flow \d+\): Step 'flow' failed", shown.out, re.MULTILINE)


def test_ctrl_c_keeps_what_is_known(copy: Path, type_in: Type) -> None:
    """The run with its first seed is recorded, and it is said that the others were stopped."""
    (copy / "hold").touch()
    with start(copy, "run", "--seeds", "3", "-p", "flow.depth=3") as run:
        while not (copy / "held").exists():
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate()
    assert run.returncode == 130
    assert err == "The run was stopped by the user after 1 of 3 seeds; it is recorded with this one.\n"
    (name,) = re.findall(r"^run (r\w{10}) finished$", out, re.MULTILINE)
    shown = type_in(copy, "show", name, "--json").json
    assert (shown["status"], [each["type"] for each in shown["seeds_failed"]]) == ("finished", ["Stopped"] * 2)
    assert len(shown["versions"]) == 1
