"""Garbage collection that knows where versions came from: what is removed, what is kept, and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from kairos.app.needs import Need, needs, outputs_of_runs
from kairos.app.project import Project
from kairos.app.using import lock_of
from kairos.errors import UsageError
from kairos.store.blobs import Store
from kairos.store.garbage import Waste, closure, remove, sweep_desks, unneeded
from kairos.store.locks import Holder, locked
from kairos.store.old_layout import OldStore
from kairos.store.shards import Digests, lacking
from kairos.values import Digest

__all__ = ["GRACE", "Collection", "Unneeded", "collect"]

GRACE = timedelta(days=1)
"""So long a blob is kept though nobody needs it yet."""

Told = Callable[[tuple[Holder, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unneeded:
    """A blob that is removed."""

    digest: Digest
    size_bytes: int
    was: str | None
    """``features of run r06cc9fb3bf``, which no version names any more; ``None``: no fact names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What is removed, and what is kept."""

    removed: tuple[Unneeded, ...]
    """The largest first."""
    size_bytes: int
    """Of what is removed."""
    kept: int
    kept_by: dict[str, int]
    """Blobs kept by the first reason that was found: ``pointer``, ``fact``, ``run``, ``step``, ``git``."""
    young: int
    """Blobs that nobody needs, kept because they are young."""
    unknown: tuple[str, ...]
    """Who needs folders whose listings are not here: their files are not known, and are kept by nobody else."""


def collect(
    project: Project,
    *,
    dry_run: bool = False,
    all_branches: bool = False,
    all_tags: bool = False,
    all_commits: bool = False,
    grace: timedelta = GRACE,
    before: Callable[[Collection], None] = lambda found: None,
    told: Told = lambda held_by: None,
) -> Collection:
    """Removes what nobody needs; nothing if anything that says what is needed cannot be read.

    Nobody runs the pipeline or tracks data meanwhile, and ``dvc`` does nothing: each waits for the other.

    Args:
        project: Whose store.
        dry_run: Whether nothing is removed.
        all_branches: Whether what pointers name on any branch of Git is kept.
        all_tags: The same of tags.
        all_commits: The same of all commits.
        grace: What is younger is kept.
        before: Told what will be removed, before it is.
        told: Told who is waited for.

    Raises:
        UsageError: Git is asked for, and there is none; or the cache is outside of the repository.
        BlobDamaged: a listing that is needed is damaged; nothing was removed.
        LedgerError: a ledger cannot be read; nothing was removed.
    """
    _refuse_shared(project)
    with _alone(project, told):
        found = list(needs(project, all_branches=all_branches, all_tags=all_tags, all_commits=all_commits))
        wastes, plan = _plan(project, found, grace)
        before(plan)
        if not dry_run:
            remove(project.store, wastes)
            sweep_desks(project.store, before_ns=_before_ns(project, grace))
    return plan


def _plan(project: Project, found: list[Need], grace: timedelta) -> tuple[list[Waste], Collection]:
    whole, kept_by, unknown = Digests(), Counter[str](), dict[str, None]()
    old = OldStore(project.store.root)
    for kind, whose in _by_kind(found).items():
        parts, unread = closure(project.store, whose)
        kept_by[kind] += _here(project.store, parts.beyond(whole))
        whole.update(parts)
        unknown.update((whose[digest], None) for digest in unread if not old.holds(digest))
    wastes, young = unneeded(project.store, whole, before_ns=_before_ns(project, grace))
    were = outputs_of_runs(project)
    removed = sorted(
        (Unneeded(digest=one.digest, size_bytes=one.size_bytes, was=were.get(one.digest)) for one in wastes),
        key=lambda one: (-one.size_bytes, one.digest),
    )
    return wastes, Collection(
        removed=tuple(removed),
        size_bytes=sum(one.size_bytes for one in removed),
        kept=sum(kept_by.values()),
        kept_by=dict(kept_by),
        young=young,
        unknown=tuple(unknown),
    )


def _by_kind(found: Iterable[Need]) -> dict[str, dict[Digest, str]]:
    """Who needs each blob, by the first reason that was found: so the closure of each kind is made at once."""
    by_kind, seen = dict[str, dict[Digest, str]](), set[Digest]()
    for need in found:
        if need.digest not in seen:
            seen.add(need.digest)
            by_kind.setdefault(need.kind, {})[need.digest] = need.who
    return by_kind


def _here(store: Store, digests: Digests) -> int:
    """How many of these the store has."""
    gone = sum(1 for _ in lacking(store.files, digests.files))
    return len(digests.files) - gone + sum(store.holds(folder) for folder in digests.folders)


def _refuse_shared(project: Project) -> None:
    root = project.dvc.parent
    if not project.store.root.is_relative_to(root):
        raise UsageError(
            "The cache is outside of the repository, so others may use it, and nobody knows what they need.",
            given=f"cache.dir = {project.store.root}",
            accepted=f"a cache inside of {root}",
        )


def _before_ns(project: Project, grace: timedelta) -> int:
    """By the clock of the file system, which the project's own may not follow."""
    probe = project.store.root / "tmp" / f"clock-{os.getpid()}"
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_bytes(b"")
    now_ns = probe.stat().st_mtime_ns
    probe.unlink()
    return now_ns - int(grace.total_seconds() * 1e9)


@contextmanager
def _alone(project: Project, told: Told) -> Iterator[None]:
    dvc = project.dvc / "tmp" / "lock"  # of the command `dvc`, which takes it for everything that it does
    with locked(lock_of(project), told=told), locked(dvc, told=told):
        yield
