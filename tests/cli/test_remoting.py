"""``data push``, ``pull``, ``status --remote`` and ``remote``, beside the real ``dvc`` on the same remotes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kairos.cli import main
from kairos.store import Store
from tests.store.real_dvc import dvc


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder of data and a file, in which the person stands; its remote is a folder."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "own"))
    root = tmp_path / "bikes"
    (root / "data" / "raw").mkdir(parents=True)
    (root / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    (root / "p.py").write_text("")
    for n in range(5):
        (root / "data" / "raw" / f"{n}.csv").write_text(f"{n}\n")
    (root / "one.csv").write_text("1\n2\n")
    monkeypatch.chdir(root)
    assert main(["data", "add", "data", "one.csv"]) == 0
    assert main(["data", "remote", "add", "storage", "../storage", "--default"]) == 0
    return root


def clone(project: Path, name: str) -> Path:
    """The same project elsewhere, as Git would give it: code and pointers, and no data."""
    root = project.parent / name
    root.mkdir()
    for file in ("kairos.toml", "p.py", "data.dvc", "one.csv.dvc"):
        shutil.copy(project / file, root / file)
    (root / ".dvc").mkdir()
    shutil.copy(project / ".dvc" / "config", root / ".dvc" / "config")
    return root


def text(root: Path) -> dict[str, str]:
    files = [*(root / "data").rglob("*.csv"), root / "one.csv"]
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


def test_pushed_here_pulled_there(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remote is told apart before and after; a clone gets all of it, and only once."""
    assert main(["data", "status", "--remote"]) == 1
    assert "data  storage: 6 blobs only here" in capsys.readouterr().out
    assert main(["data", "push"]) == 0
    assert capsys.readouterr().out.startswith("storage  7 blobs sent, ")
    assert main(["data", "push", "--jobs", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remotes"][0]["moved"]["there"] == 7
    assert main(["data", "status", "data", "--remote", "storage"]) == 0
    assert capsys.readouterr().out == "data  storage: the same\n"

    there = clone(project, "there")
    monkeypatch.chdir(there)
    assert main(["data", "status"]) == 1
    assert capsys.readouterr().out.endswith("Type: kairos data pull\n")
    assert main(["data", "checkout"]) == 1
    assert "kairos data pull" in capsys.readouterr().err
    assert main(["data", "pull", "one.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  one.csv  put in place"
    assert main(["data", "pull"]) == 0
    assert text(there) == text(project)
    capsys.readouterr()
    assert main(["data", "pull"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  data  was in place", "  one.csv  was in place"]


def test_dvc_pulls_what_kairos_pushed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that nothing is missing there; a change that ``dvc`` pushes, Kairos pulls."""
    assert main(["data", "push"]) == 0
    assert "in sync" in dvc(project, "status", "--cloud")
    there = clone(project, "there")
    dvc(there, "pull", "-q")
    assert text(there) == text(project)
    assert "up to date" in dvc(there, "status")

    (there / "data" / "raw" / "9.csv").write_text("9\n")
    assert "modified" in dvc(there, "status")
    dvc(there, "add", "-q", "data")
    dvc(there, "push", "-q")
    shutil.copy(there / "data.dvc", project / "data.dvc")
    assert main(["data", "status", "--remote"]) == 1  # two blobs are only there, though one is not known yet
    assert main(["data", "pull"]) == 0
    assert text(project) == text(there)
    assert main(["data", "status"]) == 0
    assert "up to date" in dvc(project, "status")


def test_a_repository_of_dvc_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``dvc init``, ``remote add``, ``add`` and ``push``; with a ``kairos.toml`` beside it, Kairos goes on with it."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "own"))
    root = tmp_path / "theirs"
    (root / "data" / "raw").mkdir(parents=True)
    (root / "data" / "raw" / "1.csv").write_text("1\n")
    (root / "one.csv").write_text("1\n2\n")
    dvc(root, "init", "-q", "--no-scm")
    dvc(root, "remote", "add", "-q", "-d", "Cold", "../cold")
    dvc(root, "remote", "add", "-q", "second", "remote://cold/second")
    dvc(root, "add", "-q", "data", "one.csv")
    dvc(root, "push", "-q", "data")
    (root / "kairos.toml").write_text('[project]\nname = "p"\npipeline = "p.py"\n')
    (root / "p.py").write_text("")
    monkeypatch.chdir(root)
    assert main(["data", "remote", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["default"] == "cold"
    assert main(["data", "status"]) == 0
    assert main(["data", "status", "--remote"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["data  cold: the same", "one.csv  cold: 1 blob only here"]
    assert main(["data", "push"]) == 0
    assert main(["data", "push", "--remote", "second"]) == 0
    assert "in sync" in dvc(root, "status", "--cloud")
    assert "in sync" in dvc(root, "status", "--cloud", "--remote", "second")
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(root / "data")
    assert main(["data", "pull", "--remote", "second"]) == 0
    assert text(root) == {"data/raw/1.csv": "1\n", "one.csv": "1\n2\n"}


def test_a_remote_of_a_pointer_counts_before_the_default(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what must not be pushed is not, as with ``dvc``."""
    assert main(["data", "remote", "add", "other", "../other"]) == 0
    for name, line in (("one.csv", "  remote: other"), ("data", "  push: false")):
        pointer = project / f"{name}.dvc"
        pointer.write_text(pointer.read_text() + line + "\n")
    capsys.readouterr()
    assert main(["data", "push"]) == 0
    assert capsys.readouterr().out.startswith("other  1 blob sent")
    assert not (project.parent / "storage").exists()
    assert main(["data", "push", "--remote", "storage", "one.csv"]) == 0
    assert len(list(Store(project.parent / "storage").digests())) == 1


def test_damaged_bytes_are_mended_from_the_remote(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``data pull`` does it for what it puts in place, ``store verify --fetch`` for all; what is bad there is named."""
    assert main(["data", "push"]) == 0
    store = Store(project / ".dvc" / "cache")
    digest = store.put_bytes(b"3\n")

    def harm(file: Path) -> None:
        file.chmod(0o644)
        file.write_bytes(b"4\n")

    harm(store.path(digest))
    shutil.rmtree(project / "data")
    assert main(["data", "checkout"]) == 1
    assert "kairos store verify --fetch" in capsys.readouterr().err
    assert main(["data", "pull"]) == 0
    assert (project / "data" / "raw" / "3.csv").read_text() == "3\n"
    harm(store.path(digest))
    assert main(["store", "verify"]) == 1
    assert main(["store", "verify", "--fetch"]) == 0
    assert "1 of 1 blobs were fetched anew" in capsys.readouterr().out
    harm(store.path(digest))
    harm(Store(project.parent / "storage").path(digest))
    assert main(["store", "verify", "--fetch"]) == 1
    shutil.rmtree(project / "data")
    store.path(digest).unlink()
    capsys.readouterr()
    assert main(["data", "pull"]) == 1
    assert f"{digest} is damaged at the remote, and was not used" in capsys.readouterr().out


def test_changes_that_are_stored_nowhere_survive_a_pull(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is forced."""
    assert main(["data", "push"]) == 0
    (project / "one.csv").write_text("mine\n")
    assert main(["data", "pull"]) == 1
    assert (project / "one.csv").read_text() == "mine\n"
    assert main(["data", "pull", "--force"]) == 0
    assert (project / "one.csv").read_text() == "1\n2\n"


def test_a_remote_that_cannot_be_used_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there, an address that is not reached, an engine that is not installed, files by name."""
    shutil.rmtree(project.parent / "storage", ignore_errors=True)
    assert main(["data", "pull"]) == 1
    assert "The folder of the remote 'storage' is not there." in capsys.readouterr().err
    for name, url, said in (
        ("a", "hdfs://host/x", "does not reach"),
        ("b", "webdav://host/x", 'pip install "kairos-ml[webdav]"'),
        ("c", "s3://bucket", "version_aware"),
    ):
        assert main(["data", "remote", "add", name, url]) == 0
        if name == "c":
            with (project / ".dvc" / "config").open("a") as file:
                file.write("    version_aware = true\n")
        assert main(["data", "push", "--remote", name]) != 0
        assert said in capsys.readouterr().err
    assert main(["data", "push", "--remote", "nowhere"]) == 1
    assert main(["data", "remote", "add", "d", "https://me:s3cret@host/x"]) == 2
    assert "s3cret" not in "".join(capsys.readouterr())
