"""One step of a run on its way: what is known of it while it waits, is pulled, and runs; and the pieces of its work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.cache import Known
from kairos.pipeline.fingerprint import Fingerprint
from kairos.pipeline.plan import Setting
from kairos.pipeline.ports import Mark
from kairos.values import Digest, Json, Window, canonical_json

__all__ = ["Job", "Piece"]


@dataclass(slots=True)
class Job:
    """One step on its way."""

    setting: Setting
    made: Fingerprint
    inputs: Mapping[str, Artifact]
    also: Mapping[str, Artifact]
    files: Mapping[str, Digest]
    started_s: float
    started_at: datetime
    windows: Sequence[Window] = ()
    """Partitions of a source."""
    parts: dict[Window, Known] = field(default_factory=dict)
    """Those that are there."""
    pulled: int = 0
    marks: dict[Window, Mark | None] = field(default_factory=dict)
    """What the origin told of each partition before it was read; empty for a source without an origin."""
    moved: set[Window] = field(default_factory=set)
    """Partitions whose data changed at the origin while they were read."""

    @property
    def name(self) -> str:
        """The step's."""
        return self.setting.node.name

    @property
    def is_marked(self) -> bool:
        """Whether a fingerprint of this source says which data it read."""
        return bool(self.marks) and all(mark is not None for mark in self.marks.values())

    def mark(self, part: Window | None = None) -> str | None:
        """The watermark of a partition, or of all.

        What changed while it was read has one that no origin tells, so that nothing is found under it again.
        """
        if not self.is_marked:
            return None
        texts = [self._text(window) for window in ([part] if part is not None else self.windows)]
        if len(texts) == 1:
            return texts[0]
        return f"{len(texts)} partitions {hashlib.sha256(canonical_json(texts)).hexdigest()[:32]}"

    def pin(self, window: Window) -> Json:
        """At what the origin is read."""
        mark = self.marks.get(window)
        return None if mark is None else mark.pin

    def _text(self, window: Window) -> str:
        mark = self.marks[window]
        assert mark is not None  # asked only of what is marked
        return f"{mark.text}, and changed while it was read" if window in self.moved else mark.text

    @property
    def pulled_at(self) -> datetime | None:
        """For a source: when one pull of the whole window would have been as late after the end of each partition."""
        if self.setting.node.spec.kind != "source":
            return None
        if not self.parts:
            return self.started_at
        ages = [part.pulled_at - window.end for window, part in self.parts.items() if part.pulled_at is not None]
        return self.windows[-1].end + min(ages) if len(ages) == len(self.parts) else None


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What is made, waited for or reused at once: all of a step, or one partition of a source."""

    job: Job
    made: Fingerprint
    """Under which it is looked for, and claimed while it is made."""
    window: Window
    is_part: bool = False
    """Whether it is one partition."""
    joins: bool = False
    """Whether it is all partitions, which are there, below each other."""

    @property
    def claim(self) -> str:
        """The name that keeps other runs from making it as well."""
        return self.made.digest
