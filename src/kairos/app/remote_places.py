"""The remotes of a project, and which of them keeps what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kairos.app.project import Project
from kairos.errors import NotFound, RemoteFailed, SettingsError
from kairos.store.blobs import Store
from kairos.store.old_layout import OldStore
from kairos.store.places import FolderPlace, Place
from kairos.store.pointer_files import Pointer
from kairos.store.remotes import Remotes, read_remotes

__all__ = ["by_remote", "named", "naming", "open_remote", "remotes"]


def remotes(project: Project) -> Remotes:
    """All remotes that are configured.

    Raises:
        SettingsError: DVC's configuration cannot be read.
    """
    return read_remotes(project.dvc)


def by_remote(
    project: Project, pointers: Iterable[Pointer], remote: str | None
) -> dict[tuple[str, bool], list[Pointer]]:
    """By the name of the remote, and whether the layout of DVC 2 is meant there."""
    found: dict[tuple[str, bool], list[Pointer]] = {}
    for pointer in pointers:
        found.setdefault((named(project, remote or pointer.remote), pointer.is_old), []).append(pointer)
    return found


def named(project: Project, remote: str | None) -> str:
    return remotes(project).get(remote).name


def open_remote(project: Project, name: str, *, is_read: bool = False, is_old: bool = False) -> Place:
    """The place of a remote.

    Raises:
        SettingsError: Kairos cannot keep blobs there.
        AdapterMissing: the engine for its address is not installed.
        NotFound: it is to be read, and is a folder that is not there: a disk that is not mounted, perhaps.
    """
    remote = remotes(project).get(name)
    for option in ("version_aware", "worktree"):
        if remote.is_set(option):
            raise SettingsError(
                f"The remote {name!r} keeps files under their own names, which Kairos does not.",
                given=f"{option} = true",
                accepted="a remote without that option",
                hint="Use `dvc` with it: dvc push, dvc pull.",
            )
    prefix = OldStore.prefix if is_old else Store.prefix
    if remote.scheme == "local":
        folder = Path(remote.url)
        if is_read and not folder.is_dir():
            raise NotFound(f"The folder of the remote {name!r} is not there.", given=str(folder))
        return FolderPlace(folder, prefix=prefix)
    from kairos.adapters.fsspec import open_place  # fsspec and its engines are for those who need them

    return open_place(remote, prefix=prefix)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Says of which remote an error is."""
    try:
        yield
    except RemoteFailed as error:
        said = f"The remote {name!r} failed."
        raise RemoteFailed(said, given=error.given, hint=error.hint, remote=name) from error.__cause__
