"""When a source is pulled again, and in which pieces."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

import pytest

from kairos.clock import ReplayClock
from kairos.pipeline import files
from kairos.pipeline.frames import decode_frame
from kairos.values import Window
from tests.pipeline.projects import Place, statuses

WEEKLY = """
    import polars as pl
    from pathlib import Path
    @source(every="7d", {options})
    def rentals(window: Window) -> pl.DataFrame:
        with open("pulled.txt", "a") as log: print(window, file=log)
        return pl.DataFrame({{"day": [window.start], "length": [window.days]}})
    @step
    def total(rentals: pl.DataFrame) -> float: return rentals["length"].sum()
"""


def pulls(place: Place) -> list[str]:
    """First days of the windows that were pulled since the last time."""
    log = place.root / "pulled.txt"
    lines = sorted(log.read_text().splitlines()) if log.exists() else []
    log.unlink(missing_ok=True)
    return [line[:10] for line in lines]


def test_partitions_are_pulled_once(place: Place) -> None:
    """A window that moved by a week pulls one partition; the tables stand below each other in the order of time."""
    place.run(WEEKLY.format(options="settles_after='1d'"))
    assert pulls(place) == ["2011-01-03", "2011-01-10", "2011-01-17"]
    result = place.run(window=Window.parse("2011-01-10..2011-01-30"))
    assert pulls(place) == ["2011-01-24"]
    assert [event.parts for event in place.events if event.what == "ran"] == [1, 0]
    days = decode_frame(place.store, result.artifact("rentals"))["day"].to_list()
    assert [day.day for day in days] == [10, 17, 24]
    place.run(window=Window.parse("2011-01-03..2011-01-30"))
    assert pulls(place) == []


def test_partitions_at_the_edges_are_shorter(place: Place) -> None:
    """The window is asked for exactly, cut on Mondays."""
    result = place.run(WEEKLY.format(options="settles_after='1d'"), window=Window.parse("2011-01-05..2011-01-11"))
    assert decode_frame(place.store, result.artifact("rentals"))["length"].to_list() == [5.0, 2.0]


def test_an_unsettled_partition_is_pulled_again(place: Place) -> None:
    """A partition that ended less than ``settles_after`` ago may still change; equal data stop what comes after."""
    place.run(WEEKLY.format(options="settles_after='9d'"))
    pulls(place)
    result = place.run()  # it is 1 February: the week that ended on 24 January is 8 days old
    assert pulls(place) == ["2011-01-17"]
    assert statuses(result) == {"rentals": "ran", "total": "reused"}
    place.clock.move_to(datetime(2011, 2, 2, tzinfo=UTC))  # settled now, but not when it was pulled
    assert statuses(place.run())["rentals"] == "ran"
    assert pulls(place) == ["2011-01-17"]
    assert statuses(place.run())["rentals"] == "reused"


@pytest.mark.parametrize("every", ['every="1d", ', ""], ids=["partitions", "whole"])
def test_rows_that_came_late_are_not_lost(place: Place, every: str) -> None:
    """What was pulled before its window was settled is pulled once more, however long ago the window is by then."""
    (place.root / "count.txt").write_text("5")
    text = f"""
        import polars as pl
        from pathlib import Path
        @source({every}settles_after="2d")
        def rows(window: Window) -> pl.DataFrame:
            return pl.DataFrame({{"n": [int(Path("count.txt").read_text())] * round(window.days)}})
    """
    window = Window.parse("2011-01-07..2011-01-09")
    place.clock = ReplayClock(datetime(2011, 1, 10, 1, tzinfo=UTC))  # only 7 January is settled
    place.run(text, window=window)
    (place.root / "count.txt").write_text("99")
    place.clock.move_to(datetime(2011, 1, 20, tzinfo=UTC))
    found = decode_frame(place.store, place.run(window=window).artifact("rows"))["n"].to_list()
    assert found == [5 if every else 99, 99, 99]
    assert statuses(place.run(window=window)) == {"rows": "reused"}


def test_a_longer_time_to_settle_holds_for_what_was_pulled_before(place: Place) -> None:
    """Who finds that data come later than she thought writes a longer time, and gets what was pulled too soon again."""
    place.run(WEEKLY.format(options="settles_after='1d'"))  # on 1 February, 8, 15 and 22 days after the weeks' ends
    pulls(place)
    place.clock.move_to(datetime(2011, 3, 1, tzinfo=UTC))
    place.run(WEEKLY.format(options="settles_after='10d'"))
    assert pulls(place) == ["2011-01-17"]


def test_a_window_up_to_the_end_of_time_can_be_asked_for(place: Place) -> None:
    """It is never settled."""
    text = "@source(settles_after='2d')\ndef raw(window: Window) -> str: return str(window)"
    for _ in range(2):
        assert statuses(place.run(text, window=Window.parse("2011-01-01..9999-12-30"))) == {"raw": "ran"}


def test_a_source_that_declares_nothing_is_pulled_each_time(place: Place) -> None:
    """Nothing says that its data stay the same."""
    text = WEEKLY.format(options="")
    place.run(text)
    assert statuses(place.run()) == {"rentals": "ran", "total": "reused"}
    assert len(pulls(place)) == 6


def test_declared_files_decide(place: Place) -> None:
    """Their bytes count, not their dates; a folder counts file by file."""
    data = place.root / "data"
    data.mkdir()
    (data / "a.csv").write_text("1")
    text = """
        from pathlib import Path
        @source(files=["data"])
        def raw() -> list: return sorted(path.read_text() for path in Path("data").iterdir())
    """
    place.run(text)
    (data / "a.csv").touch()
    assert statuses(place.run()) == {"raw": "reused"}
    (data / "b.csv").write_text("22")
    result = place.run()
    assert statuses(result) == {"raw": "ran"}
    assert place.why("raw") == ("input file:data/b.csv: new b6d767d2",)
    assert set(result.steps[0].inputs) == {"data/a.csv", "data/b.csv"}


def test_a_file_is_read_for_its_digest_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the next process; a file with another content is another one, though its size and dates are the same."""
    (tmp_path / ".kairos").mkdir()
    path = tmp_path / "a.csv"
    path.write_text("1")
    time.sleep(0.06)  # a file that was written this moment is not believed to stay
    first = files.file_digest(tmp_path, path)
    monkeypatch.setattr(files, "_known", {})  # as another process has it
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("it was read again"))
    assert files.file_digest(tmp_path, path) == first
    monkeypatch.undo()
    told = path.stat()
    path.write_text("2")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert files.file_digest(tmp_path, path) == md5(b"2").hexdigest() != first
    (tmp_path / ".kairos" / "file-digests.db").write_bytes(b"damaged")
    monkeypatch.setattr(files, "_known", {})
    monkeypatch.setattr(files, "_memories", {})
    assert files.file_digest(tmp_path, path) == md5(b"2").hexdigest()


