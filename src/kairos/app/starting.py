"""A new project from an example, under version control from its first moment."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from kairos.app.place import SETTINGS_FILE
from kairos.errors import KairosError
from kairos.examples import copy_example
from kairos.store.files import write_atomically
from kairos.store.pointers import prepare_dvc

__all__ = ["start_project"]

_IGNORED = """\
# facts, predictions and the experiment record of this machine
.kairos/
__pycache__/
report.html
"""


def start_project(example: str, target: Path, *, committed_at: datetime | None = None, seed: int = 0) -> Path:
    """Copies an example, prepares it for DVC and commits it to git if there is a git.

    Args:
        example: Its name.
        target: The project's folder; it must not hold files of the example yet.
        committed_at: Time of the commit; ``None``: now. With a time, author and commit are the same everywhere.
        seed: Of the project.

    Returns:
        The project's folder.

    Raises:
        UsageError: a file is in the way.
        NotFound: there is no such example.
    """
    root = copy_example(example, target)
    if seed:
        settings = root / SETTINGS_FILE
        write_atomically(
            settings, settings.read_bytes().replace(b"[project]\n", f"[project]\nseed = {seed}\n".encode(), 1)
        )
    ignore = root / ".gitignore"
    if not ignore.exists():
        write_atomically(ignore, _IGNORED.encode())
    has_git = shutil.which("git") is not None
    if has_git and (committed_at is not None or not _is_tracked(root)):
        _git(root, "init", "--quiet", "--initial-branch=main")
        prepare_dvc(root)
        _git(root, "add", "--all")
        _git(root, "commit", "--quiet", "--no-verify", "--message", f"Begin from the example {example!r}",
             environment=_identity(root, committed_at))  # fmt: skip
    else:
        prepare_dvc(root)
    return root


def _is_tracked(root: Path) -> bool:
    """Whether the folder lies in a repository already: then what to commit is the user's to say."""
    return subprocess.run(["git", "-C", str(root), "rev-parse"], capture_output=True, check=False).returncode == 0


def _identity(root: Path, committed_at: datetime | None) -> dict[str, str]:
    """Who commits: the user, if git knows her; a fixed name for a commit that has to be the same everywhere."""
    if committed_at is None:
        known = subprocess.run(
            ["git", "-C", str(root), "var", "GIT_COMMITTER_IDENT"], capture_output=True, check=False
        ).returncode
        if known == 0:
            return {}
    names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _NOBODY.items()}
    if committed_at is not None:
        moment = committed_at.isoformat()
        names |= {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
    return names


_NOBODY = {"NAME": "kairos init", "EMAIL": "kairos@localhost"}


def _git(root: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        ["git", "-C", str(root), "-c", "commit.gpgsign=false", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        raise KairosError(f"git {arguments[0]} failed in {root.name}.", given=done.stderr.strip())
