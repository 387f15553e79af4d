"""What all origins have in common: how patiently they are asked, and what of them counts for a fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kairos.errors import AdapterError, GraphError
from kairos.pipeline.origins.loading import opener
from kairos.pipeline.origins.patience import Patience
from kairos.pipeline.origins.watching import GRACE_S, Silent, Watch
from kairos.pipeline.ports import Mark, Reader
from kairos.values import Json, Window, parse_duration

__all__ = ["Origin", "host_of", "zone_of"]

_PATIENCE = ("tries", "timeout", "rate")


@dataclass(frozen=True, slots=True)
class Origin(ABC):
    """Common to all: how patiently it is asked."""

    kind: ClassVar[str]
    tries: int = field(default=4, kw_only=True)
    """How often what may pass is tried."""
    timeout: str = field(default="60s", kw_only=True)
    """How long one call may take."""
    rate: float | None = field(default=None, kw_only=True)
    """Calls a second, at most, of all workers of this machine together that ask the same host for the project."""

    def __post_init__(self) -> None:
        self.patience()

    def patience(self, root: Path | None = None) -> Patience:
        """A new one; with the project's folder it keeps to the rate together with all others of this origin."""
        turns = None
        if root is not None and self.rate is not None:
            name = hashlib.sha256(f"{self.kind} {self.asked()}".encode()).hexdigest()[:32]
            turns = root / ".kairos" / "rates" / name
        return Patience(self.tries, parse_duration(self.timeout).total_seconds(), self.rate, turns)

    @abstractmethod
    def asked(self) -> str:
        """Who is asked, as it is declared: origins that say the same share a rate."""

    def facts(self) -> dict[str, Json]:
        """All that the data depend on, for a fingerprint; variables of the environment by name only."""
        names = [each.name for each in dataclasses.fields(self) if each.name not in _PATIENCE]
        return {"kind": self.kind, **{name: _told(getattr(self, name)) for name in names}}

    @property
    def is_windowed(self) -> bool:
        """Whether rows of different windows can be told apart."""
        return True

    def reader(self, root: Path) -> Reader:
        """Opens it; connections are made when it is asked.

        Raises:
            AdapterMissing: its library is not installed.
            UsageError: the environment lacks a variable that it names.
        """
        return opener(self.backend())(self, root)

    def marks(self, root: Path, windows: Sequence[Window]) -> list[Mark | None]:
        """A watermark for each window; an origin that goes silent is asked anew, as often as it is tried.

        Raises:
            KairosError: it does not tell.
        """
        patience = self.patience()
        for left in reversed(range(patience.tries)):
            try:
                return Watch(patience.timeout_s + GRACE_S).call(lambda: list(self.reader(root).marks(windows)))
            except Silent as error:
                if not left:
                    raise AdapterError(
                        "An origin went silent when it was asked for a watermark.", given=str(error)
                    ) from None
        raise AssertionError("tries is 1 or more")

    @abstractmethod
    def backend(self) -> str:
        """What opens it: the name of an adapter."""


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        GraphError: there is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise GraphError("There is no such time zone.", given=name, accepted="a name such as 'Europe/Berlin'") from None


def host_of(place: str) -> str:
    """Scheme, user and host of an address as it is written; a path is its own."""
    scheme, found, rest = place.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if found else place


def _told(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(name): _told(value[name]) for name in value}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
