"""Which data is tracked: by pointers of every kind, and as outputs of DVC's stages, anywhere in the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kairos.app.project import Project
from kairos.errors import NotFound, StoreError
from kairos.store.ignoring import Ignore, ignore_of
from kairos.store.pointer_files import Pointer, Unread, read_pointers

__all__ = ["all_tracked", "inside", "tracked"]

_LOCK = "dvc.lock"
_OWN = frozenset({".kairos", ".venv"})
"""Folders in which no pointer is looked for, beside those that are never data."""


def inside(project: Project, path: Path) -> str:
    """A path as it is told: from the project's folder."""
    return Path(os.path.relpath(path, project.root)).as_posix()


def tracked(project: Project, paths: Sequence[Path] = ()) -> list[Pointer]:
    """All that is tracked, by path; or what these paths name: data, pointers, ``dvc.lock``, or folders around such.

    What cannot be read is an error where it is named; else it is logged, and left out.

    Raises:
        NotFound: nothing at such a path is tracked.
        StoreError: what is said there cannot be used.
    """
    if not paths:
        pointers, unread = all_tracked(project)
        for left in unread:
            import logging  # 5 ms, for what is rare

            logging.getLogger("kairos.store").warning("%s is left out: %s", inside(project, left.path), left.why)
        return pointers
    found = dict[Path, Pointer]()
    everything: tuple[list[Pointer], list[Unread]] | None = None
    for path in paths:
        some: list[Pointer | Unread] = _beside(Path(os.path.abspath(path)))
        if not some:
            everything = everything or all_tracked(project)
            some += [one for one in everything[0] if one.path.is_relative_to(os.path.abspath(path))]
            some += [one for one in everything[1] if one.path.is_relative_to(os.path.abspath(path))]
        if not some:
            raise NotFound("This is not tracked.", given=str(path), hint=f"Type: kairos data add {path}")
        for one in some:
            if isinstance(one, Unread):
                raise StoreError(f"{inside(project, one.path)} cannot be used.", given=one.why, hint=one.hint)
            found[one.path] = one
    return list(found.values())


def all_tracked(project: Project) -> tuple[list[Pointer], list[Unread]]:
    """All of the repository, by path; and what of it cannot be used."""
    root = project.dvc.parent
    found = sorted(_below(ignore_of(root) or Ignore(str(root)), set()), key=lambda one: one.path)
    return [one for one in found if isinstance(one, Pointer)], [one for one in found if isinstance(one, Unread)]


def _beside(path: Path) -> list[Pointer | Unread]:
    """What a file that is named, or the pointer beside the data that is named, says."""
    if path.suffix == ".dvc" and path.is_file():
        return read_pointers(path)
    if path.name in (_LOCK, "dvc.yaml") and path.with_name(_LOCK).is_file():
        return _stages(path.with_name(_LOCK))
    pointer = path.with_name(path.name + ".dvc")
    return [one for one in read_pointers(pointer) if one.path in (path, pointer)] if pointer.is_file() else []


def _stages(lock: Path) -> list[Pointer | Unread]:
    from kairos.store.stages import read_stages  # with PyYAML, where there are no stages

    return read_stages(lock)


def _below(ignore: Ignore, outputs: set[Path]) -> Iterator[Pointer | Unread]:
    """What files in a folder, and in those below it, say; not in data, and not in other repositories of DVC."""
    folder, folders, found = Path(ignore.folder), list[str](), list[Pointer | Unread]()
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name in _OWN or ignore.hides(entry.name, is_folder=is_folder):
                continue
            if is_folder:
                folders.append(entry.name)
            elif entry.name.endswith(".dvc") and entry.is_file():
                found += read_pointers(folder / entry.name)
            elif entry.name == _LOCK and entry.is_file():
                found += _stages(folder / entry.name)
    outputs.update(one.path for one in found)
    yield from found
    for name in folders:
        if folder / name not in outputs and not (folder / name / ".dvc").is_dir():
            yield from _below(ignore.within(name), outputs)
