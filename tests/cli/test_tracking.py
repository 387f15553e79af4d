"""``data add``, ``status`` and ``checkout``: as a person who has data beside her code uses them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from kairos.cli import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder of data and a file, in which the person stands."""
    (tmp_path / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    (tmp_path / "p.py").write_text("")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    for n in range(5):
        (tmp_path / "data" / "raw" / f"{n}.csv").write_text(f"{n}\n")
    (tmp_path / "one.csv").write_text("1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_person_tracks_changes_and_takes_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, changed, seen, refused, forced, and all there again."""
    assert main(["data", "status"]) == 0
    assert "Nothing is tracked" in capsys.readouterr().out
    assert main(["data", "add", "data", "one.csv"]) == 0
    assert "5 files" in capsys.readouterr().out
    assert main(["data", "status"]) == 0
    (project / "data" / "raw" / "2.csv").write_text("other\n")
    (project / "data" / "raw" / "3.csv").unlink()
    (project / "data" / "new.csv").write_text("0\n")  # its bytes are stored
    assert main(["data", "status"]) == 1
    said = capsys.readouterr().out
    assert "data  changed: 1 added, 1 removed, 1 changed" in said
    assert [line.strip() for line in said.splitlines() if line.startswith("  ")] == [
        "+new.csv", "~raw/2.csv", "-raw/3.csv",
    ]  # fmt: skip
    assert main(["data", "checkout"]) == 1
    assert "raw/2.csv" in capsys.readouterr().err
    assert (project / "data" / "raw" / "2.csv").read_text() == "other\n"
    assert main(["data", "checkout", "--force", "data"]) == 0
    assert main(["data", "status", "data.dvc", "one.csv"]) == 0
    assert not (project / "data" / "new.csv").exists()


@pytest.mark.parametrize("link", ["copy", "hardlink", "reflink"])
def test_what_is_gone_comes_back(project: Path, link: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A clone of the code has pointers alone; a checkout gives it the data."""
    main(["data", "add", "data", "one.csv"])
    shutil.rmtree(project / "data")
    (project / "one.csv").unlink()
    capsys.readouterr()
    assert main(["data", "status", "--json"]) == 1
    assert {one["state"] for one in json.loads(capsys.readouterr().out)["data"]} == {"missing"}
    assert main(["data", "checkout", "--link", link]) == 0
    assert (project / "data" / "raw" / "4.csv").read_text() == "4\n"
    assert main(["data", "status"]) == 0
    is_shared = os.stat(project / "one.csv").st_nlink > 1
    assert is_shared == (link == "hardlink")


def test_what_the_store_lacks_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are nowhere are no state of the data, and a checkout leaves what is there."""
    main(["data", "add", "data"])
    shutil.rmtree(project / ".dvc" / "cache" / "files")
    capsys.readouterr()
    assert main(["data", "status"]) == 1
    assert "data  not stored" in capsys.readouterr().out
    assert main(["data", "checkout", "--force"]) == 1
    assert (project / "data" / "raw" / "4.csv").read_text() == "4\n"
    assert main(["data", "status", "elsewhere"]) == 1
    assert "kairos data add elsewhere" in capsys.readouterr().err
