"""Which state of the project's files a run was made with, as git sees it."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from kairos.values import Json

__all__ = ["CodeState", "code_state"]

_OWN = ("*.py", "*.toml")
"""Untracked files of these kinds count: a step may already use them. Others may be secrets, or somebody's data."""

_PLAIN = (
    *("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--inter-hunk-context=0"),
)
"""As ``git apply`` takes it, and of one digest, however somebody's Git is set to show differences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeState:
    """Commit and what differs from it; all ``None`` outside a repository."""

    commit: str | None = None
    branch: str | None = None
    dirty_digest: str | None = None
    """SHA-256 of the difference to the commit and of untracked ``.py`` and ``.toml`` files; ``None`` if clean."""
    difference: bytes = field(default=b"", repr=False, compare=False)
    """To the commit, as ``git diff`` writes it, with new files that were staged; without untracked ones."""

    def plain(self) -> dict[str, Json]:
        """A JSON object."""
        return {"commit": self.commit, "branch": self.branch, "dirty_digest": self.dirty_digest}


def code_state(root: Path) -> CodeState:
    """The state of the project's folder; what lies outside of it in the same repository does not count."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return CodeState()
    branch = (_git(root, "symbolic-ref", "--short", "--quiet", "HEAD") or b"").decode().strip()
    difference = _git(root, "diff", "HEAD", *_PLAIN, "--relative", "--", ".") or b""
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *_OWN) or b""
    names = sorted(name.decode() for name in untracked.split(b"\0") if name)
    if not difference and not names:
        return CodeState(commit=commit.decode().strip(), branch=branch or None)
    sha = hashlib.sha256(difference)
    for name in names:
        data = (root / name).read_bytes()
        sha.update(f"\0{name}\0{len(data)}\0".encode())
        sha.update(data)
    known = commit.decode().strip()
    return CodeState(commit=known, branch=branch or None, dirty_digest=sha.hexdigest(), difference=difference)


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git says, or ``None`` if it says no, or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
