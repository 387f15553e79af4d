"""Data to remotes and from them: what tracked data, and what facts need, are moved, compared and mended."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from kairos.app.data import Standing, checkout, tracked
from kairos.app.keeping import needed
from kairos.app.needs import needs
from kairos.app.project import Project
from kairos.errors import BlobDamaged, NotFound, RemoteFailed, SettingsError
from kairos.store.places import FolderPlace, Place
from kairos.store.pointers import Pointer, prepare_dvc
from kairos.store.remotes import Remote, Remotes, add_remote, read_remotes
from kairos.store.transfer import Moved, compare, pull, push
from kairos.values import Digest

__all__ = ["Away", "Fetched", "Sent", "add", "away", "fetch", "mend", "remotes", "send"]

Told = Callable[[int, int, int], None]
"""Told after each blob: how many were moved, of how many, and their bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent to one remote."""

    remote: str
    moved: Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was fetched from one remote, and how the data stood before it was put in its place."""

    remote: str
    moved: Moved
    placed: tuple[Standing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """How tracked data stands at its remote."""

    path: str
    """Inside the project."""
    remote: str
    new: int
    """Blobs that are here and not there."""
    deleted: int
    """Blobs that are there and not here."""
    missing: int
    """Blobs that are in neither place."""

    @property
    def is_same(self) -> bool:
        """Whether both have all of it."""
        return not (self.new or self.deleted or self.missing)


def remotes(project: Project) -> Remotes:
    """All remotes that are configured.

    Raises:
        SettingsError: DVC's configuration cannot be read.
    """
    return read_remotes(project.root / ".dvc")


def add(project: Project, name: str, url: str, *, is_default: bool = False) -> Remote:
    """Adds a remote, as ``dvc remote add`` does.

    Raises:
        SettingsError: the name is taken, or the address cannot be used.
    """
    prepare_dvc(project.root)
    add_remote(project.root / ".dvc", name, url, is_default=is_default, folder=Path.cwd())
    return remotes(project).get(name)


def send(
    project: Project,
    paths: Sequence[Path] = (),
    *,
    remote: str | None = None,
    with_facts: bool = False,
    jobs: int = 16,
    told: Told = lambda *_: None,
) -> list[Sent]:
    """Sends what pointers name, each to its remote.

    Args:
        project: Whose data it is.
        paths: Which; all if there are none.
        remote: Where to, whatever pointers say.
        with_facts: Whether what the facts of the ledger need is sent, too, as far as it is here.
        jobs: Blobs on their way at once.
        told: Told of each blob.

    Raises:
        NotFound: nothing at such a path is tracked, or there is no such remote.
        RemoteFailed: a remote failed for good; what was sent stays.
    """
    wanted = _by_remote(project, tracked(project, paths), remote, to_push=True)
    if with_facts:
        here = (digest for digest in _of_facts(project) if project.store.holds(digest))
        wanted.setdefault(_named(project, remote), []).extend(here)
    found = []
    for name, digests in wanted.items():
        place = _open(project, name)
        with _naming(name):
            found.append(Sent(remote=name, moved=push(project.store, place, digests, jobs=jobs, told=told)))
    return found


def fetch(
    project: Project,
    paths: Sequence[Path] = (),
    *,
    remote: str | None = None,
    with_facts: bool = False,
    jobs: int = 16,
    force: bool = False,
    told: Told = lambda *_: None,
) -> list[Fetched]:
    """Fetches what pointers name and the store lacks, and puts it in its place; what is damaged here is fetched anew.

    Args:
        project: Whose data it is.
        paths: Which; all if there are none.
        remote: Where from, whatever pointers say.
        with_facts: Whether what the facts of the ledger need is fetched, too.
        jobs: Blobs on their way at once.
        force: Whether changes that are not stored may be lost.
        told: Told of each blob.

    Raises:
        NotFound: nothing at such a path is tracked, or there is no such remote.
        RemoteFailed: a remote failed for good; what was fetched stays.
        StoreError: data was changed, and is not forced.
    """
    pointers = tracked(project, paths)
    wanted = _by_remote(project, pointers, remote, to_push=False)
    facts = _of_facts(project) if with_facts else {}
    if facts:
        wanted.setdefault(_named(project, remote), []).extend(facts)
    found = []
    for name, digests in wanted.items():
        place = _open(project, name, is_read=True)
        with _naming(name):
            moved = pull(project.store, place, digests, jobs=jobs, told=told)
            moved = replace(moved, missing=tuple(one for one in moved.missing if facts.get(one, True)))
            placed = []
            for pointer in pointers:
                if pointer.digest in set(digests) and project.store.has(pointer.digest):
                    placed += _placed(project, pointer, place, force=force, jobs=jobs)
        found.append(Fetched(remote=name, moved=moved, placed=tuple(placed)))
    return found


def away(project: Project, paths: Sequence[Path] = (), *, remote: str | None = None, jobs: int = 16) -> list[Away]:
    """How tracked data stands at its remotes, as ``dvc status --cloud`` tells it.

    Raises:
        NotFound: nothing at such a path is tracked, or there is no such remote.
        RemoteFailed: a remote cannot be asked.
    """
    found = []
    places: dict[str, Place] = {}
    for pointer in tracked(project, paths):
        name = _named(project, remote or pointer.remote)
        if name not in places:
            places[name] = _open(project, name)
        with _naming(name):
            difference = compare(project.store, places[name], [pointer.digest], jobs=jobs)
        found.append(
            Away(
                path=Path(os.path.relpath(pointer.path, project.root)).as_posix(),
                remote=name,
                new=len(difference.new),
                deleted=len(difference.deleted),
                missing=len(difference.missing),
            )
        )
    return found


def mend(
    project: Project,
    harmed: Collection[Digest],
    *,
    remote: str | None = None,
    jobs: int = 16,
    told: Told = lambda *_: None,
) -> Moved:
    """Fetches blobs that are missing or damaged here.

    Raises:
        NotFound: there is no such remote.
        RemoteFailed: it failed for good; what was fetched stays.
    """
    name = _named(project, remote)
    place = _open(project, name, is_read=True)
    with _naming(name):
        return pull(project.store, place, harmed, anew=harmed, jobs=jobs, told=told)


def _of_facts(project: Project) -> dict[Digest, bool]:
    """What the facts of the ledger name, and whether that is a blob for certain: some of it may only look like one."""
    found = {need.digest: False for need in needs(project) if need.kind in ("fact", "run")}
    return found | {digest: True for digest, _ in needed(project)}


def _placed(project: Project, pointer: Pointer, place: Place, *, force: bool, jobs: int) -> list[Standing]:
    try:
        return checkout(project, [pointer.path], force=force)
    except BlobDamaged:
        harmed = [damage.digest for damage in project.store.verify([pointer.digest])]
        pull(project.store, place, [*harmed, pointer.digest], anew=harmed, jobs=jobs)
        return checkout(project, [pointer.path], force=force)


def _by_remote(
    project: Project, pointers: Iterable[Pointer], remote: str | None, *, to_push: bool
) -> dict[str, list[Digest]]:
    found: dict[str, list[Digest]] = {}
    for pointer in pointers:
        if pointer.is_pushed or not to_push:
            found.setdefault(_named(project, remote or pointer.remote), []).append(pointer.digest)
    return found


def _named(project: Project, remote: str | None) -> str:
    return remotes(project).get(remote).name


def _open(project: Project, name: str, *, is_read: bool = False) -> Place:
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
    if remote.scheme == "local":
        folder = Path(remote.url)
        if is_read and not folder.is_dir():
            raise NotFound(f"The folder of the remote {name!r} is not there.", given=str(folder))
        return FolderPlace(folder)
    from kairos.adapters.fsspec import open_place  # fsspec and its engines are for those who need them

    return open_place(remote)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Says of which remote an error is."""
    try:
        yield
    except RemoteFailed as error:
        said = f"The remote {name!r} failed."
        raise RemoteFailed(said, given=error.given, hint=error.hint, remote=name) from error.__cause__
