"""Whether the bytes behind the facts are all here and as they were stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kairos.app.project import Project
from kairos.app.tracked import all_tracked, inside
from kairos.experiments.runs import RUN_KINDS
from kairos.values import Digest

__all__ = ["Checked", "Harmed", "check_store", "needed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """A blob that cannot be used, and what needs it."""

    digest: Digest
    how: Literal["missing", "changed"]
    needed_by: tuple[str, ...]
    """``demand@3``, ``split.holdout of run r06cc9fb3bf``, ``what fit of run r06cc9fb3bf logged``, …; empty: no fact
    names it."""
    tracked: tuple[str, ...]
    """Files and folders of data whose pointers name it, by path."""
    is_served: bool
    """Whether a version cannot be served, or taken back to, without it."""
    is_lasting: bool
    """Whether it should be here for ever, as nothing makes it again: what a version is made of, what an imported run
    left, and the code and environment of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was read, and what was wrong with it."""

    blobs: int
    size_bytes: int
    harmed: tuple[Harmed, ...]

    @property
    def is_sound(self) -> bool:
        """No blob is changed, and none is gone that nothing makes again; outputs of earlier runs may be."""
        return not any(one.how == "changed" or one.is_lasting for one in self.harmed)


def check_store(project: Project) -> Checked:
    """Reads every blob of the store again, and looks for those that the ledger's facts name."""
    whose: dict[Digest, list[str]] = {}
    lasting = set[Digest]()
    for digest, who, is_lasting in _needs(project):
        whose.setdefault(digest, []).append(who)
        if is_lasting:
            lasting.add(digest)
    found = project.store.verify()
    found += project.store.verify(sorted(digest for digest in whose if not project.store.holds(digest)))
    paths = _tracked(project) if found else {}
    harmed = []
    for damage in found:
        needed_by = next((one for one in (damage.digest, damage.within) if one in whose), damage.digest)
        names = whose.get(needed_by, [])
        harmed.append(
            Harmed(
                digest=damage.digest,
                how=damage.how,
                needed_by=tuple(dict.fromkeys(names)),
                tracked=tuple(paths.get(damage.digest, []) or paths.get(damage.within or damage.digest, [])),
                is_served=any("@" in name for name in names),
                is_lasting=needed_by in lasting,
            )
        )
    sizes = Counter(project.store.path(digest).stat().st_size for digest in project.store.digests())
    return Checked(
        blobs=sizes.total(), size_bytes=sum(size * count for size, count in sizes.items()), harmed=tuple(harmed)
    )


def _tracked(project: Project) -> dict[Digest, list[str]]:
    """Paths of data by what their pointers name; pointers that cannot be read name nothing."""
    found: dict[Digest, list[str]] = {}
    for pointer in all_tracked(project)[0]:
        found.setdefault(pointer.digest, []).append(inside(project, pointer.path))
    return found


def needed(project: Project) -> Iterator[tuple[Digest, str]]:
    """Blobs that facts name, with what they are of, such as ``demand@3``; versions first."""
    for model in project.state().models.values():
        for version in model.versions.values():
            yield version.package, str(version.ref)
            if version.settings is not None:
                yield version.settings, str(version.ref)
    for entry in project.ledger.read(kinds=["run.finished"]):
        for step in entry.body["steps"]:
            for output in step["outputs"]:
                yield Digest(output["digest"]), f"{output['name']} of run {entry.subject}"


def _needs(project: Project) -> Iterator[tuple[Digest, str, bool]]:
    """Blobs that facts name, with what they are of, and whether they should be here for ever."""
    for digest, who in needed(project):
        yield digest, who, "@" in who
    for entry in project.ledger.read(kinds=list(RUN_KINDS)):
        run, body = entry.subject, entry.body
        for step, took in body.get("measured", {}).get("steps", {}).items():
            for digest in took.get("logged", ()):
                yield Digest(digest), f"what {step} of run {run} logged", entry.kind == "run.imported"
        for seeds in body.get("measured", {}).get("seeds", {}).values():
            for seed, steps in seeds.items():
                for step, digests in steps.items():
                    for digest in digests:
                        yield Digest(digest), f"what {step} of run {run} logged with seed {seed}", False
        for what, digest in (body.get("kept") or {}).items():
            if digest is not None:
                yield Digest(digest), f"{what} kept of run {run}", True
        for model, seeds in (body.get("seeds") or {}).items():
            for each in seeds:
                yield Digest(each["package"]), f"{model} with seed {each['seed']} of run {run}", True
        if entry.kind == "run.failed":  # others' are among those above
            for step in body["steps"]:
                for output in step["outputs"]:
                    yield Digest(output["digest"]), f"{output['name']} of run {run}", False
