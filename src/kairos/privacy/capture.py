"""What is kept of one request: a pure function from its inputs to what may be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kairos.errors import UsageError
from kairos.privacy.pseudonyms import pseudonym

__all__ = ["CapturePolicy", "Captured", "Scalar"]

Scalar = float | int | str | bool | list[float] | None
"""A value of one field of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What may be written down of a request."""

    inputs: dict[str, Scalar]
    key: str | None
    """The entity, after the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePolicy:
    """Which fields are kept as they are, kept as pseudonyms, or not kept.

    Only ``keep`` fields are kept as they came: a field that nobody named is dropped, whatever it holds.

    Raises:
        UsageError: pseudonyms are asked for and there is no key, or a field is named twice.
    """

    keep: frozenset[str]
    """Fields that are written down as they came."""
    pseudonymise: frozenset[str] = frozenset()
    """Fields that are written down under a keyed pseudonym."""
    entity: Literal["pseudonym", "drop", "raw"] = "pseudonym"
    """What becomes of the key that requests are routed by."""
    key: bytes | None = None
    """The secret behind the pseudonyms."""

    def __post_init__(self) -> None:
        twice = sorted(self.keep & self.pseudonymise)
        if twice:
            raise UsageError(
                f"The field {twice[0]!r} is both kept and pseudonymised.",
                hint="Name it in one of the two lists.",
            )
        if self.key is None and (self.pseudonymise or self.entity == "pseudonym"):
            raise UsageError("Pseudonyms need a key.", accepted="16 secret bytes or more")

    def apply(self, inputs: Mapping[str, Scalar], entity: str | None) -> Captured:
        """What may be written down of these inputs."""
        kept: dict[str, Scalar] = {}
        for name, value in inputs.items():
            if name in self.keep:
                kept[name] = value
            elif name in self.pseudonymise and value is not None:
                kept[name] = self._pseudonym(str(value), name)
        return Captured(inputs=kept, key=self._entity(entity))

    def apply_columns(
        self, inputs: Mapping[str, Iterable[Scalar]], entities: Sequence[str | None]
    ) -> tuple[dict[str, Iterable[Scalar]], list[str | None]]:
        """The same of many rows at once: inputs by column, and the entities; what is kept as it came stays itself.

        Where a pseudonymised field has no value, neither has its column.

        >>> CapturePolicy(keep=frozenset({"a"}), entity="raw").apply_columns({"a": [1, None], "b": [2, 3]}, ["x", None])
        ({'a': [1, None]}, ['x', None])
        """
        kept: dict[str, Iterable[Scalar]] = {}
        for name, values in inputs.items():
            if name in self.keep:
                kept[name] = values
            elif name in self.pseudonymise:
                kept[name] = [None if each is None else self._pseudonym(str(each), name) for each in values]
        return kept, [self._entity(entity) for entity in entities]

    def narrowed(self, other: CapturePolicy) -> CapturePolicy:
        """What both policies let be kept: of each field and of the entity the less telling form; the key is this one's.

        >>> now = CapturePolicy(keep=frozenset({"b"}), entity="drop")
        >>> CapturePolicy(keep=frozenset({"a", "b"}), entity="raw").narrowed(now) == now
        True
        """
        keep = self.keep & other.keep
        kept_somehow = (self.keep | self.pseudonymise) & (other.keep | other.pseudonymise)
        return CapturePolicy(
            keep=keep,
            pseudonymise=kept_somehow - keep,
            entity=min(self.entity, other.entity, key=("drop", "pseudonym", "raw").index),
            key=self.key,
        )

    def _entity(self, entity: str | None) -> str | None:
        if entity is None or self.entity == "drop":
            return None
        return entity if self.entity == "raw" else self._pseudonym(entity, "entity")

    def _pseudonym(self, value: str, purpose: str) -> str:
        assert self.key is not None  # checked when the policy was made
        return pseudonym(value, key=self.key, purpose=purpose)