def test_a_declared_file_that_is_not_there_is_named(place: Place) -> None:
    """Nothing of the source runs."""
    result = place.run("@source(files=['data/x.csv'])\ndef raw() -> int: return 1")
    assert result.failure is not None
    assert "Source 'raw' reads 'data/x.csv', which is not there." in result.failure.message


def test_a_file_that_changes_while_it_is_read_spoils_the_pull(place: Place) -> None:
    """Nobody knows which bytes were read, so the result is not kept."""
    (place.root / "x.csv").write_text("1")
    text = """
        from pathlib import Path
        @source(files=["x.csv"])
        def raw() -> str:
            if Path("x.csv").read_text() == "1":
                Path("x.csv").write_text("other")
            return Path("x.csv").read_text()
    """
    result = place.run(text)
    assert result.failure is not None
    assert result.failure.message == "Files of source 'raw' changed while it read them. Run it again."
    assert statuses(place.run()) == {"raw": "ran"}


def test_partitions_that_failed_do_not_spoil_the_others(place: Place) -> None:
    """What was pulled before the failure is kept."""
    failing = """
        import polars as pl
        from pathlib import Path
        @source(every="7d", settles_after="1d")
        def rentals(window: Window) -> pl.DataFrame:
            if window.start.day == 17 and not Path("mended").exists():
                raise ConnectionError("down")
            return pl.DataFrame({"day": [window.start]})
    """
    result = place.run(failing)
    assert result.failure is not None
    assert result.failure.type == "ConnectionError"
    Path(place.root, "mended").touch()
    assert place.run().ok
    assert place.events[-1].parts == 1


def test_partitions_that_do_not_fit_are_refused(place: Place) -> None:
    """Columns are never filled or turned into other types on the way; the partition and its columns are named."""
    text = """
        import polars as pl
        @source(every="7d", settles_after="1d")
        def rentals(window: Window) -> pl.DataFrame:
            return pl.DataFrame({"users": [1 if window.start.day == 3 else "many"]})
    """
    result = place.run(text)
    assert result.failure is not None
    assert result.failure.message.startswith(
        "The partitions of source 'rentals' cannot be put below each other. "
        "Given: in 2011-01-10T00:00:00Z..2011-01-17T00:00:00Z 'users' is String, not Int64."
    )
