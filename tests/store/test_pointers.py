"""Pointers: what Kairos tracks, the real ``dvc`` knows, and the reverse."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from kairos.errors import NotFound, StoreError
from kairos.store import Store
from kairos.store.ignoring import ignore_of
from kairos.store.pointer_files import Pointer, read_pointer
from kairos.store.pointers import prepare_dvc, track
from kairos.store.yaml12 import dump_yaml, load_yaml
from tests.store.real_dvc import dvc

FILES = {"a": "a\n", "a b/y": "x\n", "a-b": "b\n", "sub/é.txt": "é\n", "sub/empty": "", "sub/same": "a\n"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project outside any Git repository, with data that nobody tracks yet."""
    root = tmp_path / "bikes"
    for name, text in FILES.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text)
    (root / "raw").mkdir()
    (root / "raw" / "hours: 1.csv").write_text("hour,users\n1,2\n")
    return root


@pytest.fixture
def store(project: Path) -> Store:
    """The project's store."""
    return Store(project / ".dvc" / "cache")


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_dvc_knows_what_kairos_tracked(project: Path, store: Store) -> None:
    """Without Git: ``dvc status`` finds all up to date, ``dvc checkout`` brings a deleted file and folder back."""
    prepare_dvc(project)
    data, raw = track(store, project / "data"), track(store, project / "raw" / "hours: 1.csv")
    assert (data, raw) == (project / "data.dvc", project / "raw" / "hours: 1.csv.dvc")
    assert "up to date" in dvc(project, "status")
    shutil.rmtree(project / "data")
    (project / "raw" / "hours: 1.csv").unlink()
    dvc(project, "checkout", "-q")
    assert texts(project / "data") == FILES
    assert (project / "raw" / "hours: 1.csv").read_text() == "hour,users\n1,2\n"
    assert not (project / ".gitignore").exists()


@pytest.mark.parametrize("git", [True, False])
def test_kairos_and_dvc_add_write_the_same(project: Path, store: Store, git: bool) -> None:
    """Pointers, ``.gitignore`` and every blob are byte for byte those of ``dvc add``, and Kairos reads dvc's."""
    script = project / "raw" / "[x]#1!.sh"
    script.write_text("true\n")
    script.chmod(0o755)
    paths = [project / "data", project / "raw" / "hours: 1.csv", script]
    (project / ".dvcignore").write_text("*.tmp\n")
    (project / "data" / "left.tmp").write_text("")
    (project / "data" / ".git").mkdir()
    (project / "data" / ".git" / "HEAD").write_text("")
    if git:
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    prepare_dvc(project)
    pointers = [track(store, path) for path in paths]
    ours = {path: path.read_bytes() for path in [*pointers, *project.rglob(".gitignore"), *blobs(store)]}
    for path in ours:
        if path.parent != project / ".dvc":
            path.unlink()
    dvc(project, "add", "-q", *(str(path.relative_to(project)) for path in paths))
    theirs = {path: path.read_bytes() for path in [*pointers, *project.rglob(".gitignore"), *blobs(store)]}
    assert theirs == ours
    assert (project / "raw" / ".gitignore").exists() == git

    assert read_pointer(pointers[0]) == Pointer(
        path=project / "data",
        digest=store.put_folder(project / "data", ignore=ignore_of(project / "data")),
        size_bytes=11,
        files=6,
    )
    pointer = read_pointer(pointers[1])
    assert (pointer.size_bytes, pointer.files) == (15, None)
    store.checkout(pointer.digest, project / "copy.csv")
    assert (project / "copy.csv").read_text() == "hour,users\n1,2\n"
    assert store.verify() == []


