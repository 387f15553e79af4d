"""Data beside the code: what is tracked, how it stands, and how it comes back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kairos.app.project import Project
from kairos.app.using import uses_store
from kairos.errors import NotFound, StoreError
from kairos.store.difference import changes
from kairos.store.files import Link
from kairos.store.pointers import Pointer, prepare_dvc, read_pointer, track
from kairos.values import Digest

__all__ = ["Put", "Standing", "add", "checkout", "standing", "tracked"]

State = Literal["unchanged", "changed", "missing", "not stored"]

_SHOWN = 20
"""Names of changed files that are told of a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What was tracked."""

    path: str
    """Inside the project."""
    digest: Digest
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How tracked data stands."""

    path: str
    """Inside the project."""
    state: State
    """``missing``: nothing lies there; ``not stored``: the store lacks the bytes that the pointer names."""
    added: int = 0
    removed: int = 0
    changed: int = 0
    names: tuple[str, ...] = ()
    """Of some of these files, with ``+``, ``-`` or ``~`` before each."""


def tracked(project: Project, paths: Sequence[Path] = ()) -> list[Pointer]:
    """The pointers of a project, by path; with ``paths`` those of the data, or the ``.dvc`` files, that these name.

    Raises:
        NotFound: nothing at such a path is tracked.
        StoreError: a pointer cannot be used.
    """
    if not paths:
        return [read_pointer(path) for path in sorted(_pointer_files(project.root))]
    found = []
    for path in paths:
        file = path if path.suffix == ".dvc" else path.with_name(path.name + ".dvc")
        if not file.is_file():
            raise NotFound("This is not tracked.", given=str(path), hint=f"Type: kairos data add {path}")
        found.append(read_pointer(Path(os.path.abspath(file))))
    return found


@uses_store
def add(project: Project, paths: Sequence[Path]) -> list[Put]:
    """Stores files and folders and writes their pointers, as ``dvc add`` does.

    Raises:
        NotFound: there is nothing at such a path.
        StoreError: something cannot be stored.
    """
    prepare_dvc(project.root)
    pointers = [read_pointer(track(project.store, path)) for path in paths]
    return [
        Put(path=_inside(project, one.path), digest=one.digest, files=one.files or 1, size_bytes=one.size_bytes)
        for one in pointers
    ]


def standing(project: Project, paths: Sequence[Path] = ()) -> list[Standing]:
    """How tracked data stands; what did not change is not read.

    Raises:
        NotFound: nothing at such a path is tracked.
        StoreError: a pointer cannot be used, or a folder holds what cannot be stored.
    """
    return [_standing(project, pointer) for pointer in tracked(project, paths)]


def _standing(project: Project, pointer: Pointer) -> Standing:
    path = _inside(project, pointer.path)
    if not project.store.has(pointer.digest):
        return Standing(path=path, state="not stored")
    if not pointer.path.exists():
        return Standing(path=path, state="missing")
    counts, names = Counter[str](), list[str]()
    for change in changes(project.store, pointer.path, pointer.digest):
        counts[change.how] += 1
        if len(names) < _SHOWN:
            names.append({"added": "+", "removed": "-", "changed": "~"}[change.how] + change.name)
    return Standing(
        path=path,
        state="changed" if counts else "unchanged",
        added=counts["added"],
        removed=counts["removed"],
        changed=counts["changed"],
        names=tuple(names),
    )


def checkout(
    project: Project, paths: Sequence[Path] = (), *, link: Link = "copy", force: bool = False
) -> list[Standing]:
    """Puts the data that pointers name where it belongs; returns how each stood before.

    What was changed and is stored nowhere stays, unless it is forced.

    Args:
        project: Whose data it is.
        paths: Which; all if there are none.
        link: How files are put there.
        force: Whether changes that are not stored may be lost.

    Raises:
        NotFound: nothing at such a path is tracked.
        BlobMissing: the store lacks bytes.
        StoreError: data was changed, and is not forced.
    """
    found = []
    for pointer in tracked(project, paths):
        before = _standing(project, pointer)
        found.append(before)
        if before.state == "unchanged":
            continue
        if before.state == "changed" and not force:
            _refuse_loss(project, pointer)
        pointer.path.parent.mkdir(parents=True, exist_ok=True)
        project.store.checkout(pointer.digest, pointer.path, link=link)
    return found


def _refuse_loss(project: Project, pointer: Pointer) -> None:
    for change in changes(project.store, pointer.path, pointer.digest):
        if change.now is not None and not project.store.has(change.now):
            path = _inside(project, pointer.path)
            raise StoreError(
                "What lies there was changed and is stored nowhere; it was left as it is.",
                given=f"{path}/{change.name}".removesuffix("/"),
                hint=f"Keep it: kairos data add {path}. Or lose it: kairos data checkout --force {path}",
            )


def _inside(project: Project, path: Path) -> str:
    return Path(os.path.relpath(path, project.root)).as_posix()


def _pointer_files(root: Path) -> Iterator[Path]:
    """Every ``.dvc`` file of a project; not in hidden folders, and not in data."""
    waiting = [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not os.path.exists(entry.path + ".dvc"):
                        waiting.append(Path(entry.path))
                elif entry.name.endswith(".dvc") and entry.is_file():
                    yield Path(entry.path)
