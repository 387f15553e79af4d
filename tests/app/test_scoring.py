"""Batch scoring: every row once, in its order, held to what a request is held to; all of it, or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from kairos.app import scoring
from kairos.app.batches import find_batch_prediction
from kairos.app.packages import open_stored
from kairos.app.pieces import with_json_texts
from kairos.app.project import Project
from kairos.app.scoring import score, version_of
from kairos.cli import main
from kairos.errors import DataRefused, InputRefused, NotFound, PackageError, UsageError
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.order import ranks_within
from kairos.models.score import named_answers, score_table
from kairos.pipeline.diff.files import TableFiles, format_of
from kairos.values import VersionRef
from tests.models.trainings import Request, finish, one_hot, seasons

SETTINGS = """
[project]
name = "toy"

[model.demand]
holdout = "split.holdout"
target = "users"
entity = "station"

[model.demand.output]
range = [20, 120]
on_violation = "clip"

[model.demand.privacy]
pseudonymise = ["season"]
"""
REF = VersionRef("demand", 1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With one version, which knows three seasons; its answers are clipped to 20 to 120."""
    root = tmp_path / "toy"
    root.mkdir()
    (root / "kairos.toml").write_text(SETTINGS)
    made = Project(root, actor="ann")
    package = made.store.put_folder(finish(root / "made", one_hot(), train=seasons()))
    body = {"package": package, "run": "r1", "origin": "manual", "reasons": []}
    made.tell("version.registered", subject="demand@1", body=body)
    return made


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt", "kairos/compiled.onnx", "model.skops"])
def test_a_changed_byte_in_a_package_is_refused_by_the_name_of_its_file(project: Project, name: str) -> None:
    """Also in a file that is not needed to predict; nothing is predicted."""
    package = project.state().model("demand").version(1).package
    blob = project.store.path(project.store.listing(package)[name])
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(PackageError, match=f"'{name}' of a model package is not as it was written.*store verify"):
        score(project, REF, table(project, seasons()), project.root / "out.parquet")
    assert not (project.root / "out.parquet").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("in.parquet", "The output is the table that is read, which would be lost"),
        ("linked.parquet", "The output is the table that is read"),
        ("nowhere/out.parquet", "The folder of the output is not there"),
        ("out.xlsx", "form is not known.*out.xlsx.*.parquet, .csv"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_a_row_is_read(project: Project, name: str, words: str) -> None:
    """And the table stays as it is."""
    rows = table(project, seasons())
    (project.root / "linked.parquet").hardlink_to(rows.paths[0])
    before = rows.paths[0].read_bytes()
    with pytest.raises(UsageError, match=words):
        score(project, REF, rows, project.root / name)
    assert rows.paths[0].read_bytes() == before


def table(project: Project, frame: pl.DataFrame, name: str = "in.parquet") -> TableFiles:
    """The frame as a file."""
    path = project.root / name
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".jsonl":
            frame.write_ndjson(path)
        case ".arrow":
            frame.write_ipc(path)
        case _:
            frame.write_parquet(path)
    return TableFiles(name=name, format=format_of(path, name), paths=(path,))


def rows(count: int = 1000) -> pl.DataFrame:
    """More than one piece, where a piece is small."""
    frame = pl.concat([seasons(seed=seed) for seed in range(count // 400 + 1)]).head(count)
    return frame.with_columns(station=pl.int_range(count).cast(pl.String) + "x")


@pytest.mark.parametrize("name", ["in.parquet", "in.csv", "in.jsonl"])
@pytest.mark.parametrize("out", ["out.parquet", "out.csv", "out.jsonl", "out.arrow"])
def test_every_row_is_predicted_once_and_in_its_order(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, out: str
) -> None:
    """Whatever the forms of input and output, and wherever it is cut into pieces; the guard acts as in the server."""
    monkeypatch.setattr(scoring, "_PIECE_ROWS", 64)
    place, seen = project.root / out, list[int]()
    done = score(project, REF, table(project, rows(), name), place, on_rows=seen.append)
    found = TableFiles(name=out, format=format_of(place, out), paths=(place,)).scan().collect()
    raws = score_table(open_stored(project.store, done.package), rows())
    assert np.array_equal(found["prediction"].to_numpy(), np.clip(raws, 20, 120))
    assert found["temperature"].to_list() == rows()["temperature"].to_list()
    assert found["prediction_id"].to_list() == [f"{done.job}-{row}" for row in range(1000)]
    assert (done.rows, done.refused, seen[-1]) == (1000, 0, 1000)
    assert done.actions == {"clip": int(((raws < 20) | (raws > 120)).sum())}
    assert found["model_version"].unique().to_list() == ["demand@1"]


def test_a_row_that_does_not_fit_ends_the_job_and_nothing_is_left(project: Project) -> None:
    """It is named; the file that was there stays, no fact is written, and nothing is kept."""
    bad = rows().with_columns(temperature=pl.when(pl.int_range(pl.len()) == 700).then(None).otherwise("temperature"))
    place = project.root / "out.parquet"
    place.write_bytes(b"yesterday's")
    with pytest.raises(InputRefused, match=r"'temperature' of row 700 is null(.|\n)*--skip-refused") as caught:
        score(project, REF, table(project, bad), place)
    assert caught.value.facts == {"row": 700, "field": "temperature"}
    assert place.read_bytes() == b"yesterday's"
    assert [path.name for path in project.root.iterdir() if path.name.startswith(".out")] == []
    assert list((project.home / "batches").iterdir()) == []
    assert list(project.ledger.read(kinds=("batch.scored",))) == []


def test_an_output_that_cannot_be_put_in_its_place_leaves_nothing(project: Project) -> None:
    """Here a folder has its name: neither the table nor what is kept of the answers is left without a fact."""
    place = project.root / "out.parquet"
    place.mkdir()
    with pytest.raises(OSError, match=r"out\.parquet"):
        score(project, REF, table(project, rows()), place)
    assert sorted(path.name for path in project.root.iterdir() if "out" in path.name) == ["out.parquet"]
    assert list((project.home / "batches").iterdir()) == []


def test_rows_that_do_not_fit_may_be_left_without_a_prediction(project: Project) -> None:
    """The others are predicted as if they were not there; which column it was is said."""
    odd = pl.int_range(pl.len()) % 10 == 3
    bad = rows().with_columns(temperature=pl.when(odd).then(None).otherwise("temperature"))
    place = project.root / "out.parquet"
    done = score(project, REF, table(project, bad), place, skips_refused=True)
    found = pl.read_parquet(place)
    assert done.refused == 100
    assert found.filter(odd)["prediction"].null_count() == 100
    assert found.filter(odd)["prediction_refused"].unique().to_list() == ["temperature"]
    whole = project.root / "whole.parquet"
    score(project, REF, table(project, rows()), whole)
    assert found.filter(~odd)["prediction"].equals(pl.read_parquet(whole).filter(~odd)["prediction"])


def test_an_answer_of_a_batch_is_explained_and_kept_as_the_policy_says(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id, in whichever piece it is; pseudonyms stand for what is not kept; no monitor sees it."""
    monkeypatch.setattr(scoring, "_PIECE_ROWS", 64)
    place = project.root / "out.parquet"
    done = score(project, REF, table(project, rows()), place)
    steps: list[Any] = []
    body = {"window": "2011-01-01..2011-02-01", "steps": steps, "code": {"commit": None, "branch": None}}
    project.tell("run.finished", subject="r1", body={**body, "metrics": {}})
    output = pl.read_parquet(place)
    for row in (0, 63, 64, 999):
        assert main(["-C", str(project.root), "explain", f"{done.job}-{row}", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["arms"][0]["output"] == output["prediction"][row]
        assert found["inputs"]["temperature"] == rows()["temperature"][row]
        assert found["inputs"]["season"] not in (None, rows()["season"][row])
    kept = b"".join(path.read_bytes() for path in (project.home / "batches" / done.job).iterdir())
    assert b"999x" not in kept
    assert project.predictions.find(f"{done.job}-0") == []
    assert main(["-C", str(project.root), "explain", f"{done.job}-1000"]) == 1


def test_the_ledger_tells_what_was_scored_with_which_bytes(project: Project) -> None:
    """Nothing of the rows themselves, and no path."""
    place = project.root / "out.parquet"
    done = score(project, REF, table(project, rows()), place, captures=False)
    [fact] = project.ledger.read(kinds=("batch.scored",))
    assert fact.body == {
        "job": done.job, "package": done.package, "rows": 1000, "refused": 0, "actions": done.actions,
        "inputs": list(done.inputs), "output": done.output, "captured": False,
    }  # fmt: skip
    assert not (project.home / "batches").exists()


def test_what_cannot_be_is_said_before_anything_is_read(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """No live version, no such column, a column that would be there twice, a form that is not known."""
    out, there = project.root / "out.parquet", table(project, rows())
    with pytest.raises(NotFound, match=r"No version of 'demand' is live(.|\n)*demand@1"):
        version_of(project, "demand")
    with pytest.raises(NotFound, match="no column 'seson'"):
        score(project, REF, there, out, columns=["seson"])
    with pytest.raises(UsageError, match=r"a column 'prediction' already(.|\n)*--columns"):
        score(project, REF, table(project, rows().with_columns(prediction=1.0), "twice.parquet"), out)
    with pytest.raises(UsageError, match=r"out\.xls"):
        score(project, REF, there, project.root / "out.xls")
    with pytest.raises(InputRefused, match="lacks the column 'season'"):
        score(project, REF, table(project, rows().drop("season"), "less.parquet"), out)
    assert not out.exists()
    words = ["predict", "demand@1", str(there.paths[0]), "-o", str(out), "--columns", "station"]
    assert main(["-C", str(project.root), *words]) == 0
    assert "demand@1 predicted 1,000 rows" in capsys.readouterr().out
    assert pl.read_parquet(out).columns[:2] == ["station", "prediction"]


def test_text_that_looks_like_a_number_stays_text(project: Project) -> None:
    """A column of CSV is read as the model takes it, not as it looks."""
    place = project.root / "out.parquet"
    digits = rows(10).with_columns(season=pl.lit("007"))
    score(project, REF, table(project, digits, "in.csv"), place)
    assert pl.read_parquet(place)["season"].unique().to_list() == ["007"]


def test_classes_and_their_chances_are_columns(project: Project) -> None:
    """By the names that they leave the server by; a row that was refused has none of them."""
    train = seasons().with_columns(users=pl.Series(["cat", "dog", "eel"] * 133 + ["cat"])).drop("season")
    options = ModelOptions(loss="log_loss")
    folder = finish(project.root / "kinds", LogisticRegression(), options, train=train)
    package = project.store.put_folder(folder)
    body = {"package": package, "run": "r1", "origin": "manual", "reasons": []}
    project.tell("version.registered", subject="demand@2", body=body)
    bad = rows(100).with_columns(temperature=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("temperature"))
    place = project.root / "out.parquet"
    score(project, VersionRef("demand", 2), table(project, bad), place, skips_refused=True)
    found = pl.read_parquet(place)
    opened = open_stored(project.store, package)
    expected = named_answers(opened, score_table(opened, rows(100)))
    for name, values in expected.items():
        told = found[f"prediction.{name}"].to_list()
        assert told[7] is None
        assert told[:7] + told[8:] == values[:7] + values[8:]
    assert sorted(expected) == ["users", "users.cat", "users.dog", "users.eel"]


def test_several_numbers_are_guarded_as_the_server_does(project: Project) -> None:
    """A range of one of them, clipped in the rows where it is odd and nowhere else."""
    train = seasons().with_columns(other=pl.col("users") * 2.0).drop("season")
    both = ("users", "other")
    request = Request(returned=LinearRegression(), inputs={"train": train}, workdir=project.root / "both", targets=both)
    body = {"package": project.store.put_folder(FinishModel()(request)), "run": "r1", "origin": "manual", "reasons": []}
    project.tell("version.registered", subject="demand@2", body=body)
    settings = (project.root / "kairos.toml").read_text()
    ranged = "[model.demand.output.ranges]\nother = [100, 200]\n"
    (project.root / "kairos.toml").write_text(settings.replace("range = [20, 120]\n", "") + ranged)
    place = project.root / "out.parquet"
    done = score(Project(project.root), VersionRef("demand", 2), table(project, rows()), place)
    found = pl.read_parquet(place)
    raws = score_table(open_stored(project.store, done.package), rows())
    assert np.array_equal(found["prediction.users"].to_numpy(), raws[:, 0])
    assert np.array_equal(found["prediction.other"].to_numpy(), np.clip(raws[:, 1], 100, 200))
    assert done.actions == {"clip": int(((raws[:, 1] < 100) | (raws[:, 1] > 200)).sum())}


class Brightness:
    """A model of pictures, which gets them as one array."""

    def predict(self, pictures: Any) -> Any:
        """Of shape (n, 2, 2)."""
        return pictures.reshape(len(pictures), -1).mean(axis=1)


class Lengths:
    """A model of series, which gets them as a list of arrays."""

    def predict(self, cells: Any) -> Any:
        """Their sums, and a hundred for each moment."""
        return np.array([cell.sum() + 100.0 * len(cell) for cell in cells])


def packaged(root: Path, model: Any, frame: pl.DataFrame, privacy: str) -> Project:
    """A project with a model of arrays, whose code may be loaded."""
    root.mkdir()
    (root / "kairos.toml").write_text(
        '[project]\nname = "toy"\n\n[model.demand]\nholdout = "split.holdout"\ntarget = "users"\nallow_pickle = true\n'
        f"\n[model.demand.privacy]\n{privacy}\n"
    )
    made = Project(root, actor="ann")
    options = ModelOptions(allow_pickle=True)
    request = Request(returned=model, inputs={"train": frame}, workdir=root / "made")
    package = made.store.put_folder(FinishModel(settings={"demand": options})(request))
    body = {"package": package, "run": "r1", "origin": "manual", "reasons": []}
    made.tell("version.registered", subject="demand@1", body=body)
    return made


def test_arrays_are_scored_from_every_form_and_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    """As a request's; in CSV each is a text of JSON, as input and as output, and only there."""
    cells = np.random.default_rng(0).normal(size=(40, 2, 2))
    frame = pl.DataFrame({"picture": pl.Series(cells), "users": np.arange(40.0)})
    made = packaged(tmp_path / "toy", Brightness(), frame, 'keep = ["picture"]')
    out = made.root / "out.parquet"
    scored = score(made, REF, table(made, frame), out)
    assert scored.rows == 40
    written = pl.read_parquet(out)
    np.testing.assert_allclose(written["prediction"], cells.mean(axis=(1, 2)), rtol=1e-12)
    assert written["picture"].to_list() == cells.tolist()
    score(made, REF, table(made, frame), made.root / "out.csv", columns=["picture"])
    told = pl.read_csv(made.root / "out.csv")
    assert [json.loads(text) for text in told["picture"]] == cells.tolist()
    again = made.root / "again.parquet"
    score(made, REF, table(made, told.select("picture"), "in.csv"), again)
    np.testing.assert_array_equal(pl.read_parquet(again)["prediction"], written["prediction"])
    with pytest.raises(InputRefused, match=r"'picture' of row 0 is not an array.*shape \[1, 2\].*shape \[2, 2\]"):
        score(made, REF, table(made, pl.DataFrame({"picture": ["[[1, 2]]"]}), "in.csv"), again)
    texts = pl.DataFrame({"picture": ["[[1, 2], [3, 4]]"]})
    with pytest.raises(InputRefused, match=r"as another kind.*a list or array of numbers of shape \[2, 2\]"):
        score(made, REF, table(made, texts, "in.parquet"), again)
    nested = frame.select("picture", other=pl.struct("users"))
    with pytest.raises(UsageError, match=r"CSV cannot hold the column 'other'.*--columns"):
        score(made, REF, table(made, nested), made.root / "other.csv")


@pytest.mark.parametrize("name", ["in.parquet", "in.arrow", "in.jsonl", "in.csv"])
def test_arrays_that_differ_in_length_are_scored_alike_in_every_form(tmp_path: Path, name: str) -> None:
    """Rows that do not fit are left out by name; the log has the numbers in a row."""
    series = [[[1.0, 2.0]], [[3.0, 4.0], [5.5, 6.0], [7.0, 8.0]], [[0.0, 1.0]] * 2]
    frame = pl.DataFrame({"series": series * 5, "users": np.arange(15.0)})
    made = packaged(tmp_path / "toy", Lengths(), frame, 'keep = ["series"]')
    bad = [[[1.0]], [], None, [[1.0, None]]]
    asked = pl.DataFrame({"series": [*series, *bad]}, schema={"series": pl.List(pl.List(pl.Float64))})
    if name == "in.csv":
        asked = with_json_texts(asked)
    out = made.root / "out.parquet"
    scored = score(made, REF, table(made, asked, name), out, skips_refused=True)
    written = pl.read_parquet(out)
    assert written["prediction"].to_list() == [103.0, 333.5, 202.0, None, None, None, None]
    assert written["prediction_refused"].to_list() == [None] * 3 + ["series"] * 4
    [kept] = find_batch_prediction(made, f"{scored.job}-1")
    assert kept.inputs == {"series": [3.0, 4.0, 5.5, 6.0, 7.0, 8.0]}


def test_an_array_may_be_kept_as_a_pseudonym(tmp_path: Path) -> None:
    """Equal arrays have equal ones; none of its numbers is written down."""
    frame = pl.DataFrame({"series": [[1.0, 2.0], [3.0], [1.0, 2.0]], "users": np.arange(3.0)})
    made = packaged(tmp_path / "toy", Lengths(), frame, 'pseudonymise = ["series"]')
    scored = score(made, REF, table(made, frame), made.root / "out.parquet")
    hidden = [find_batch_prediction(made, f"{scored.job}-{row}")[0].inputs["series"] for row in range(3)]
    assert all(isinstance(each, str) for each in hidden)
    assert (hidden[0] == hidden[2], hidden[0] == hidden[1]) == (True, False)


RANKED = """
[project]
name = "toy"

[model.flats]
holdout = "split.holdout"
target = "users"
rank_within = "search"
loss = "ndcg:5"
"""


@pytest.fixture
def ranker(tmp_path: Path) -> Project:
    """Its score is the number of rooms."""
    root = tmp_path / "flats"
    root.mkdir()
    (root / "kairos.toml").write_text(RANKED)
    made = Project(root, actor="ann")
    options = ModelOptions(rank_within="search", loss="ndcg:5")
    told = {"search": [0, 0, 0, 1, 1, 1], "rooms": [1.0, 2.0, 7.0, 3.0, 5.0, 5.5], "users": [0, 1, 3, 2, 1, 4]}
    package = made.store.put_folder(finish(root / "made", LinearRegression(), options, train=pl.DataFrame(told)))
    body = {"package": package, "run": "r1", "origin": "manual", "reasons": []}
    made.tell("version.registered", subject="flats@1", body=body)
    return made


def test_each_row_of_a_batch_has_its_place_in_its_list(ranker: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole lists are ranked, however the table is cut into pieces; of equal scores the first row is first."""
    rooms = [float(each * 37 % 11) for each in range(60)]
    lists = [f"s{place}" for place, size in enumerate([1, 9, 30, 2, 18]) for _ in range(size)]
    frame = pl.DataFrame({"search": lists, "rooms": rooms})
    found = []
    for size in (7, 65_536):
        monkeypatch.setattr(scoring, "_PIECE_ROWS", size)
        out = ranker.root / "out.parquet"
        score(ranker, VersionRef("flats", 1), table(ranker, frame), out)
        found.append(pl.read_parquet(out).drop("prediction_id"))
    assert found[0].equals(found[1])
    assert found[0]["rooms"].to_list() == rooms
    assert found[0].columns[2:5] == ["prediction", "prediction_rank", "prediction_action"]
    expected = ranks_within(lists, found[0]["prediction"].to_list())
    assert found[0]["prediction_rank"].to_list() == expected


def test_a_list_that_is_torn_is_refused_and_one_that_nobody_names_has_no_rank(ranker: Project) -> None:
    """It would be ranked twice; without the column of lists there are scores alone."""
    out = ranker.root / "out.csv"
    torn = pl.DataFrame({"search": ["a", "b", "a"], "rooms": [1.0, 2.0, 3.0]})
    with pytest.raises(DataRefused, match=r"list 'a' do not stand together.*Sort the table by 'search'"):
        score(ranker, VersionRef("flats", 1), table(ranker, torn), out)
    assert not out.exists()
    score(ranker, VersionRef("flats", 1), table(ranker, torn.drop("search")), out)
    assert "prediction_rank" not in pl.read_csv(out).columns
    some = pl.DataFrame({"search": [None, "a", "a", None], "rooms": [9.0, 1.0, 3.0, 9.0]})
    score(ranker, VersionRef("flats", 1), table(ranker, some), out)
    assert pl.read_csv(out)["prediction_rank"].to_list() == [None, 2, 1, None]
