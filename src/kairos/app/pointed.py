"""Which blobs a path stands for: what a pointer, or a stage, says of it or of a folder around it, now or then."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kairos.app.project import Project
from kairos.app.tracked import all_tracked
from kairos.errors import StoreError
from kairos.store.pointer_files import Pointer, Unread, pointers_of
from kairos.store.stages import stages_of

__all__ = ["Pointed", "pointed_at", "pointed_now"]


@dataclass(frozen=True, slots=True)
class Pointed:
    """A path that is tracked, or lies in a folder that is."""

    pointer: Pointer
    inside: str
    """Of a tracked folder the path in it; else nothing."""


def pointed_now(project: Project, path: Path) -> Pointed | None:
    """What is said of a path now; ``None``: nothing.

    Raises:
        StoreError: what is said cannot be used.
    """
    pointers, unread = all_tracked(project)
    found = _chosen([*pointers, *unread], Path(os.path.abspath(path)))
    if found is None or not found.inside or "@" not in path.name:
        return found
    store = project.store_of(found.pointer)  # in a folder, a name with @ may mean one at a revision
    return found if found.inside in store.listing(found.pointer.digest) else None


def pointed_at(project: Project, path: Path, revision: str) -> Pointed | None:
    """What was said of it at a revision of Git.

    Raises:
        StoreError: what was said cannot be used.
    """
    path = Path(os.path.abspath(path))
    return _chosen(_said_at(project.dvc.parent, path, revision), path)


def _chosen(said: Iterable[Pointer | Unread], path: Path) -> Pointed | None:
    for one in said:
        if path.is_relative_to(one.path):
            if isinstance(one, Unread):
                raise StoreError(f"{path.name} cannot be used.", given=one.why, hint=one.hint)
            return Pointed(one, "" if path == one.path else path.relative_to(one.path).as_posix())
    return None


def _said_at(root: Path, path: Path, revision: str) -> Iterator[Pointer | Unread]:
    for folder in (path, *path.parents):
        if folder == root or not folder.is_relative_to(root):
            break
        pointer = folder.with_name(folder.name + ".dvc")
        if (data := _shown(pointer, revision)) is not None:
            yield from pointers_of(pointer, data)
        lock = folder.with_name("dvc.lock")
        if (data := _shown(lock, revision)) is not None:
            yield from stages_of(lock, data, _shown(lock.with_name("dvc.yaml"), revision) or b"")
    yield from _beside(root, path, revision)


def _beside(root: Path, path: Path, revision: str) -> Iterator[Pointer | Unread]:
    """What pointers of other names, with several outputs, said in the same folder."""
    folder = path.parent
    if not folder.is_dir() or not folder.is_relative_to(root):
        return
    listed = _git(folder, "ls-tree", "--name-only", "-z", revision, "./") or b""
    for name in listed.decode(errors="replace").split("\0"):
        if name.endswith(".dvc") and (data := _shown(folder / Path(name).name, revision)) is not None:
            yield from pointers_of(folder / Path(name).name, data)


def _shown(file: Path, revision: str) -> bytes | None:
    folder = next(each for each in file.parents if each.is_dir())
    name = file.relative_to(folder).as_posix()
    return _git(folder, "show", f"{revision}:./{name}")


def _git(folder: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=False)
    except FileNotFoundError:  # there is no git
        return None
    return done.stdout if done.returncode == 0 else None
