"""Data beside the code: how what is tracked stands, and how it comes back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kairos.app.project import Project
from kairos.app.tracked import all_tracked, inside, tracked
from kairos.app.using import uses_store
from kairos.errors import StoreError
from kairos.store.checkouts import told_of
from kairos.store.difference import changes
from kairos.store.dvc_config import read_dvc_settings
from kairos.store.files import Link
from kairos.store.ignoring import Ignore, ignore_of
from kairos.store.old_layout import OldStore
from kairos.store.pointer_files import Pointer, read_pointer
from kairos.store.pointers import prepare_dvc, track
from kairos.values import Digest

__all__ = ["Put", "Standing", "add", "checkout", "standing"]

State = Literal["unchanged", "changed", "missing", "not stored", "not readable"]

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
    """``missing``: nothing lies there; ``not stored``: the store lacks the bytes that the pointer names;
    ``not readable``: what is said of it is of no use here, and ``names`` says why."""
    added: int = 0
    removed: int = 0
    changed: int = 0
    names: tuple[str, ...] = ()
    """Of some of these files, with ``+``, ``-`` or ``~`` before each."""
    comes_from: str | None = None
    """The repository that it is imported from."""


@uses_store
def add(project: Project, paths: Sequence[Path]) -> list[Put]:
    """Stores files and folders and writes their pointers, as ``dvc add`` does.

    Raises:
        NotFound: there is nothing at such a path.
        StoreError: something cannot be stored, or is tracked already by something else.
    """
    prepare_dvc(project.root)
    known, _ = all_tracked(project)
    for path in paths:
        _refuse_overlap(project, Path(os.path.abspath(path)), known)
    pointers = [read_pointer(track(project.store, path)) for path in paths]
    if read_dvc_settings(project.dvc).autostages:
        _stage(pointers)
    return [
        Put(path=inside(project, one.path), digest=one.digest, files=one.files or 1, size_bytes=one.size_bytes)
        for one in pointers
    ]


def _refuse_overlap(project: Project, path: Path, known: Sequence[Pointer]) -> None:
    """As `dvc add` does: data that is tracked twice would be written by two."""
    for one in known:
        if one.path == path and one.said_in != path.with_name(path.name + ".dvc"):
            what = f"it is an output of {inside(project, one.said_in)}"
            hint = "Type: dvc commit, or dvc repro"
        elif one.path != path and path.is_relative_to(one.path):
            what, hint = f"{inside(project, one.path)} is tracked", f"Type: kairos data add {inside(project, one.path)}"
        elif one.path != path and one.path.is_relative_to(path):
            what = f"{inside(project, one.path)} in it is tracked"
            hint = f"Remove {inside(project, one.said_in)} first, or add that alone."
        else:
            continue
        raise StoreError(f"{inside(project, path)} is tracked already, or a part of it.", given=what, hint=hint)


def _stage(pointers: Sequence[Pointer]) -> None:
    """Tells Git of what was written, where ``core.autostage`` asks for it."""
    import subprocess  # 5 ms, for who asks for it

    for one in pointers:
        files = [one.path.name + ".dvc", *([".gitignore"] if (one.path.parent / ".gitignore").exists() else [])]
        subprocess.run(["git", "add", "--", *files], cwd=one.path.parent, capture_output=True, check=False)


def standing(project: Project, paths: Sequence[Path] = ()) -> list[Standing]:
    """How tracked data stands; what did not change is not read.

    Raises:
        NotFound: nothing at such a path is tracked.
        StoreError: a pointer that is named cannot be used, or a folder holds what cannot be stored.
    """
    if paths:
        return [_standing(project, pointer) for pointer in tracked(project, paths)]
    pointers, unread = all_tracked(project)
    told = [
        Standing(
            path=inside(project, one.path), state="not readable", names=(one.why, *([one.hint] if one.hint else ()))
        )
        for one in unread
    ]
    return sorted([*(_standing_or_why(project, one) for one in pointers), *told], key=lambda one: one.path)


def _standing_or_why(project: Project, pointer: Pointer) -> Standing:
    """One that cannot be looked at is no reason not to look at the others."""
    try:
        return _standing(project, pointer)
    except StoreError as error:
        return Standing(path=inside(project, pointer.path), state="not readable", names=(str(error),))


def _standing(project: Project, pointer: Pointer) -> Standing:
    path, store = inside(project, pointer.path), project.store_of(pointer)
    if not store.has(pointer.digest):
        return Standing(path=path, state="not stored", comes_from=pointer.comes_from)
    if not pointer.path.exists():
        return Standing(path=path, state="missing", comes_from=pointer.comes_from)
    counts, names = Counter[str](), list[str]()
    for change in changes(store, pointer.path, pointer.digest, _ignored(pointer)):
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
        comes_from=pointer.comes_from,
    )


def _ignored(pointer: Pointer) -> Ignore:
    return ignore_of(pointer.path) or Ignore(str(pointer.path))


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
        store, ignore = project.store_of(pointer), _ignored(pointer)
        remembers = not isinstance(store, OldStore)
        with told_of(inside(project, pointer.path)):
            store.checkout(pointer.digest, pointer.path, link=link, ignore=ignore, remembers=remembers)
    return found


def _refuse_loss(project: Project, pointer: Pointer) -> None:
    stores = (project.store, OldStore(project.store.root))
    for change in changes(project.store_of(pointer), pointer.path, pointer.digest, _ignored(pointer)):
        if change.now is not None and not any(store.has(change.now) for store in stores):
            path = inside(project, pointer.path)
            raise StoreError(
                "What lies there was changed and is stored nowhere; it was left as it is.",
                given=f"{path}/{change.name}".removesuffix("/"),
                hint=f"Keep it: kairos data add {path}. Or lose it: kairos data checkout --force {path}",
            )
