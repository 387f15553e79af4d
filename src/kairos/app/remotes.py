"""Data to remotes and from them: what tracked data, and what facts need, are moved, compared and mended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kairos.app.data import Standing, checkout
from kairos.app.keeping import needed
from kairos.app.needs import needs
from kairos.app.project import Project
from kairos.app.remote_places import by_remote, named, naming, open_remote, remotes
from kairos.app.tracked import inside, tracked
from kairos.errors import BlobDamaged
from kairos.store.blobs import Store
from kairos.store.comparing import compare
from kairos.store.fetching import pull
from kairos.store.moves import Moved
from kairos.store.old_layout import OldStore
from kairos.store.places import Place
from kairos.store.pointer_files import Pointer
from kairos.store.pointers import prepare_dvc
from kairos.store.remotes import Remote, add_remote
from kairos.store.sending import push
from kairos.values import Digest

__all__ = ["Away", "Fetched", "Sent", "add", "away", "fetch", "mend", "remotes", "send"]

Told = Callable[[int, int, int], None]
"""Told after each blob: how many were moved, of how many, and their bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent to one remote."""

    remote: str
    moved: Moved

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.moved.is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was fetched from one remote, and how the data stood before it was put in its place."""

    remote: str
    moved: Moved
    placed: tuple[Standing, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Pointers whose data `dvc` has to ask for in another repository, which ``remote`` is then."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for is here."""
        return self.moved.is_whole and not self.elsewhere


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


def add(project: Project, name: str, url: str, *, is_default: bool = False) -> Remote:
    """Adds a remote, as ``dvc remote add`` does.

    Raises:
        SettingsError: the name is taken, or the address cannot be used.
    """
    prepare_dvc(project.root)
    add_remote(project.dvc, name, url, is_default=is_default, folder=Path.cwd())
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
    wanted = by_remote(project, (one for one in tracked(project, paths) if one.is_pushed), remote)
    if with_facts:
        wanted.setdefault((named(project, remote), False), [])
    found = []
    for (name, is_old), pointers in wanted.items():
        place = open_remote(project, name, is_old=is_old)
        digests = [one.digest for one in pointers]
        if with_facts and name == named(project, remote) and not is_old:
            digests += [digest for digest in _of_facts(project) if project.store.holds(digest)]
        with naming(name):
            for store, some in _by_store(project, pointers, digests).items():
                found.append(Sent(remote=name, moved=push(store, place, some, jobs=jobs, told=told)))
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
    imported = [one for one in pointers if one.comes_from is not None]
    wanted = by_remote(project, (one for one in pointers if one.comes_from is None), remote)
    facts = _of_facts(project) if with_facts else {}
    if facts:
        wanted.setdefault((named(project, remote), False), [])
    found = []
    for (name, is_old), some in wanted.items():
        place, store = open_remote(project, name, is_read=True, is_old=is_old), _fetching(project, is_old=is_old)
        digests = [one.digest for one in some if not project.store_of(one).has(one.digest) or not is_old]
        digests += facts if name == named(project, remote) and not is_old else ()
        with naming(name):
            moved = pull(store, place, digests, jobs=jobs, told=told)
            moved = replace(moved, missing=tuple(one for one in moved.missing if facts.get(one, True)))
            placed = []
            for pointer in some:
                if project.store_of(pointer).has(pointer.digest):
                    placed += _placed(project, pointer, place, force=force, jobs=jobs)
        found.append(Fetched(remote=name, moved=moved, placed=tuple(placed)))
    return found + [_imported(project, one, force=force) for one in imported]


def _imported(project: Project, pointer: Pointer, *, force: bool) -> Fetched:
    """What `dvc import` brought is in no remote, and `dvc` alone knows how to ask the repository that has it."""
    if not project.store_of(pointer).has(pointer.digest):
        return Fetched(remote=str(pointer.comes_from), moved=Moved(), elsewhere=(inside(project, pointer.said_in),))
    placed = checkout(project, [pointer.path], force=force)
    return Fetched(remote=str(pointer.comes_from), moved=Moved(there=1), placed=tuple(placed))


def away(project: Project, paths: Sequence[Path] = (), *, remote: str | None = None, jobs: int = 16) -> list[Away]:
    """How tracked data stands at its remotes, as ``dvc status --cloud`` tells it.

    Raises:
        NotFound: nothing at such a path is tracked, or there is no such remote.
        RemoteFailed: a remote cannot be asked.
    """
    found = []
    kept = (one for one in tracked(project, paths) if one.comes_from is None)
    for (name, is_old), pointers in by_remote(project, kept, remote).items():
        place = open_remote(project, name, is_old=is_old)
        for pointer in pointers:
            with naming(name):
                difference = compare(project.store_of(pointer), place, [pointer.digest], jobs=jobs)
            found.append(
                Away(
                    path=inside(project, pointer.path),
                    remote=name,
                    new=len(difference.new),
                    deleted=len(difference.deleted),
                    missing=len(difference.missing),
                )
            )
    return sorted(found, key=lambda one: one.path)


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
    name = named(project, remote)
    place = open_remote(project, name, is_read=True)
    with naming(name):
        return pull(project.store, place, harmed, anew=harmed, jobs=jobs, told=told)


def _of_facts(project: Project) -> dict[Digest, bool]:
    """What the facts of the ledger name, and whether that is a blob for certain: some of it may only look like one."""
    found = {need.digest: False for need in needs(project) if need.kind in ("fact", "run")}
    return found | {digest: True for digest, _ in needed(project)}


def _placed(project: Project, pointer: Pointer, place: Place, *, force: bool, jobs: int) -> list[Standing]:
    try:
        return checkout(project, [pointer.path], force=force)
    except BlobDamaged:
        store = project.store_of(pointer)
        harmed = [damage.digest for damage in store.verify([pointer.digest])]
        pull(store, place, [*harmed, pointer.digest], anew=harmed, jobs=jobs)
        return checkout(project, [pointer.path], force=force)


def _fetching(project: Project, *, is_old: bool) -> Store:
    return OldStore(project.store.root) if is_old else project.store


def _by_store(project: Project, pointers: Iterable[Pointer], digests: Iterable[Digest]) -> dict[Store, list[Digest]]:
    """Digests by the store that keeps them: what is of DVC 2 may be here in the layout of today only."""
    whose = {one.digest: project.store_of(one) for one in pointers}
    kinds = {type(store): store for store in whose.values()}
    found: dict[Store, list[Digest]] = {}
    for digest in digests:
        store = kinds[type(whose[digest])] if digest in whose else kinds.setdefault(type(project.store), project.store)
        found.setdefault(store, []).append(digest)
    return found
