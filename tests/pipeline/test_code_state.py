"""Which state of the code a run was made with, as the real git sees it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kairos.pipeline.code_state import CodeState, code_state


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, and a project in a folder of it."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pipeline.py").write_text("x = 1\n")
    (project / ".gitignore").write_text("scratch.py\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet", "-m", "first")
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    """What git says."""
    return subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True).stdout


def test_outside_a_repository_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it an error, with git or without."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_state(tmp_path) == CodeState()
    monkeypatch.setenv("PATH", "")
    assert code_state(tmp_path) == CodeState()


def test_a_clean_project_is_its_commit(repository: Path) -> None:
    """Changes outside of the project, ignored files and data do not count."""
    (repository / "elsewhere.py").write_text("x")
    (repository / "project" / "scratch.py").write_text("x")
    (repository / "project" / "data.csv").write_text("x")
    head = git(repository, "rev-parse", "HEAD").strip()
    assert code_state(repository / "project") == CodeState(commit=head, branch="main")


def test_every_difference_has_its_own_digest(repository: Path) -> None:
    """Edited, staged and new files count; undoing the edit makes the project clean again."""
    project = repository / "project"
    found = {code_state(project).dirty_digest}
    (project / "pipeline.py").write_text("x = 2\n")
    found.add(edited := code_state(project).dirty_digest)
    git(repository, "add", ".")
    assert code_state(project).dirty_digest == edited
    (project / "own.py").write_text("y = 1\n")
    found.add(code_state(project).dirty_digest)
    (project / "own.py").write_text("y = 2\n")
    found.add(code_state(project).dirty_digest)
    assert len(found) == 4
    (project / "own.py").unlink()
    git(repository, "reset", "--quiet", "--hard")
    assert code_state(project).dirty_digest is None


def test_what_was_not_committed_can_be_applied_however_git_is_set(repository: Path, tmp_path: Path) -> None:
    """Edited, renamed, deleted, binary and staged; colours and prefixes of somebody's own change no byte of it."""
    project = repository / "project"
    (project / "data.bin").write_bytes(bytes(range(256)))
    (project / "gone.py").write_text("x = 1\n")
    (project / "old.py").write_text("y = 1\n" * 20)
    git(repository, "add", ".")
    git(repository, "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "--quiet", "-m", "second")
    (project / "pipeline.py").write_text("x = 2")
    (project / "data.bin").write_bytes(bytes(range(255, -1, -1)))
    (project / "gone.py").unlink()
    git(project, "mv", "old.py", "new ä.py")
    (project / "staged.py").write_text("z = 1\n")
    git(project, "add", "staged.py")
    found = code_state(project)
    for setting in ("color.ui=always", "diff.noprefix=true", "diff.context=0", "diff.mnemonicPrefix=true"):
        git(repository, "config", *setting.split("="))
    assert code_state(project) == found
    assert code_state(project).difference == found.difference
    fresh = repository / "fresh"
    git(repository, "clone", "--quiet", str(repository), str(fresh))
    (repository / "patch").write_bytes(found.difference)
    git(fresh, "apply", "--directory=project", str(repository / "patch"))
    here, there = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (project, fresh / "project")
    )
    assert here == there


def test_a_new_file_of_another_kind_is_kept_once_it_is_staged(repository: Path) -> None:
    """Untracked, it may be a secret."""
    project = repository / "project"
    (project / "query.sql").write_text("select 1\n")
    assert code_state(project).dirty_digest is None
    git(repository, "add", ".")
    assert b"+select 1" in code_state(project).difference


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    """The commit is still known."""
    git(repository, "checkout", "--quiet", "--detach")
    state = code_state(repository / "project")
    assert state.branch is None
    assert state.commit is not None
