"""A repository that has its history with DVC: all of it is usable, nothing of it is changed, and `dvc` goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kairos.cli import main
from kairos.store.yaml12 import load_yaml
from tests.store.real_dvc import dvc, dvc_each, git, make_history

ALL = [
    *("first.csv", "imported.csv", "made/a.csv", "made/b.csv", "new.csv", "notes.txt", "raw/months", "raw/parts"),
    *("second.csv", "taken.csv"),
]
SETTINGS = '[project]\nname = "old"\npipeline = "pipeline.py"\n'


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once by the real command."""
    return make_history(tmp_path_factory.mktemp("history") / "made").parent


@pytest.fixture
def repo(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, with its remote and the repository that it imports from, as a project."""
    shutil.copytree(history, tmp_path / "team", symlinks=True)
    root = tmp_path / "team" / "repo"
    (root / "kairos.toml").write_text(SETTINGS)
    git(root, "add", "kairos.toml")
    git(root, "commit", "-q", "-m", "a project")
    monkeypatch.chdir(root)
    return root


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command prints."""
    capsys.readouterr()
    assert main(list(words)) == code
    told = capsys.readouterr()
    return told.out if code == 0 else told.out + told.err


def contents(root: Path) -> dict[str, bytes]:
    """All data of the project."""
    files = {path for name in ALL for path in ((root / name), *(root / name).rglob("*"))}
    kept = {path for path in files if path.is_file() and path.suffix != ".tmp"}
    return {str(path.relative_to(root)): path.read_bytes() for path in kept}


def empty(root: Path, *, cache: bool) -> None:
    """Takes the data away, and the cache with it."""
    for name in ALL:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if cache:
        shutil.rmtree(root / ".blobs")


def test_all_that_dvc_tracks_is_known(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pointers of every age, imports, several outputs, outputs of stages; not what Git keeps, nor what is ignored."""
    found = json.loads(said(capsys, "data", "status", "--json"))
    assert found["is_clean"]
    assert [one["path"] for one in found["data"]] == ALL
    (repo / "raw" / "months" / "more.tmp").write_text("ignored")
    assert "unchanged" in said(capsys, "data", "status", "raw/months")
    (repo / "raw" / "months" / "b.csv").write_text("hour,users\n2,21\n")
    (repo / "made" / "a.csv").write_text("other")
    assert "raw/months  changed: 1 changed\n  ~b.csv" in said(capsys, "data", "status", "raw", code=1)
    assert "made/a.csv  changed" in said(capsys, "data", "status", "dvc.lock", code=1)
    assert git(repo, "status", "--porcelain", "--ignored=no").split() == ["??", ".kairos/"] or not git(
        repo, "status", "--porcelain"
    )


def test_a_fresh_clone_gets_all_data(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the remote, in both layouts, byte for byte; an import comes with `dvc`, and that is said."""
    before = contents(repo)
    empty(repo, cache=True)
    told = said(capsys, "data", "status", code=1)
    assert "imported from ../other. Type: dvc pull imported.csv.dvc" in told
    (repo.parent / "remote" / "files" / "md5" / "e5" / "ebd4c02cefbe7955977c67ada242b7").unlink()  # of taken.csv, too
    told = said(capsys, "data", "pull", code=1)
    assert "e5ebd4c02cefbe7955977c67ada242b7 is not at the remote" in told
    assert "imported.csv.dvc is an import of that repository. Type: dvc pull imported.csv.dvc" in told
    dvc(repo, "pull", "-q", "imported.csv.dvc")
    assert said(capsys, "data", "checkout").count("put in place") == 1  # taken.csv, which has the same bytes
    assert contents(repo) == before
    assert "up to date" in dvc(repo, "status")
    assert git(repo, "diff", "HEAD", "--stat") == ""


def test_dvc_gets_what_kairos_sends(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a remote that had nothing: each pointer's data in the layout in which `dvc` looks for it."""
    before = contents(repo)
    shutil.rmtree(repo.parent / "remote")
    assert "raw/months  store: 3 blobs only here" in said(capsys, "data", "status", "--remote", code=1)
    assert json.loads(said(capsys, "data", "push", "--json"))["is_whole"]
    assert "the same" in said(capsys, "data", "status", "--remote")
    empty(repo, cache=True)
    dvc_each(repo, "pull -q", "status -q", "status -c -q")
    assert contents(repo) == before


def test_nothing_that_dvc_needs_is_collected(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of no age and of no branch; afterwards `kairos` and `dvc` put all data back from the cache."""
    before = contents(repo)
    git(repo, "rm", "-q", "--cached", "new.csv.dvc")
    git(repo, "commit", "-q", "-m", "gone")
    (repo / "new.csv.dvc").rename(repo / "new.csv.dvc~")
    git(repo, "branch", "old", "HEAD~1")
    told = said(capsys, "data", "gc", "--grace", "0s", "-a", "--dry-run")
    assert "Nothing is to be removed" in told
    assert "are not known" not in told
    assert "bf93df8d8381721292f53ea26cb95593" in said(capsys, "data", "gc", "--grace", "0s")
    (repo / "new.csv").rename(repo / "kept.csv")
    (repo / "kept.csv").rename(repo / "new.csv")
    for name in set(ALL) - {"new.csv"}:
        path = repo / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert said(capsys, "data", "checkout", "notes.txt", "raw").count("put in place") == 3
    dvc(repo, "checkout", "-q")
    assert contents(repo) == before


def test_a_shared_cache_is_not_collected(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Others may need what this project does not."""
    (repo / ".dvc" / "config.local").write_text("[cache]\n    dir = ../../shared\n")
    assert "others may use it" in said(capsys, "data", "gc", code=2)


def test_changed_data_of_dvc_2_is_added_as_dvc_adds_it(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unchanged, its pointer stays to the byte; changed, it is that of the real command; and Git is told."""
    old = (repo / "raw" / "months.dvc").read_bytes()
    said(capsys, "data", "add", "raw/months", "notes.txt")
    assert (repo / "raw" / "months.dvc").read_bytes() == old
    (repo / "raw" / "months" / "c.csv").write_text("hour,users\n4,40\n")
    (repo / "fresh.csv").write_text("hour,users\n5,50\n")
    said(capsys, "data", "add", "raw/months", "fresh.csv")
    ours = load_yaml((repo / "raw" / "months.dvc").read_bytes())
    assert sorted(git(repo, "diff", "--cached", "--name-only").split()) == [
        ".gitignore",
        "fresh.csv.dvc",
        "raw/months.dvc",
    ]
    (repo / "raw" / "months.dvc").write_bytes(old)
    dvc_each(repo, "add -q raw/months", "status -q")
    assert load_yaml((repo / "raw" / "months.dvc").read_bytes()) == ours


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("imported.csv", "dvc update imported.csv.dvc"),
        ("made/a.csv", "dvc repro"),
        ("first.csv", "two.dvc"),
        ("raw/months/a.csv", "kairos data add raw/months"),
        ("raw", "raw/months"),
        ("left.tmp", ".dvcignore"),
        ("two.dvc", "no data"),
    ],
)
def test_data_of_others_is_not_added(repo: Path, capsys: pytest.CaptureFixture[str], path: str, typed: str) -> None:
    """As `dvc add` refuses it, with what to type; nothing is written."""
    (repo / "left.tmp").write_text("x")
    before = sorted(repo.rglob("*.dvc"))
    assert typed in said(capsys, "data", "add", path, code=1)
    assert sorted(repo.rglob("*.dvc")) == before
    assert git(repo, "diff", "HEAD", "--stat") == ""


def test_tables_of_every_kind_are_compared(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the layout of DVC 2, inside of folders, of stages, of several outputs; now and at a revision."""
    empty(repo, cache=False)
    for name, told in [
        ("raw/months.dvc", "1             10\n2             20\n"),
        ("raw/months", "1             10\n2             20\n"),
        ("raw/months/b.csv", "2             20\n"),
        ("raw/months@HEAD", "1             10\n2             20\n"),
        ("raw/months/b.csv@HEAD", "2             20\n"),
        ("made/b.csv", "2             20\n"),
        ("made/b.csv@HEAD", "2             20\n"),
        ("second.csv", "2\n"),
        ("second.csv@HEAD", "2\n"),
    ]:
        assert said(capsys, "data", "show", name).endswith(f"\n{told}"), name
    assert "added 1   removed 1" in said(capsys, "data", "diff", "raw/months/a.csv@HEAD", "raw/months/b.csv")


def test_damage_in_the_old_layout_is_named_and_mended(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes are checked against the MD5 with the line ends of Unix; other bytes are never used."""
    blob = repo / ".blobs" / "20" / "94b601daac3d68f5aed51d3c20f7cd"
    blob.chmod(0o644)
    blob.write_bytes(b"one\r\nTWO\r\n")
    (repo / "notes.txt").unlink()
    told = said(capsys, "data", "checkout", code=1)
    assert "The file 'notes.txt' is damaged in the store" in told
    assert "the blob 2094b601daac3d68f5aed51d3c20f7cd" in told
    said(capsys, "data", "pull", "notes.txt")
    assert (repo / "notes.txt").read_bytes() == b"one\r\ntwo\r\n"


def test_a_damaged_file_of_a_folder_is_named_by_its_path(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And so is one that is gone: nobody knows a file by its digest."""
    folder = repo / "new"
    folder.mkdir()
    (folder / "a.csv").write_text("1\n")
    (folder / "b.csv").write_text("2\n")
    said(capsys, "data", "add", "new")
    blob = repo / ".blobs/files/md5/26/ab0db90d72e28ad0ba1e22ee510510"
    blob.chmod(0o644)
    blob.write_text("3\n")
    shutil.rmtree(folder)
    assert "The file 'new/b.csv' is damaged in the store" in said(capsys, "data", "checkout", "new", code=1)
    blob.unlink()
    assert "The file 'new/b.csv' is not in the store" in said(capsys, "data", "checkout", "new", code=1)


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its reason: it is no reason to know nothing of the others."""
    (repo / "cloud.dvc").write_text("outs:\n- etag: x\n  size: 1\n  hash: etag\n  path: s3://b/cloud.csv\n")
    (repo / "torn.dvc").write_text("<<<<<<< HEAD\nouts: []\n=======\n")
    told = said(capsys, "data", "status", code=1)
    assert "cloud.dvc  not readable\n  it lies in a cloud" in told
    assert "torn.dvc  not readable\n  it has conflicts of Git" in told
    assert told.count("unchanged") == len(ALL)
    said(capsys, "data", "checkout")
    assert "torn.dvc cannot be used" in said(capsys, "data", "checkout", "torn.dvc", code=1)


def test_ignored_files_survive_a_checkout(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are stored nowhere, so a folder that is put back keeps them; as `dvc checkout` does."""
    (repo / "raw" / "months" / "deep" / "er.tmp").mkdir(parents=True)
    (repo / "raw" / "months" / "deep" / "er.tmp" / "x").write_text("mine")
    (repo / "raw" / "months" / "a.csv").unlink()
    said(capsys, "data", "checkout", "raw/months")
    assert (repo / "raw" / "months" / "a.csv").exists()
    assert (repo / "raw" / "months" / "left.tmp").read_text() == "x"
    assert (repo / "raw" / "months" / "deep" / "er.tmp" / "x").read_text() == "mine"


def test_init_makes_a_project_of_it(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No pointer is touched, nothing is committed, and the first source reads a table that is tracked."""
    (repo / "kairos.toml").unlink()
    before = {path: path.read_bytes() for path in [*repo.rglob("*.dvc"), repo / "dvc.lock"] if path.is_file()}
    told = said(capsys, "init", ".")
    assert "10 tracked, 2 in the layout of DVC 2, 1 imported, 3 of stages" in told
    assert "remotes: store; the default one is store" in told
    assert {path: path.read_bytes() for path in before} == before
    assert git(repo, "status", "--porcelain").splitlines() == [" M .gitignore", " M kairos.toml", "?? pipeline.py"]
    assert "finished" in said(capsys, "run")
    assert ".kairos" not in git(repo, "status", "--porcelain")
    assert "up to date" in dvc(repo, "status")
    assert "This is a project already" in said(capsys, "init", ".", code=2)


def test_init_in_a_folder_of_it_shares_its_data(
    repo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second `.dvc` would hide what is tracked there from `dvc`."""
    (repo / "kairos.toml").unlink()
    monkeypatch.chdir(repo / "raw")
    said(capsys, "init", ".")
    assert not (repo / "raw" / ".dvc").exists()
    assert 'read_csv("months/*.csv")' in (repo / "raw" / "pipeline.py").read_text()
    assert "../notes.txt  unchanged" in said(capsys, "data", "status")
    (repo / "raw" / "new.csv").write_text("n\n1\n")
    said(capsys, "data", "add", "new.csv")
    assert "up to date" in dvc(repo, "status")
