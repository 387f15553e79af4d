"""``data diff``, ``show``, ``contract infer`` and ``leaks``: as a person types them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kairos.app.project import Project
from kairos.app.training import train
from kairos.cli import main
from kairos.examples.bikes import pipeline as bikes
from kairos.values import Window
from tests.cli.said import Said

EXAMPLE = Path(bikes.__file__).parent
Type = Callable[..., Said]


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in Git with two versions of a tracked table, and of a small one that is in Git itself."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    (tmp_path / "p.py").write_text("")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    rows = pl.read_csv(EXAMPLE / bikes.DATA).head(500)
    for table in (rows, rows.with_columns(cnt=pl.col("cnt") + (pl.col("cnt") == rows["cnt"].max()))[1:]):
        table.write_csv("data/bikes.csv")
        pl.DataFrame({"station": [1, 2], "name": ["A", f"B{len(table)}"]}).write_csv("stations.csv")
        assert main(["data", "add", "data/bikes.csv"]) == 0
        git("add", "-A")
        git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "data")
    return tmp_path


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True)


def test_a_person_compares_with_yesterdays_data(versions: Path, type_in: Type) -> None:
    """The tracked file beside its former version: one row gone, one corrected; on one screen and for machines."""
    done = type_in(versions, "data", "diff", "data/bikes.csv@HEAD~1", "data/bikes.csv", "--key", "dteday,hr")
    assert done.code == 0, done.err
    assert "added 0   removed 1   changed 1   unchanged 498   (by dteday, hr)" in done.out
    assert "499 rows" in done.out
    assert len(done.out.splitlines()) < 40
    machine = type_in(
        versions, "data", "diff", "data/bikes.csv.dvc@HEAD~1", "data/bikes.csv.dvc", "--key", "dteday", "--key", "hr",
        "--rows", "3", "--json",
    )  # fmt: skip
    found = json.loads(machine.out)
    assert found["rows"]["changed"] == 1
    assert not found["is_same"]
    (changed,) = (one for one in found["examples"] if one["how"] == "changed")
    assert changed["now"]["cnt"] == changed["was"]["cnt"] + 1
    assert {column["name"]: column["changed"] for column in found["columns"]}["cnt"] == 1


def test_values_of_rows_are_told_only_if_asked_for(versions: Path, type_in: Type) -> None:
    """Tables may be about people."""
    words = ("data", "diff", "stations.csv@HEAD~1", "stations.csv", "--key", "station")
    assert "B499" not in type_in(versions, *words).out
    assert "name: B500 -> B499" in type_in(versions, *words, "--rows", "1").out


def test_what_is_the_same_is_said_in_one_sentence(versions: Path, type_in: Type) -> None:
    """A digest beside the file that it names."""
    digest = json.loads(type_in(versions, "data", "add", "data/bikes.csv", "--json").out)[0]["digest"]
    assert "The same rows, columns and types." in type_in(versions, "data", "diff", digest, "data/bikes.csv").out
    assert list(versions.glob(".kairos/.diff*")) == []


def test_outside_of_a_project_files_are_compared(
    tmp_path: Path, type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has to be set up; only names that need a project are refused."""
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"a": [1, 2]}).write_csv("one.csv")
    pl.DataFrame({"a": [1, 3]}).write_parquet("two.parquet")
    assert "added 1   removed 1   unchanged 1" in type_in(tmp_path, "data", "diff", "one.csv", "two.parquet").out
    assert "a (Int64)" in type_in(tmp_path, "data", "show", "one.csv").out
    refused = type_in(tmp_path, "data", "diff", "one.csv", "split.train")
    assert (refused.code, "There is no file 'split.train'" in refused.err) == (1, True)


def test_a_folder_is_one_table_if_its_files_are_alike(
    tmp_path: Path, type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files by month beside one file of all; a stranger among them is named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "months").mkdir()
    for n in (1, 2):
        pl.DataFrame({"month": [n]}).write_csv(f"months/{n}.csv")
    pl.DataFrame({"month": [2, 1]}).write_csv("all.csv")
    assert "The same rows" in type_in(tmp_path, "data", "diff", "months", "all.csv").out
    (tmp_path / "months" / "note.jsonl").write_text('{"month": 3}\n')
    assert "note.jsonl (jsonl)" in type_in(tmp_path, "data", "diff", "months", "all.csv").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data", "diff", "data/bikes.csv@HEAD~9", "stations.csv"), "no run or version, and Git has no"),
        (("data", "diff", "data/bikes.csv", "nothing.csv"), "There is no 'nothing.csv'"),
        (("data", "diff", "0" * 32, "stations.csv"), "The store holds no blob"),
        (("data", "diff", "stations.csv", "stations.csv", "--key", "statoin"), "Did you mean 'station'"),
        (("data", "diff", "stations.csv", "stations.csv@--output=x"), "There is no"),
        (("data", "show", "p.py.dvc"), "There is no"),
        (("data", "diff", "ragged.csv", "stations.csv"), "ragged.csv cannot be read as CSV"),
        (("data", "diff", "stations.csv", "late.csv"), "late.csv cannot be read as CSV"),
        (("data", "contract", "infer", "late.csv"), "late.csv cannot be read as CSV"),
        (("data", "diff", "p.py", "stations.csv", "--key", "name"), "p.py cannot be read as CSV"),
        (("run", "--window", "2011-02-01..2011-01-01"), "given:    2011-02-01..2011-01-01"),
        (("data", "show", "stations.csv", "-n", "0"), "not a whole number"),
    ],
)
def test_what_is_not_there_is_named(versions: Path, type_in: Type, words: tuple[str, ...], said: str) -> None:
    """With what is accepted."""
    Path("ragged.csv").write_text("station,name\n1,A\n2,B,C\n")
    Path("late.csv").write_text("station,name\n" + "1,A\n" * 20_000 + "one,A\n")
    done = type_in(versions, *words)
    assert done.code in (1, 2)
    assert said in done.err


