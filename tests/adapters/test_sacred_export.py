"""Runs of Sacred's ``MongoObserver``, from what ``mongoexport`` writes of its collections.

``sacred_export.json`` holds what the observer of Sacred 0.8.7 wrote, a file for each collection: one run that completed
and one that failed, the same as in ``sacred_runs.json``. A resource has only its MD5 there, as Sacred keeps no more.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kairos.adapters.sacred import SacredRun, Unreadable, read_export
from kairos.app.importing import import_sacred
from kairos.app.project import Project
from kairos.errors import NotFound, UsageError
from kairos.experiments import runs

LINES = ("runs.json", "metrics.json", "fs.files.json", "fs.chunks.json")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The exports."""
    told = json.loads(Path(__file__).with_name("sacred_export.json").read_text())
    for name in LINES:
        (tmp_path / name).write_text(told[name])
    return [tmp_path / name for name in LINES]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "desk").mkdir()
    return tmp_path / "desk"


def read(files: list[Path], desk: Path) -> list[SacredRun]:
    return [run for run in read_export(files, desk) if isinstance(run, SacredRun)]


def test_all_of_a_run_is_read(files: list[Path], desk: Path) -> None:
    """Params, metrics, result, output, artifact and source, to the byte; what is not there is named."""
    first, second = read(files, desk)
    assert (first.id, first.experiment, first.status) == ("1", "noise", "COMPLETED")
    assert (first.params["fit.rate"], first.params["layers"]) == ("0.1", "[8, 4]")
    assert [(p.step, p.value) for p in first.points if p.name == "loss"] == [(0, 0.1), (1, 0.05), (2, 0.1 / 3)]
    assert {p.name: p.value for p in first.points if p.name != "loss"} == {"accuracy.test": 0.75, "result": 0.75}
    assert first.files["artifacts/model.txt"].read_bytes() == b"depth 3\n"
    assert "log_scalar" in first.files["sacred/sources/noise.py"].read_text()
    assert first.files["sacred/cout.txt"].read_text().startswith("fitting\n")
    assert json.loads(first.files["sacred/info.json"].read_text())["words"] == ["a", "few", "words"]
    assert list(first.problems) == ["of its resources '/srv/noise/words.txt' is not there"]
    assert first.where == f"{files[0]}, run 1"
    assert second.failure is not None
    assert second.failure["message"] == "no such depth"


def test_every_form_of_an_export_says_the_same(files: list[Path], desk: Path, tmp_path: Path) -> None:
    """Lines or an array, Extended JSON of version 2 or 1, in any order of the files."""
    plain = read(files, desk)
    for file in files:
        text = "[" + ",".join(file.read_text().splitlines()) + "]"
        text = re.sub(r'\{"base64": ("[^"]*"), "subType": "00"\}', r'\1, "$type": "00"', text)
        file.write_text(text.replace('"_id": 1,', '"_id": {"$numberInt": "1"},'))
    (tmp_path / "again").mkdir()
    again = read(files[::-1], tmp_path / "again")
    assert [(run.id, run.params, run.points, run.tags) for run in again] == [
        (run.id, run.params, run.points, run.tags) for run in plain
    ]
    assert again[0].files["artifacts/model.txt"].read_bytes() == b"depth 3\n"


def test_without_the_other_collections_runs_are_imported_and_what_is_missing_is_named(
    files: list[Path], desk: Path
) -> None:
    """An artifact of which a chunk is missing is not told as whole."""
    alone = read(files[:1], desk)[0]
    said = " ".join(alone.problems)
    assert "the artifact 'model.txt' is not there" in said
    assert "'noise.py' is not there" in said
    assert alone.params["seed"] == "1"


def test_what_cannot_be_read_is_named(files: list[Path], desk: Path, tmp_path: Path) -> None:
    """A line that is cut off, an entry of something else; files without a run are an error."""
    with files[0].open("a") as file:
        file.write('{"_id": 4, "start_time": "2026-01-01", "artifacts": [5]}\n{"made": "elsewhere"}\n{"_id": 3, "expe')
    found = list(read_export(files, desk))
    left = [one for one in found if isinstance(one, Unreadable)]
    assert [one.where.rpartition(", ")[2] for one in left] == ["line 4", "line 5", "run 4"]
    assert len(found) == 5
    with pytest.raises(UsageError, match="No run of Sacred"):
        list(read_export(files[1:], desk))
    with pytest.raises(NotFound, match="cannot be read"):
        list(read_export([tmp_path / "none.json"], desk))


def test_exports_are_imported_once(files: list[Path], tmp_path: Path) -> None:
    """As a folder is."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "noise"\n')
    project = Project(tmp_path, actor="tester")
    assert [one.is_new for one in import_sacred(project, files)] == [True, True]
    assert [one.is_new for one in import_sacred(project, files)] == [False, False]
    assert [run.metrics["loss"] for run in runs(project.ledger)] == [0.1 / 3, 0.1 / 3]
