"""A recorder that keeps what it was given, for tests of what hands records over."""

from __future__ import annotations

from collections.abc import Mapping

from kairos.errors import AdapterError
from kairos.experiments import RunRecord, VersionRecord

__all__ = ["MemoryRecorder"]


class MemoryRecorder:
    """Keeps the promises of :class:`kairos.experiments.Recorder` in memory; what it holds is there to look at.

    Args:
        place: Which record this is; ``None``: any that is asked for.
    """

    def __init__(self, *, place: str | None = None) -> None:
        self.runs: dict[str, RunRecord] = {}
        """By id."""
        self.versions: dict[str, dict[int, VersionRecord]] = {}
        """By model and number."""
        self.aliases: dict[str, dict[str, int]] = {}
        """By model and alias."""
        self.place = place

    def expect(self, place: str | None) -> None:
        """Refuses to go on with what another one was told.

        Raises:
            AdapterError: this is another one.
        """
        if None not in (place, self.place) and place != self.place:
            raise AdapterError("This is another record.", given=place, another=True)

    def record_run(self, record: RunRecord) -> None:
        """Keeps a run, unless one of this id is kept."""
        self.runs.setdefault(record.run, record)

    def record_version(self, record: VersionRecord) -> None:
        """Keeps a version.

        Raises:
            AdapterError: it is not the next one, its run was not recorded, or its number is another package's.
        """
        versions = self.versions.setdefault(record.model, {})
        kept = versions.get(record.number)
        if kept is not None and kept.package == record.package:
            return
        if kept is not None:
            raise AdapterError(
                f"{record.ref} is another package.", given=record.package, accepted=kept.package, refused=True
            )
        if record.number != len(versions) + 1:
            raise AdapterError(f"{record.ref} is not the next version.", accepted=str(len(versions) + 1), refused=True)
        if record.run not in self.runs:
            raise AdapterError(f"The run of {record.ref} was not recorded.", given=record.run, refused=True)
        versions[record.number] = record

    def set_aliases(self, model: str, aliases: Mapping[str, int | None]) -> None:
        """Points aliases at versions.

        Raises:
            AdapterError: there is no such version.
        """
        current = self.aliases.setdefault(model, {})
        for alias, number in aliases.items():
            if number is None:
                current.pop(alias, None)
            elif number in self.versions.get(model, {}):
                current[alias] = number
            else:
                raise AdapterError(f"{model!r} has no such version.", given=number, refused=True)

    def close(self) -> None:
        """Does nothing; a recorder may be opened again on what it has kept."""
