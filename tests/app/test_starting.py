"""A new project: copied whole, under version control, and never over what is there."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kairos.app.settings import load_settings
from kairos.app.starting import start_project
from kairos.errors import NotFound, UsageError
from kairos.examples import bikes

EXAMPLE = Path(str(bikes.__file__)).parent
MOMENT = datetime(2011, 7, 1, tzinfo=UTC)


def git(root: Path, *words: str) -> str:
    """What git says."""
    return subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True, text=True).stdout.strip()


def files(root: Path) -> dict[str, bytes]:
    """Contents by relative path, without what git and DVC keep for themselves."""
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] not in (".git", ".dvc")}


def test_a_project_is_a_copy_of_the_example(tmp_path: Path) -> None:
    """Byte by byte; nothing else but what git and DVC need."""
    root = start_project("bikes", tmp_path / "deep" / "mine")
    copied = files(root)
    example = {name: data for name, data in files(EXAMPLE).items() if "__" not in name}
    assert {"kairos.toml", "pipeline.py", "data/bikes.csv.gz"} <= set(example)
    assert ".kairos/" in copied.pop(".gitignore").decode()
    copied.pop(".dvcignore", None)
    assert copied == example


def test_everything_is_committed_from_the_first_moment(tmp_path: Path) -> None:
    """So that the first run has a commit to name."""
    root = start_project("bikes", tmp_path / "mine")
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "log", "--format=%s") == "Begin from the example 'bikes'"
    assert {"kairos.toml", "pipeline.py", ".gitignore"} <= set(git(root, "ls-files").splitlines())


def test_at_a_given_time_the_commit_is_the_same_everywhere(tmp_path: Path) -> None:
    """Author, committer, time and content: the hash is equal, so a replay's ledger is."""
    first, second = (start_project("bikes", tmp_path / name, committed_at=MOMENT, seed=3) for name in ("a", "b"))
    assert git(first, "rev-parse", "HEAD") == git(second, "rev-parse", "HEAD")
    assert git(first, "log", "--format=%an %cn %aI") == "kairos init kairos init 2011-07-01T00:00:00+00:00"


def test_a_seed_is_written_into_the_settings(tmp_path: Path) -> None:
    """Only there, and only once."""
    root = start_project("bikes", tmp_path / "mine", seed=7)
    assert load_settings(root).seed == 7
    assert (root / "kairos.toml").read_text().count("seed = 7") == 1


@pytest.mark.parametrize("name", ["kairos.toml", "pipeline.py", "data/bikes.csv.gz"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    """Not even partly: if one file is in the way, none is copied."""
    mine = tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("my work of three weeks")
    with pytest.raises(UsageError, match=f"{name} exists already"):
        start_project("bikes", tmp_path / "mine")
    assert files(tmp_path / "mine") == {name: b"my work of three weeks"}
    assert not (tmp_path / "mine" / ".git").exists()


def test_a_project_is_not_begun_twice(tmp_path: Path) -> None:
    """The second time is refused, and changes nothing."""
    root = start_project("bikes", tmp_path / "mine")
    before, head = files(root), git(root, "rev-parse", "HEAD")
    with pytest.raises(UsageError, match="exists already"):
        start_project("bikes", tmp_path / "mine")
    assert (files(root), git(root, "rev-parse", "HEAD")) == (before, head)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """It stays what it is."""
    (tmp_path / "mine").write_text("a note")
    with pytest.raises(UsageError, match="mine exists already"):
        start_project("bikes", tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "a note"


def test_other_files_stay(tmp_path: Path) -> None:
    """Her own ``.gitignore``, too."""
    (tmp_path / ".gitignore").write_text("secrets/\n")
    (tmp_path / "notes.md").write_text("mine")
    root = start_project("bikes", tmp_path)
    assert (root / "notes.md").read_text() == "mine"
    assert "secrets/" in (root / ".gitignore").read_text()


def test_inside_a_repository_nothing_is_committed(tmp_path: Path) -> None:
    """What to commit there is the user's to say."""
    git(tmp_path, "init", "--quiet")
    root = start_project("bikes", tmp_path / "mine")
    assert not (root / ".git").exists()
    assert (root / ".dvc").is_dir()
    assert git(tmp_path, "rev-list", "--all", "--count") == "0"
    assert "?? mine/" in git(tmp_path, "status", "--porcelain")


def test_an_unknown_example_is_named(tmp_path: Path) -> None:
    """With the nearest; no folder is made."""
    with pytest.raises(NotFound, match=r"bike\..*Accepted: bikes.*Did you mean 'bikes'"):
        start_project("bike", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
