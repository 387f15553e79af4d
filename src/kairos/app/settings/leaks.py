"""``[model.NAME.leaks]``: what must not be on both sides of a split, and which findings a project lives with."""

from __future__ import annotations

from dataclasses import dataclass

from kairos.app.toml import Reader

__all__ = ["LeakSettings", "read_leaks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakSettings:
    """What ``kairos data leaks`` is told about one model."""

    apart: tuple[str, ...] = ()
    """Columns none of whose values may be on both sides."""
    accept: tuple[str, ...] = ()
    """Names of findings that are known and are no trouble."""


def read_leaks(reader: Reader) -> LeakSettings:
    """Reads ``[model.NAME.leaks]``."""
    found = LeakSettings(apart=reader.texts("apart"), accept=reader.texts("accept"))
    reader.done()
    return found