def test_a_value_that_is_no_table_is_none(tmp_path: Path, type_in: Type) -> None:
    """A list is not told as a CSV whose columns are called as its items."""
    (tmp_path / "kairos.toml").write_text(
        '[project]\nname = "p"\npipeline = "p.py"\nwindow = "2011-01-01..2011-01-02"\n'
    )
    (tmp_path / "p.py").write_text("from kairos import step\n@step\ndef levels() -> list: return [1, 2]\n")
    assert type_in(tmp_path, "run").code == 0
    said = type_in(tmp_path, "data", "show", "levels")
    assert said.code == 2
    assert "is no table" in said.err


def test_a_damaged_blob_is_not_compared(versions: Path, type_in: Type) -> None:
    """Its name is told."""
    digest = json.loads(type_in(versions, "data", "add", "data/bikes.csv", "--json").out)[0]["digest"]
    blob = versions / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    blob.chmod(0o644)
    blob.write_text("a,b\n1,2\n")
    done = type_in(versions, "data", "diff", "data/bikes.csv.dvc", "stations.csv")
    assert (done.code, f"The blob {digest} is damaged" in done.err) == (1, True)


def test_leaks_of_a_run_and_how_one_is_accepted(tmp_path: Path, type_in: Type) -> None:
    """Bikes with ``casual`` and ``registered``: the run is refused, the leak is told, and then accepted."""
    root = shutil.copytree(EXAMPLE, tmp_path / "bikes", ignore=shutil.ignore_patterns("__pycache__"))
    window = Window.parse("2011-01-01..2011-03-31")
    with Project(root, workers=1) as project:
        assert not train(project, window=window, params={"features": {"keep_parts": True}}).result.ok
    done = type_in(root, "data", "leaks")
    assert done.code == 1
    assert "certain   target:casual+registered" in done.out
    assert "casual + registered = target" in done.out
    toml = root / "kairos.toml"
    toml.write_text(toml.read_text() + '\n[model.demand.leaks]\naccept = ["target:casual+registered", "times"]\n')
    accepted = type_in(root, "data", "leaks", "demand", "--json")
    assert accepted.code == 0
    told = json.loads(accepted.out)
    assert [finding["name"] for finding in told["accepted"]] == ["target:casual+registered"]
    assert told["needless"] == ["times"]
    toml.write_text(toml.read_text().replace('accept = ["target:casual+registered", "times"]', 'apart = ["season"]'))
    assert "certain   apart:season" in type_in(root, "data", "leaks").out
    assert "There is no run" in type_in(root, "data", "leaks", "--run", "rx").err
    assert "no model 'deman'" in type_in(root, "data", "leaks", "deman").err
    assert (
        "split.train" in type_in(root, "data", "diff", "split.train", "split.holdout").out
    )  # artifacts of the last run


def test_a_contract_is_drafted_from_data(versions: Path, type_in: Type) -> None:
    """Types, levels, ranges, gaps, what names a row; the same rows give the same text, and no file is lost."""
    code = type_in(versions, "data", "contract", "infer", "data/bikes.csv").out
    assert "class Bikes(pa.DataFrameModel):" in code
    assert 'unique = ["dteday", "hr"]' in code
    assert 'weathersit: pl.String = pa.Field(nullable=True, isin=["Clear", "Light Rain", "Mist"])' in code
    assert "casual: pl.Int64 = pa.Field(ge=0, le=47)" in code
    assert code == type_in(versions, "data", "contract", "infer", "data/bikes.csv").out
    compile(code, "contract.py", "exec")
    assert type_in(versions, "data", "contract", "infer", "data/bikes.csv", "-o", "contract.py").code == 0
    assert (versions / "contract.py").read_text() == code
    again = type_in(versions, "data", "contract", "infer", "stations.csv", "-o", "contract.py")
    assert (again.code, "There is a file already" in again.err) == (2, True)
    assert "isin" not in type_in(versions, "data", "contract", "infer", "stations.csv").out  # too few rows share a name
    pl.DataFrame({"a": []}).write_csv(versions / "empty.csv")
    assert "has no rows" in type_in(versions, "data", "contract", "infer", "empty.csv").err
