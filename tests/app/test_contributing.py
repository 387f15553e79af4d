"""What the inputs of a kept answer contributed to it, and what is said where that is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from kairos.app.contributing import why_answer
from kairos.app.project import Project
from kairos.app.scoring import score
from kairos.cli import main
from kairos.errors import NotFound
from kairos.models.finish import ModelOptions
from kairos.pipeline.diff.files import TableFiles, format_of
from kairos.values import VersionRef
from tests.models.trainings import finish, one_hot, seasons

SETTINGS = """
[project]
name = "toy"

[model.demand]
holdout = "split.holdout"
target = "users"
"""
PRIVACY = """
[model.demand.privacy]
pseudonymise = ["season"]
"""
REF = VersionRef("demand", 1)


def answered(root: Path, estimator: Any, train: pl.DataFrame, *, privacy: str = "", **how: Any) -> tuple[Project, str]:
    """A project whose model has answered a batch, and the id of the job."""
    root.mkdir()
    (root / "kairos.toml").write_text(SETTINGS + privacy)
    project = Project(root, actor="ann")
    package = project.store.put_folder(finish(root / "made", estimator, train=train, **how))
    body: Any = {"package": package, "run": "r1", "origin": "manual", "reasons": []}
    project.tell("version.registered", subject="demand@1", body=body)
    steps: list[Any] = []
    code = {"commit": None, "branch": None, "dirty_digest": None}
    run: Any = {"window": "2011-01-01..2011-02-01", "steps": steps, "code": code, "metrics": {}}
    project.tell("run.finished", subject="r1", body=run)
    train.head(20).write_parquet(root / "in.parquet")
    table = TableFiles(name="in.parquet", format=format_of(root / "in.parquet", "in"), paths=(root / "in.parquet",))
    return project, score(project, REF, table, root / "out.parquet").job


def test_contributions_of_an_answer_add_up_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a line each is slope times distance from the typical row; ranked, with the place in training."""
    project, job = answered(tmp_path / "toy", one_hot(), seasons())
    assert main(["-C", str(project.root), "explain", f"{job}-3", "--why", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    why, output = found["why"], found["arms"][0]["raw"]
    assert why["base"] + sum(one["contribution"] for one in why["inputs"]) == pytest.approx(output)
    assert why["answer"] == pytest.approx(output)
    sizes = [abs(one["contribution"]) for one in why["inputs"]]
    assert sizes == sorted(sizes, reverse=True)
    places = {one["name"]: one["standing"] for one in why["inputs"]}
    assert places["season"].startswith("level of ")
    assert places["temperature"].startswith("between quantiles ")
    assert main(["-C", str(project.root), "explain", f"{job}-3", "--why"]) == 0
    assert "Exact Shapley values" in capsys.readouterr().out


def test_an_input_that_is_a_pseudonym_is_named_and_nothing_is_invented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No contribution is told of a row that is not known."""
    project, job = answered(tmp_path / "toy", one_hot(), seasons(), privacy=PRIVACY)
    found = why_answer(project, f"{job}-0")
    assert found.lost == {"season": "kept as a pseudonym only"}
    assert (found.refused, found.base, found.inputs) == ("an input was not kept", None, ())
    assert main(["-C", str(project.root), "explain", f"{job}-0", "--why"]) == 0
    assert "season: kept as a pseudonym only" in capsys.readouterr().out


def test_a_row_that_gives_another_answer_now_is_not_explained(tmp_path: Path) -> None:
    """A column that is kept no more reads as missing; the answer of then tells that it was not."""
    random = np.random.default_rng(0)
    a = random.normal(size=400)
    a[::7] = np.nan
    y = np.nan_to_num(a) * 50 + 100 + random.normal(size=400) * 20
    table = pl.DataFrame({"a": a, "b": random.normal(size=400), "users": y}, nan_to_null=True)
    project, job = answered(tmp_path / "toy", HistGradientBoostingRegressor(max_iter=20), table)
    [path] = (project.home / "batches" / job).iterdir()
    assert why_answer(project, f"{job}-3").refused is None
    assert {one.name: one.standing for one in why_answer(project, f"{job}-7").inputs}["a"].startswith("missing, as in ")
    pl.read_parquet(path).with_columns(pl.lit(None, dtype=pl.Float64).alias("in.a")).write_parquet(path)
    refused = why_answer(project, f"{job}-3").refused
    assert refused is not None
    assert refused.startswith("from what was kept of the row the model answers")


def test_trees_of_many_inputs_are_walked(tmp_path: Path) -> None:
    """Exact there as well, and they add up to what was answered."""
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"c{i}": random.normal(size=300) for i in range(15)})
    table = table.with_columns(users=100 + 20 * pl.col("c0") * pl.col("c1") + 10 * pl.col("c2"))
    project, job = answered(tmp_path / "toy", HistGradientBoostingRegressor(max_iter=20), table)
    found = why_answer(project, f"{job}-5")
    assert (found.method, len(found.inputs)) == ("trees", 15)
    assert found.base is not None
    assert found.base + sum(one.contribution for one in found.inputs) == pytest.approx(found.recorded)


def test_an_array_that_trees_learn_from_is_one_of_many_inputs(tmp_path: Path) -> None:
    """Its numbers are not told one by one: the trees are walked for it as a whole."""
    random = np.random.default_rng(0)
    table = pl.DataFrame({f"c{i}": random.normal(size=300) for i in range(13)})
    vectors = random.normal(size=(300, 4))
    table = table.with_columns(vector=vectors, users=pl.Series(100 + 20 * vectors[:, 1]) + 10 * pl.col("c2"))
    keep = f"\n[model.demand.privacy]\nkeep = {[*table.columns[:-1]]}\n".replace("'", '"')
    project, job = answered(tmp_path / "toy", HistGradientBoostingRegressor(max_iter=5), table, privacy=keep)
    found = why_answer(project, f"{job}-5")
    assert (found.method, len(found.inputs)) == ("trees", 14)
    assert found.inputs[0].name == "vector"
    assert found.base is not None
    assert found.base + sum(one.contribution for one in found.inputs) == pytest.approx(found.recorded)


def test_an_answer_that_nobody_gave_has_no_reasons(tmp_path: Path) -> None:
    """As ``explain`` itself says."""
    project, job = answered(tmp_path / "toy", one_hot(), seasons())
    with pytest.raises(NotFound, match="There is no prediction"):
        why_answer(project, f"{job}-1000")


def test_of_a_class_the_chance_of_the_one_that_was_said_is_told_about(tmp_path: Path) -> None:
    """Its name is said."""
    random = np.random.default_rng(0)
    a = random.normal(size=400)
    names = np.array(["few", "some", "many"])[np.digitize(a + random.normal(size=400) * 0.1, [-0.5, 0.5])]
    table = pl.DataFrame({"a": a, "b": random.normal(size=400), "users": names})
    options = ModelOptions(loss="log_loss")
    project, job = answered(tmp_path / "toy", LogisticRegression(), table, options=options)
    found = why_answer(project, f"{job}-0")
    assert found.of == f"users.{names[0]}"
    assert found.base is not None
    assert found.answer == pytest.approx(found.base + sum(one.contribution for one in found.inputs))
    assert found.answer == pytest.approx(found.recorded)


class Weighed:
    """A model of a vector and a number."""

    def predict(self, table: Any) -> Any:
        """Their weighed sum."""
        vectors = np.array([np.asarray(each) for each in table["vector"]])
        return vectors @ np.array([1.0, 2.0, 4.0]) + 10 * np.asarray(table["age"])


def test_an_array_contributes_as_a_whole_and_stands_by_its_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the log, where its numbers lie in a row, if it is kept."""
    random = np.random.default_rng(0)
    vectors, age = random.normal(size=(60, 3)), random.normal(size=60)
    train = pl.DataFrame({"vector": pl.Series(vectors), "age": age, "users": random.normal(size=60)})
    how: dict[str, Any] = {"options": ModelOptions(allow_pickle=True)}
    keep = '\nallow_pickle = true\n[model.demand.privacy]\nkeep = ["vector", "age"]\n'
    project, job = answered(tmp_path / "toy", Weighed(), train, privacy=keep, **how)
    found = why_answer(project, f"{job}-7")
    assert found.refused is None
    by_name = {one.name: one for one in found.inputs}
    typical = np.reshape(by_name["vector"].typical, 3)
    assert by_name["vector"].contribution == pytest.approx((vectors[7] - typical) @ np.array([1.0, 2.0, 4.0]))
    assert by_name["vector"].standing.startswith("its mean is ")
    assert main(["-C", str(project.root), "explain", f"{job}-7", "--why"]) == 0
    assert "vector" in capsys.readouterr().out
    lost, job = answered(tmp_path / "other", Weighed(), train, privacy="\nallow_pickle = true\n", **how)
    assert why_answer(lost, f"{job}-7").lost == {"vector": "not kept by the capture policy"}


class Summed:
    """A model of series that differ in length, and a number."""

    def predict(self, table: Any) -> Any:
        """The sum of the series, and ten times the number."""
        return np.array([sum(each) for each in table["series"].to_list()]) + 10 * np.asarray(table["age"])


def test_an_array_of_another_length_than_the_typical_one_contributes_as_a_whole(tmp_path: Path) -> None:
    """The typical row has the median number in the length in the middle; what was kept is told as it came."""
    random = np.random.default_rng(0)
    series = [random.normal(size=length).tolist() for length in random.integers(2, 9, 60)]
    train = pl.DataFrame({"series": series, "age": random.normal(size=60), "users": random.normal(size=60)})
    keep = '\nallow_pickle = true\n[model.demand.privacy]\nkeep = ["series", "age"]\n'
    how: dict[str, Any] = {"options": ModelOptions(allow_pickle=True)}
    project, job = answered(tmp_path / "toy", Summed(), train, privacy=keep, **how)
    found = why_answer(project, f"{job}-7")
    assert found.refused is None
    by_name = {one.name: one for one in found.inputs}
    typical = by_name["series"].typical
    assert isinstance(typical, list)
    assert len(typical) == int(np.median([len(each) for each in series]))
    assert by_name["series"].value == series[7]
    assert by_name["series"].contribution == pytest.approx(sum(series[7]) - sum(typical))
