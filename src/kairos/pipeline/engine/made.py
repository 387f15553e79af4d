"""What an engine gives for a task."""

from __future__ import annotations

from collections.abc import Iterable

from kairos.pipeline.artifacts import Artifact
from kairos.pipeline.spent import Spent
from kairos.values import Digest

__all__ = ["Made"]


class Made(tuple[Artifact, ...]):
    """The artifacts of a task, in their order, with what making them took and what its code logged meanwhile.

    Whoever only wants the artifacts takes it as the tuple that it is; an engine that does not measure gives such a one.

    Args:
        outputs: The artifacts.
        spent: What the call took.
        logged: What its code logged: its digest in the store, and those of the folders that it names; usually none.
    """

    spent: Spent
    logged: tuple[Digest, ...]

    def __new__(cls, outputs: Iterable[Artifact], *, spent: Spent, logged: Iterable[Digest] = ()) -> Made:
        made = super().__new__(cls, outputs)
        made.spent, made.logged = spent, tuple(logged)
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (tuple(self), self.spent, self.logged)


def _made(outputs: tuple[Artifact, ...], spent: Spent, logged: tuple[Digest, ...]) -> Made:
    return Made(outputs, spent=spent, logged=logged)