def test_a_link_to_a_folder_is_refused(project: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As `dvc add` does; no pointer is written."""
    (project / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(StoreError, match="link to a folder is not tracked"):
        track(store, project / "link")
    assert not (project / "link.dvc").exists()


def test_an_ignore_file_inside_of_data_is_refused(project: Path, store: Store) -> None:
    """As ``dvc add`` refuses it: whoever gets the data elsewhere would see other files."""
    (project / "data" / "sub" / ".dvcignore").write_text("same\n")
    with pytest.raises(StoreError, match="belongs beside data"):
        track(store, project / "data")


def blobs(store: Store) -> list[Path]:
    return [store.path(digest) for digest in store.digests()]


def test_dvc_sees_a_change_until_kairos_tracks_it(project: Path, store: Store) -> None:
    """Changed data is reported by ``dvc``; tracked again it is not, and what people wrote in the pointer is kept."""
    prepare_dvc(project)
    pointer = track(store, project / "data")
    content = load_yaml(pointer.read_bytes())
    content["outs"][0] |= {"desc": "hours of 2011: raw", "labels": ["no", "1e5"], "meta": {"n": 3, "on": True}}
    pointer.write_bytes(dump_yaml(content | {"meta": {"by": "us"}}))
    (project / "data" / "new").write_text("1")
    assert "modified" in dvc(project, "status")
    assert track(store, project / "data") == pointer
    assert "up to date" in dvc(project, "status")
    after = load_yaml(pointer.read_bytes())
    assert after["outs"][0] == content["outs"][0] | {key: after["outs"][0][key] for key in ("md5", "size", "nfiles")}
    assert (after["outs"][0]["nfiles"], after["meta"]) == (7, {"by": "us"})


def test_tracking_what_has_not_changed_writes_nothing(project: Path, store: Store) -> None:
    """Comments and layout of a pointer survive as long as the data is the same, however the path is spelt."""
    pointer = track(store, project / "data")
    pointer.write_text("# ours\n" + pointer.read_text())
    assert track(store, project / "raw" / ".." / "data") == pointer
    assert pointer.read_text().startswith("# ours\n")


def test_prepare_keeps_what_is_there(project: Path) -> None:
    """A project that has its own DVC settings keeps them."""
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("[core]\n    remote = ours\n")
    prepare_dvc(project)
    prepare_dvc(project)
    assert (project / ".dvc" / "config").read_text() == "[core]\n    remote = ours\n"
    assert "/cache" in (project / ".dvc" / ".gitignore").read_text().splitlines()


def test_line_is_added_to_gitignore_once(project: Path, store: Store) -> None:
    """In Git, data is ignored once, behind what is there, even if that has no last newline."""
    (project / ".git").mkdir()
    (project / ".gitignore").write_text("*.pyc")
    track(store, project / "data")
    track(store, project / "data")
    assert (project / ".gitignore").read_text() == "*.pyc\n/data\n"


GOOD = "outs:\n- md5: 60b725f10c9c85c70d97880dfe8191b3\n  size: 2\n  hash: md5\n  path: a\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("60b7", "../.."), "digest"),
        (GOOD.replace("size: 2", "size: two"), "size"),
        (GOOD.replace("hash: md5", "hash: sha256"), "sha256"),
        (GOOD.replace("md5: 60b725f10c9c85c70d97880dfe8191b3", "etag: x"), "etag"),
        (GOOD.replace("path: a", "path: s3://bucket/a"), "cloud"),
        (GOOD.replace("md5: 60b725f10c9c85c70d97880dfe8191b3\n  ", ""), "no digest"),
        (GOOD + GOOD.removeprefix("outs:\n"), "several outputs"),
        ("<<<<<<< ours\n" + GOOD + "=======\n", "conflicts"),
        ("outs: []", "outs"),
        ("outs: [", "flow"),
        ("", "NoneType"),
    ],
)
def test_pointer_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Named by other than MD5, in a cloud, with conflicts, no pointer at all: the reason is told, nothing written."""
    pointer = tmp_path / "a.dvc"
    pointer.write_text(text)
    (tmp_path / "a").write_text("a\n")
    with pytest.raises(StoreError, match=rf"'a\.dvc'(?s:.*){reason}"):
        read_pointer(pointer)
    with pytest.raises(StoreError, match="cannot be used"):
        track(Store(tmp_path / "cache"), tmp_path / "a")
    assert pointer.read_text() == text


@pytest.mark.parametrize(
    ("more", "typed"),
    [
        ("deps:\n- path: elsewhere\n", "dvc update a.dvc"),
        ("cmd: echo\n", "dvc repro a.dvc"),
        ("wdir: ..\n", "dvc"),
        ("new: 1\n", "dvc"),
    ],
)
def test_pointer_of_another_command_is_read_and_not_written(tmp_path: Path, more: str, typed: str) -> None:
    """Imports and stages: read as they are; adding data over them is refused, with what to type."""
    pointer = tmp_path / "a.dvc"
    pointer.write_text(GOOD + more)
    (tmp_path / "a").write_text("a\n")
    assert read_pointer(pointer).digest == "60b725f10c9c85c70d97880dfe8191b3"
    with pytest.raises(StoreError, match="cannot be used to add data") as caught:
        track(Store(tmp_path / "cache"), tmp_path / "a")
    assert typed in str(caught.value)
    assert pointer.read_text() == GOOD + more


def test_missing_things_are_named(tmp_path: Path) -> None:
    """No data and no pointer are errors that say what is missing."""
    with pytest.raises(NotFound, match=r"nowhere\.csv"):
        track(Store(tmp_path / "cache"), tmp_path / "nowhere.csv")
    with pytest.raises(NotFound, match=r"nowhere\.dvc"):
        read_pointer(tmp_path / "nowhere.dvc")


TRAPS = [
    "no",
    "on",
    "null",
    "true",
    "1e5",
    "1_0",
    "0o17",
    "012",
    "1:30",
    ".5",
    "2011-01-01",
    "<<",
    "=",
    "~",
    "- a",
    "a:",
]
WORDS = st.sampled_from(TRAPS) | st.text('abeonE019.-_+:# "é日,[]{}&*!|>%@`~=<', min_size=1, max_size=20)


@given(WORDS)
def test_yaml_is_the_one_that_dvc_speaks(word: str) -> None:
    """Names that some YAML takes for a number, a date or false are quoted as by DVC, and read as text by both."""
    content = {"outs": [{"md5": "1" * 32, "size": 0, "path": word}]}
    assert dump_yaml(content) == dumps_yaml(content).encode()
    assert load_yaml(dump_yaml(content)) == content


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=100))
def test_any_name_is_read_by_dvc_as_it_was(name: str) -> None:
    """Any name in letters that can be seen: DVC reads what Kairos wrote, and Kairos what DVC wrote."""
    assert loads_yaml(dump_yaml({"path": name}).decode()) == {"path": name}
    assert load_yaml(dumps_yaml({"path": name}).encode()) == {"path": name}
