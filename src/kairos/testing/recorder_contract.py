"""What every recorder promises, as tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from kairos.errors import AdapterError
from kairos.experiments import Recorder, RunRecord, VersionRecord
from kairos.values import Digest

__all__ = ["RecorderContract", "RecorderPlace"]

MARCH = datetime(2012, 3, 3, 12, tzinfo=UTC)
RUN = RunRecord(
    run="r0000000001",
    status="finished",
    started_at=MARCH,
    ended_at=MARCH,
    window="2011-01-01T00:00:00Z..2012-01-01T00:00:00Z",
    actor="ann",
    models=("demand",),
    params={"demand.max_iter": 200, "demand.rate": None},
    metrics={"mae": 41.5, "unknown": float("nan")},
    inputs={"rentals": Digest("1" * 32)},
    outputs={"demand": Digest("2" * 32 + ".dir")},
)
FAILED = replace(RUN, run="r0000000002", status="failed", models=(), metrics={}, failure="demand: ValueError: no rows")


def version(number: int, folder: Path) -> VersionRecord:
    """A version of ``demand``, and a package for it in a folder of its own."""
    package = folder / f"package-{number}"
    package.mkdir(exist_ok=True)
    (package / "MLmodel").write_text("flavors: {}\n")
    return VersionRecord(
        model="demand",
        number=number,
        run=RUN.run,
        package=Digest(str(number) * 32 + ".dir"),
        package_folder=package,
        registered_at=MARCH,
        metrics=RUN.metrics,
        params={"max_iter": 200},
    )


def hand_over(recorder: Recorder, thing: VersionRecord | Mapping[str, int | None]) -> None:
    """Hands over a version, or aliases of ``demand``, and closes; an error may come with either."""
    try:
        if isinstance(thing, VersionRecord):
            recorder.record_version(thing)
        else:
            recorder.set_aliases("demand", thing)
    finally:
        recorder.close()


class RecorderPlace(Protocol):
    """Where recorders write, and how to see what they wrote."""

    def open(self) -> Recorder:
        """A recorder on this place; on the same place each time."""
        ...

    def runs(self) -> Mapping[str, str]:
        """Status of each run that was recorded, by its id."""
        ...

    def versions(self, model: str) -> Mapping[int, str]:
        """Digest of each version's package, by its number; empty for a model that is not known."""
        ...

    def aliases(self, model: str) -> Mapping[str, int]:
        """Number of the version that each alias of the model points at."""
        ...


class RecorderContract:
    """Subclass it under a name that begins with ``Test``, with a fixture ``place``: an empty ``RecorderPlace``."""

    def test_what_was_recorded_is_there_once_the_recorder_is_closed(self, place: RecorderPlace, tmp_path: Path) -> None:
        """Runs with their status, versions under their own numbers, aliases. Recording it all again changes nothing."""
        for _ in range(2):
            recorder = place.open()
            for _ in range(2):
                recorder.record_run(RUN)
                recorder.record_run(FAILED)
                for number in (1, 2):
                    recorder.record_version(version(number, tmp_path))
                recorder.set_aliases("demand", {"champion": 1, "challenger": 2})
            recorder.close()
            recorder.close()
            assert place.runs() == {RUN.run: "finished", FAILED.run: "failed"}
            assert place.versions("demand") == {1: version(1, tmp_path).package, 2: version(2, tmp_path).package}
            assert place.aliases("demand") == {"champion": 1, "challenger": 2}

    def test_aliases_move_and_are_removed(self, place: RecorderPlace, tmp_path: Path) -> None:
        """One that is not named stays where it is; removing one that is not there is harmless."""
        recorder = place.open()
        recorder.set_aliases("demand", {"champion": None})
        recorder.record_run(RUN)
        for number in (1, 2, 3):
            recorder.record_version(version(number, tmp_path))
        recorder.set_aliases("demand", {"champion": 1, "challenger": 2, "previous": 1})
        recorder.set_aliases("demand", {"champion": 2, "challenger": None, "other": None})
        recorder.close()
        assert place.aliases("demand") == {"champion": 2, "previous": 1}

    def test_a_version_without_its_run_is_refused(self, place: RecorderPlace, tmp_path: Path) -> None:
        """What was recorded beside it is kept."""
        recorder = place.open()
        recorder.record_run(FAILED)
        with pytest.raises(AdapterError, match="run") as refusal:
            hand_over(recorder, version(1, tmp_path))
        assert refusal.value.facts["refused"]
        assert place.runs() == {FAILED.run: "failed"}
        assert place.versions("demand") == {}

    @pytest.mark.parametrize(("number", "package"), [(1, "f"), (3, "3")], ids=["another package", "not the next"])
    def test_a_number_that_is_not_the_versions_own_is_refused(
        self, place: RecorderPlace, tmp_path: Path, number: int, package: str
    ) -> None:
        """Numbers agree with the ledger's, or there is an error."""
        recorder = place.open()
        recorder.record_run(RUN)
        recorder.record_version(version(1, tmp_path))
        with pytest.raises(AdapterError, match=f"demand.*{number}|{number}.*demand") as refusal:
            hand_over(recorder, replace(version(number, tmp_path), package=Digest(package * 32 + ".dir")))
        assert refusal.value.facts["refused"]
        assert place.versions("demand") == {1: version(1, tmp_path).package}

    def test_an_alias_of_no_version_is_refused(self, place: RecorderPlace, tmp_path: Path) -> None:
        """And the others stay."""
        recorder = place.open()
        recorder.record_run(RUN)
        recorder.record_version(version(1, tmp_path))
        recorder.set_aliases("demand", {"champion": 1})
        with pytest.raises(AdapterError, match="demand") as refusal:
            hand_over(recorder, {"champion": 2})
        assert refusal.value.facts["refused"]
        assert place.aliases("demand") == {"champion": 1}

    def test_closing_a_recorder_that_was_not_used_writes_nothing(self, place: RecorderPlace) -> None:
        """And raises nothing."""
        place.open().close()
        assert place.runs() == {}
