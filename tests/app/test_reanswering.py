"""The model behind an answer is made again, and gives the same answer, or what explains another one is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.reanswering import answer_again
from kairos.app.scoring import score
from kairos.app.training import train
from kairos.cli import main
from kairos.models.recalibrated import recalibrated_package
from kairos.pipeline.diff.files import TableFiles, format_of
from kairos.stats.recalibration import Recalibration
from kairos.values import VersionRef, Window, plain

pytestmark = pytest.mark.usefixtures("lent")

SETTINGS = """
[project]
name = "toy"

[model.demand]
step = "demand"
holdout = "split.holdout"
target = "users"
"""
PIPELINE = """
from typing import NamedTuple
import polars as pl
import numpy as np
from sklearn.linear_model import Ridge
from kairos import model, source, step
import alpha

class Split(NamedTuple):
    train: pl.DataFrame
    holdout: pl.DataFrame

@source
def raw() -> pl.DataFrame:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 300))
    return pl.DataFrame({"a": a, "b": b, "users": 100 + 9 * a - b + random.normal(size=300) * 5})

@step
def split(raw: pl.DataFrame) -> Split:
    return Split(train=raw.head(200), holdout=raw.tail(100))

@model(target="users")
def demand(train: pl.DataFrame):
    return Ridge(alpha=alpha.ALPHA)
"""


def answer(project: Project, number: int) -> str:
    """The id of a row that a version has answered."""
    root = project.root
    table = TableFiles(name="in", format=format_of(root / "in.parquet", "in"), paths=(root / "in.parquet",))
    return f"{score(project, VersionRef('demand', number), table, root / 'out.parquet').job}-1"


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[tuple[Project, str]]:
    """A project whose trained model has answered a batch, and an answer's id."""
    root = tmp_path / "toy"
    root.mkdir()
    (root / "kairos.toml").write_text(SETTINGS)
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "alpha.py").write_text("ALPHA = 1.0\n")
    with Project(root, actor="tester", workers=1) as project:
        made = train(project, window=Window.parse("2011-01-03..2011-01-23"))
        assert made.result.ok, made.result.failure
        pl.DataFrame({"a": [0.5, 1.0], "b": [0.0, -2.0]}).write_parquet(root / "in.parquet")
        yield project, answer(project, 1)


def test_the_model_made_again_gives_the_same_answer(
    answered: tuple[Project, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever became of the code: the same bytes, and the same number."""
    project, prediction = answered
    (project.root / "alpha.py").write_text("ALPHA = 1e6\n")
    assert main(["-C", str(project.root), "explain", prediction, "--rebuild", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["rebuild"]
    assert (again["outcome"], again["why"], again["lost"]) == ("identical", [], {})
    assert again["recorded"] == again["kept"] == again["rebuilt"]
    assert again["package"] == again["package_rebuilt"]
    assert main(["-C", str(project.root), "explain", prediction, "--rebuild"]) == 0
    assert "gives the same answer, to the last bit" in capsys.readouterr().out
    assert main(["-C", str(project.root), "rebuild", "demand@1", "--json"]) == 0
    rebuilt = json.loads(capsys.readouterr().out)
    assert (rebuilt["answer"], rebuilt["packages"]) == ("identical", {"demand": again["package_rebuilt"]})


def test_inputs_that_were_not_kept_need_the_same_bytes(answered: tuple[Project, str]) -> None:
    """They are named; the package that comes out again to the byte shows the same answer nevertheless."""
    project, prediction = answered
    (project.root / "kairos.toml").write_text(SETTINGS + '[model.demand.privacy]\nkeep = ["b"]\n')
    [path] = (project.home / "batches" / prediction.partition("-")[0]).iterdir()
    pl.read_parquet(path).drop("in.a").write_parquet(path)
    with Project(project.root, actor="tester", workers=1) as opened:
        again = answer_again(opened, prediction)
    assert (again.outcome, again.is_same_package, again.rebuilt) == ("identical", True, None)
    assert again.lost == {"a": "not kept by the capture policy"}


def test_an_answer_that_comes_out_otherwise_is_said_with_all_numbers(
    answered: tuple[Project, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Here the log holds what the model never said; the exit status tells as well."""
    project, prediction = answered
    [path] = (project.home / "batches" / prediction.partition("-")[0]).iterdir()
    pl.read_parquet(path).with_columns(pl.col("raw") + 1e-3).write_parquet(path)
    assert main(["-C", str(project.root), "explain", prediction, "--rebuild"]) == 1
    said = capsys.readouterr().out
    assert "gives another answer" in said
    assert "why: the package is the same to the byte" in said
    assert answer_again(project, prediction, tolerance=1e-2).outcome == "close"


def test_a_model_that_chance_made_is_told_as_such(answered: tuple[Project, str]) -> None:
    """Its code draws without a seed: another package, another answer, and the step that diverged."""
    project, _ = answered
    text = PIPELINE.replace("alpha=alpha.ALPHA", "alpha=np.random.default_rng().uniform(1, 500)")
    (project.root / "pipeline.py").write_text(text)
    with Project(project.root, actor="tester", workers=1) as opened:
        assert [str(ref) for ref in train(opened, window=Window.parse("2011-01-03..2011-01-23")).versions] == [
            "demand@2"
        ]
        again = answer_again(opened, answer(opened, 2))
    assert (again.outcome, again.is_same_package) == ("differs", False)
    assert again.recorded == again.kept
    assert again.rebuilt is not None
    assert np.isfinite(again.rebuilt)
    assert any(line.startswith("step demand: ") for line in again.why)
    assert any("chance" in line for line in again.why)


def test_a_recalibrated_answer_is_put_right_again(answered: tuple[Project, str], tmp_path: Path) -> None:
    """The run made the model inside; what was done to its answers is known from when the version was registered."""
    project, _ = answered
    base = project.state().model("demand").version(1)
    mend, until = Recalibration(level=25.0, slope=1.5), datetime(2011, 1, 23, tzinfo=UTC)
    package = open_stored(project.store, base.package)
    recalibrated_package(tmp_path / "p", package, mend, answers=np.arange(9.0), train_until=until, lineage={})
    body = {
        "package": project.store.put_folder(tmp_path / "p"),
        "run": base.run,
        "origin": "recalibration",
        "reasons": [],
        "base": "demand@1",
        "recalibration": {**plain(mend), "rows": 9, "window": "2011-01-03..2011-01-23"},
    }
    project.tell("version.registered", subject="demand@2", body=body)
    plainly, mended = (answer_again(project, answer(project, number)) for number in (1, 2))
    assert plainly.rebuilt is not None
    assert (mended.outcome, mended.package) == ("identical", base.package)
    assert mended.recorded == mended.rebuilt == mend([plainly.rebuilt])[0]
