"""Whether the bytes behind the facts are all here and as they were stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kairos.app.project import Project
from kairos.values import Digest

__all__ = ["Checked", "Harmed", "check_store", "needed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmed:
    """A blob that cannot be used, and what needs it."""

    digest: Digest
    how: Literal["missing", "changed"]
    needed_by: tuple[str, ...]
    """``demand@3``, or ``split.holdout of run r06cc9fb3bf``; empty: no fact names it."""
    is_served: bool
    """Whether a version cannot be served, or taken back to, without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was read, and what was wrong with it."""

    blobs: int
    size_bytes: int
    harmed: tuple[Harmed, ...]

    @property
    def is_sound(self) -> bool:
        """No blob is changed, and no version lacks one. Outputs of earlier runs may be gone: they can be made again."""
        return not any(one.how == "changed" or one.is_served for one in self.harmed)


def check_store(project: Project) -> Checked:
    """Reads every blob of the store again, and looks for those that the ledger's facts name."""
    needs: dict[Digest, list[str]] = {}
    for digest, who in needed(project):
        needs.setdefault(digest, []).append(who)
    found = project.store.verify()
    found += project.store.verify(sorted(digest for digest in needs if not project.store.holds(digest)))
    harmed = []
    for damage in found:
        whose = needs.get(damage.digest, []) or needs.get(damage.within or damage.digest, [])
        harmed.append(
            Harmed(
                digest=damage.digest,
                how=damage.how,
                needed_by=tuple(dict.fromkeys(whose)),
                is_served=any("@" in name for name in whose),
            )
        )
    sizes = Counter(project.store.path(digest).stat().st_size for digest in project.store.digests())
    return Checked(
        blobs=sizes.total(), size_bytes=sum(size * count for size, count in sizes.items()), harmed=tuple(harmed)
    )


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
