"""The prediction log: nothing acknowledged is lost or doubled, whoever dies, and a query sees one moment."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kairos.errors import StoreError, UsageError
from kairos.store import spool
from kairos.store.batch import Predictions
from kairos.store.frames import PREDICTION_SCHEMA
from kairos.store.journal import JournalWriter
from kairos.store.predictions import Label, Prediction, PredictionLog, SpoolDamage
from kairos.store.records import Record
from kairos.store.rolling import rolling, waiting_bytes
from kairos.values import Window

START = datetime(2011, 1, 1, tzinfo=UTC)
ALL = Window(START - timedelta(days=1000), START + timedelta(days=2000))


def prediction(number: int, **changes: Any) -> Prediction:
    given: dict[str, Any] = {
        "id": f"p{number}",
        "at": START + timedelta(hours=number),
        "model": "demand",
        "version": 1,
        "role": "champion",
        "answered": True,
        "share": 0.0,
        "inputs": {"temp": number / 2, "holiday": False},
        "raw": -1.5,
        "output": 0.0,
        "violation": "below",
        "action": "clip",
        "latency_us": 120,
    }
    return Prediction(**given | changes)


def label(number: int, value: float, hours: float) -> Label:
    return Label(prediction_id=f"p{number}", value=value, at=START + timedelta(hours=hours))


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    """An empty log."""
    return PredictionLog(tmp_path / "predictions")


def write(log: PredictionLog, records: Sequence[Prediction | Label], worker: str = "w") -> None:
    writer = log.writer(worker)
    writer.append([row for row in records if isinstance(row, Prediction)])
    writer.append_labels([row for row in records if isinstance(row, Label)])
    writer.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def write_on(writer: spool.PredictionWriter, numbers: range) -> None:
    """Appends one by one, and lets each change to another spool happen before the next."""
    for number in numbers:
        writer.append([prediction(number)])
        wait_until(lambda: writer._changing is None)


def ids(frame: pl.DataFrame) -> list[str]:
    return frame.get_column("id").to_list()


def test_empty_log_answers_with_empty_tables(log: PredictionLog) -> None:
    """Reading creates nothing, and an unknown model has the columns of a known one."""
    assert log.predictions("demand", ALL).schema == pl.Schema(PREDICTION_SCHEMA)
    assert log.labels().columns == ["prediction_id", "value", "at", "target", "text"]
    assert log.labelled("demand", ALL, as_of=START).is_empty()
    assert (log.roll(), log.find("p1"), log.damages(), log.root.exists()) == (0, [], (), False)


@pytest.mark.parametrize("rolled", [False, True])
def test_a_row_comes_back_as_it_was(log: PredictionLog, rolled: bool) -> None:
    """Every field survives, rolled or not, as a row and as a value."""
    full = prediction(3, key="user-7", error="boom", inputs={"a": 1, "b": 0.5, "c": "x", "d": True, "e": None})
    poor = prediction(3, version=2, role="challenger", answered=False, share=0.1, inputs={}, raw=None, output=None)
    write(log, [full, poor])
    if rolled:
        assert log.roll() == 2
    frame = log.predictions("demand", ALL)
    assert frame.columns == [*PREDICTION_SCHEMA, "in.a", "in.b", "in.c", "in.d", "in.e"]
    assert frame.row(0, named=True)["in.a"] == 1
    found = log.find("p3")
    assert found[0] == full
    assert replace(found[1], inputs={}) == poor
    assert set(found[1].inputs.values()) <= {None}  # beside rows that have inputs, one without has them as None


def test_window_versions_and_order(log: PredictionLog) -> None:
    """The start belongs to a window and the end does not; rows come by time, id and version, from all workers."""
    write(log, [prediction(n, version=v) for n in range(48, 0, -1) for v in (2, 1)], "a")
    log.roll()
    write(log, [prediction(n) for n in (5, 60)], "b")
    window = Window(START + timedelta(hours=4), START + timedelta(hours=7))
    frame = log.predictions("demand", window)
    assert list(zip(ids(frame), frame["version"], strict=True)) == [
        ("p4", 1), ("p4", 2), ("p5", 1), ("p5", 1), ("p5", 2), ("p6", 1), ("p6", 2),
    ]  # fmt: skip
    assert ids(log.predictions("demand", window, versions=[2])) == ["p4", "p5", "p6"]
    assert ids(log.predictions("demand", Window(window.start + timedelta(days=2), ALL.end))) == ["p60"]
    assert log.predictions("other", ALL).is_empty()


def test_one_file_for_each_model_and_day_of_a_roll(log: PredictionLog) -> None:
    """A roll packs what it gets, however many batches and workers it came in."""
    for worker in ("a", "b"):
        write(log, [prediction(n) for n in range(48)] + [prediction(n, model="other") for n in range(24)], worker)
    log.roll()
    files = sorted(path.relative_to(log.root).as_posix() for path in log.root.rglob("*.parquet"))
    assert files == [
        "rows/demand/2011-01-01/00000001.parquet",
        "rows/demand/2011-01-02/00000001.parquet",
        "rows/other/2011-01-01/00000001.parquet",
    ]
    assert log.roll() == 0
    assert pl.scan_parquet(log.root / "rows" / "demand" / "*" / "*.parquet").collect().height == 96


def test_a_day_costs_no_more_when_the_log_grows_old(log: PredictionLog) -> None:
    """Rolled once a day, a query of a day reads its own month only: the files of all others may be gone."""
    with contextlib.closing(log.writer("w")) as writer:
        for day in range(90):
            writer.append([prediction(24 * day + hour) for hour in range(24)])
            assert log.roll() == 24
    assert len(list(log.root.rglob("*.parquet"))) == 90
    for file in log.root.rglob("*.parquet"):
        if not file.parent.name.startswith("2011-02"):
            file.unlink()
    window = Window(datetime(2011, 2, 3, tzinfo=UTC), datetime(2011, 2, 4, tzinfo=UTC))
    assert PredictionLog(log.root).predictions("demand", window).height == 24


def test_inputs_that_change_their_type_stay_readable(log: PredictionLog) -> None:
    """Integers become floats beside floats, and numbers text beside text, within a roll and across rolls."""
    for number, value in enumerate([1, 2.5, None, "x"]):
        write(log, [prediction(number, inputs={"a": value})])
        log.roll()
    write(log, [prediction(4, inputs={"a": 2**63, "b": True}), prediction(5, inputs={"a": True, "b": "t"})])
    one, half, none, text, large, true = log.predictions("demand", ALL)["in.a"].to_list()
    assert (none, text) == (None, "x")
    assert [float(value) for value in (one, half, large, true)] == [1, 2.5, 2**63, 1]
    assert log.predictions("demand", ALL)["in.b"].to_list() == [None] * 4 + ["True", "t"]


def test_record_that_cannot_be_written_is_refused_by_name(log: PredictionLog) -> None:
    """What does not fit the format is an error of the caller, and leaves nothing of its batch behind."""
    writer = log.writer("w")
    with pytest.raises(UsageError, match="'p2'"):
        writer.append([prediction(1), prediction(2, inputs={"a": 2**70})])
    writer.close()
    assert log.roll() == 0


def test_latest_label_wins_as_of_each_moment(log: PredictionLog) -> None:
    """A corrected label counts from when it arrived; of two at the same moment, the one appended later."""
    write(log, [prediction(1), prediction(2), label(1, 10, 5), label(1, 20, 9), label(2, 1, 7), label(2, 2, 7)])

    def truths(hours: float) -> list[tuple[str, float]]:
        rows = log.labelled("demand", ALL, as_of=START + timedelta(hours=hours))
        return list(zip(ids(rows), rows["label"], strict=True))

    for _ in range(2):
        assert truths(4) == []
        assert truths(5) == [("p1", 10)]
        assert truths(8.9) == [("p1", 10), ("p2", 2)]
        assert truths(9) == [("p1", 20), ("p2", 2)]
        assert log.labels()["value"].to_list() == [2, 20]
        log.roll()


def test_each_request_is_told_once_with_its_first_label_and_the_latest(log: PredictionLog) -> None:
    """How late a label was is when it first came; what it says is what it was corrected to. Two versions are one."""
    beside = prediction(2, version=2, role="challenger", answered=True, output=7.0)
    write(log, [prediction(1), prediction(2, answered=False), beside, prediction(3), label(2, 10, 5), label(2, 20, 30)])
    for _ in range(2):
        rows = log.arrivals("demand", ALL, as_of=START + timedelta(hours=40))
        assert ids(rows) == ["p1", "p2", "p3"]
        assert rows["label"].to_list() == [None, 20, None]
        assert rows["label_at"].to_list() == [None, START + timedelta(hours=5), None]
        assert rows["output"].to_list() == [0.0, 7.0, 0.0]
        assert log.arrivals("demand", ALL, as_of=START + timedelta(hours=9))["label"].to_list() == [None, 10, None]
        log.roll()


def test_a_label_after_its_time_does_not_hide_the_one_in_time(log: PredictionLog) -> None:
    """A correction that comes too late for a day leaves what was known, rolled or not, and whoever asks."""
    late = 24 * 30.0
    write(log, [prediction(1), prediction(2), label(1, 10, 5), label(1, 20, 30), label(1, 99, late), label(2, 7, late)])
    for _ in range(2):
        rows = log.labelled("demand", ALL, as_of=START + timedelta(days=90), within=timedelta(days=7))
        assert list(zip(ids(rows), rows["label"], strict=True)) == [("p1", 20)]
        assert rows["label_at"].to_list() == [START + timedelta(hours=30)]
        rows = log.labelled("demand", ALL, as_of=START + timedelta(days=90), within=timedelta(days=29))
        assert list(zip(ids(rows), rows["label"], strict=True)) == [("p1", 99), ("p2", 7)]
        log.roll()


def test_labels_of_a_stretch_read_no_older_months(log: PredictionLog) -> None:
    """A label before the stretch is not given, a corrected one with what it was corrected to; old files may be gone."""
    write(log, [label(1, 10, 5), label(2, 1, 24 * 70), label(3, 1, 24 * 71), label(1, 20, 24 * 72)])
    log.roll()
    since = START + timedelta(days=70, hours=1)
    for file in log.root.glob("labels/2011-01-*/*"):
        file.unlink()
    rows = PredictionLog(log.root).labels(since=since)
    assert list(zip(rows["prediction_id"], rows["value"], strict=True)) == [("p3", 1), ("p1", 20)]
    assert log.labels(since=since, until=START + timedelta(days=71))["prediction_id"].to_list() == ["p3"]


def test_times_are_kept_in_utc(log: PredictionLog) -> None:
    """A time of another zone is the same moment in UTC; one without a zone is refused by name."""
    zone = datetime.fromisoformat("2011-01-02T01:00+03:00")
    write(log, [prediction(1, at=zone)])
    log.roll()
    assert log.find("p1")[0].at == zone
    assert (log.root / "rows" / "demand" / "2011-01-01").is_dir()
    with pytest.raises(UsageError, match="'p1'"):
        prediction(1, at=datetime(2011, 1, 1))  # noqa: DTZ001
    with pytest.raises(UsageError, match="'p1'"):
        Label(prediction_id="p1", value=1, at=datetime(2011, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x", "a b"])
def test_names_that_are_no_file_names_are_refused(log: PredictionLog, name: str) -> None:
    """Neither a worker nor a model can lead out of the log's folder."""
    with pytest.raises(UsageError, match="worker"):
        log.writer(name)
    with pytest.raises(UsageError, match="model"):
        prediction(1, model=name)


def test_finished_spools_go_and_their_names_never_come_back(log: PredictionLog) -> None:
    """A closed, rolled spool is removed; the open one stays; a later writer gets a new number."""
    write(log, [prediction(1)])
    open_writer = log.writer("w")
    open_writer.append([prediction(2)])
    assert log.roll() == 2
    assert [path.name for path in spool.spools(log.root)] == ["w-2.journal"]
    open_writer.append([prediction(3)])
    open_writer.close()
    assert log.roll() == 1
    assert spool.spools(log.root) == []
    write(PredictionLog(log.root), [prediction(4)])
    assert [path.name for path in spool.spools(log.root)] == ["w-3.journal"]
    assert ids(log.predictions("demand", ALL)) == ["p1", "p2", "p3", "p4"]


def test_large_spool_is_followed_by_the_next(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that lives long does not keep one file for ever."""
    monkeypatch.setattr(spool, "LARGEST_SPOOL_BYTES", 2000)
    writer = log.writer("w")
    write_on(writer, range(30))
    assert len(spool.spools(log.root)) > 2
    assert log.roll() == 30
    assert len(spool.spools(log.root)) == 1
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.append([prediction(1)])


def test_a_spool_that_cannot_be_followed_goes_on(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No room for another file: what comes is appended to the open one, and the change is tried again later."""
    monkeypatch.setattr(spool, "LARGEST_SPOOL_BYTES", 1000)
    monkeypatch.setattr(spool, "RETRY_BYTES", 3000)
    real, tries = os.open, []

    def full(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(".journal"):
            tries.append(path)
            raise OSError(28, "No space left on device")
        return real(path, *args, **options)

    writer = log.writer("w")
    monkeypatch.setattr(os, "open", full)
    write_on(writer, range(30))
    assert 1 < len(tries) < 6, "neither once for all nor at each append"
    assert caplog.text.count("No space left on device") == len(tries)
    monkeypatch.setattr(os, "open", real)
    write_on(writer, range(30, 60))
    writer.close()
    assert len(spool.spools(log.root)) > 1
    assert log.roll() == 60


def test_appends_do_not_wait_for_the_change_to_another_spool(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may take its time: what comes meanwhile goes to the spool that is open, and each row is there once."""
    monkeypatch.setattr(spool, "LARGEST_SPOOL_BYTES", 500)
    opened, go_on = threading.Event(), threading.Event()
    writer = log.writer("w")

    def slow(path: Path) -> JournalWriter:
        opened.set()
        assert go_on.wait(30)
        return JournalWriter(path)

    monkeypatch.setattr(spool, "JournalWriter", slow)
    for number in range(20):
        writer.append([prediction(number)])
    assert opened.wait(30)
    assert len(spool.spools(log.root)) == 1
    go_on.set()
    write_on(writer, range(20, 40))
    writer.close()
    assert len(spool.spools(log.root)) > 2
    assert log.roll() == 40
    assert sorted(ids(log.predictions("demand", ALL))) == sorted(f"p{number}" for number in range(40))


def test_a_full_disk_leaves_no_trail_of_spools(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the follower can be opened and not written, it is the one that is tried from then on."""
    monkeypatch.setattr(spool, "LARGEST_SPOOL_BYTES", 100)
    writer = log.writer("w")
    writer.append([prediction(1)])

    def broken(*args: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        for _ in range(5):
            with pytest.raises(StoreError, match="No space left"):
                writer.append([prediction(2)])
            wait_until(lambda: writer._changing is None)
    assert len(spool.spools(log.root)) == 2
    writer.append([prediction(3)])
    writer.close()
    assert ids(log.predictions("demand", ALL)) == ["p1", "p3"]


def test_prune_removes_whole_old_days_for_everyone(log: PredictionLog) -> None:
    """Days before the limit go, labels too, also for a reader that had them in memory; the limit's own day stays."""
    write(log, [prediction(n) for n in range(72)] + [label(n, 1, n) for n in range(72)])
    other = PredictionLog(log.root)
    assert other.predictions("demand", ALL).height == 72
    log.roll()
    assert other.predictions("demand", ALL).height == 72
    assert log.prune(START + timedelta(days=1, hours=5)) == 2
    assert other.predictions("demand", ALL).height == log.labels().height == 48
    assert log.prune(START) == 0


def test_damaged_bytes_are_named_and_the_rest_is_kept(log: PredictionLog) -> None:
    """Damage in a spool costs the damaged append and no other; the file stays for whoever wants to look."""
    with contextlib.closing(log.writer("w")) as writer:
        for number in range(3):
            writer.append([prediction(number)])
    (path,) = spool.spools(log.root)
    data = bytearray(path.read_bytes())
    data[data.index(b"p1")] ^= 1
    path.write_bytes(data)
    assert ids(log.predictions("demand", ALL)) == ["p0", "p2"]
    assert log.roll() == 2
    assert ids(log.predictions("demand", ALL)) == ["p0", "p2"]
    third = len(data) // 3
    assert log.damages() == (SpoolDamage(spool="w-1.journal", start=third, end=2 * third),)
    assert log.roll() == 0
    assert path.exists()


@pytest.mark.parametrize(
    "payload", [b"l\x91\x83\xadprediction_id\xc0\xa5value\x01\xa2at\xb42011-01-01T00:00:00Z", b"p\x91\x80", b"?"]
)
def test_a_sound_frame_that_holds_no_records_is_damage(log: PredictionLog, payload: bytes) -> None:
    """A label without an id, a prediction without fields, an unknown format: named and kept, and the rest goes on."""
    with contextlib.closing(log.writer("w")) as writer:
        writer.append([prediction(0)])
        writer._write(payload)
        writer.append([prediction(1)])
    (path,) = spool.spools(log.root)
    assert ids(log.predictions("demand", ALL)) == ["p0", "p1"]
    assert log.roll() == 2
    (damage,) = log.damages()
    assert path.read_bytes()[damage.start : damage.end].endswith(payload)
    assert (log.roll(), path.exists()) == (0, True)
    assert ids(log.predictions("demand", ALL)) == ["p0", "p1"]


@pytest.mark.parametrize("name", [None, 12, b"p1"])
def test_a_label_names_a_prediction(name: Any) -> None:
    """What is no text is refused before it can reach a spool."""
    with pytest.raises(UsageError, match="names no prediction"):
        Label(prediction_id=name, value=1.0, at=START)


def test_what_waited_long_is_rolled_in_parts(log: PredictionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits, in one spool or several, a roll holds no more than some of it, and keeps all."""
    monkeypatch.setattr("kairos.store.spooled._MOST_RECORDS", 25)
    held, real = list[int](), log._write

    def write_some(roll: int, records: list[Record | Predictions]) -> None:
        held.append(len(records))
        real(roll, records)

    monkeypatch.setattr(log, "_write", write_some)
    for worker in ("a", "b", "c"):
        with contextlib.closing(log.writer(worker)) as writer:
            for start in range(0, 100, 10):
                writer.append([prediction(number) for number in range(start, start + 10)])
            writer.append_labels([label(number, 1.0, number) for number in range(5)])
    assert log.roll() == sum(held) == 315
    assert max(held) < 25 + 10
    for reader in (log, PredictionLog(log.root)):
        assert sorted(ids(reader.predictions("demand", ALL))) == sorted([f"p{n}" for n in range(100)] * 3)
        assert reader.labels().height == 5
    assert (log.roll(), spool.spools(log.root)) == (0, [])


def test_a_log_that_rolls_beside_a_writer_stays_short(log: PredictionLog) -> None:
    """What waits is rolled once it is enough, and again: nobody has to ask."""
    writer = log.writer("w")
    with rolling(log.root, most_bytes=1, look_s=0.001):
        for turn in (1, 2):
            writer.append([prediction(turn)])
            wait_until(lambda: not waiting_bytes(log.root))
            assert len(list(log.root.rglob("*.parquet"))) == turn
    writer.append([prediction(3)])
    assert ids(log.predictions("demand", ALL)) == ["p1", "p2", "p3"]
    assert len(list(log.root.rglob("*.parquet"))) == 2
    writer.close()


def test_a_log_rolls_now_and_then_and_says_once_that_it_cannot(
    log: PredictionLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Little that waits is rolled too, when its time has come; what stands in the way is logged, and then gone."""
    write(log, [prediction(1)])
    (log.root / "state.json").write_text("{")
    with rolling(log.root, every_s=0.002, look_s=0.001):
        wait_until(lambda: bool(caplog.records))
        time.sleep(0.05)
        (log.root / "state.json").unlink()
        wait_until((log.root / "rows").exists)
    assert caplog.text.count("The prediction log cannot be rolled") == 1


@pytest.mark.parametrize("most_records", [20_000, 1])
@pytest.mark.parametrize("instruction", ["write_partitions", "SpoolState.write", "remove_if_finished"])
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_roll_cut_at_any_step_neither_loses_nor_doubles(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch, instruction: str, calls: int, most_records: int
) -> None:
    """Whatever step of a roll is the last one done, every row is there once, before and after the next roll."""

    class Cut(BaseException):
        """The power goes."""

    monkeypatch.setattr("kairos.store.spooled._MOST_RECORDS", most_records)
    for worker in ("a", "b"):
        write(log, [prediction(n) for n in range(30)] + [label(1, 5, 3)], worker)
    module, done = sys.modules["kairos.store.spooled"], 0
    target: Any = module
    *path, name = instruction.split(".")
    for part in path:
        target = getattr(target, part)
    real = getattr(target, name)

    def cutting(*args: Any) -> Any:
        nonlocal done
        if done == calls:
            raise Cut
        done += 1
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, cutting)
        with contextlib.suppress(Cut):
            log.roll()
    write(log, [prediction(30)], "c")
    expected = sorted([f"p{n}" for n in range(30)] * 2 + ["p30"])
    for reader in (log, PredictionLog(log.root)):
        assert sorted(ids(reader.predictions("demand", ALL))) == expected
        assert reader.labels().height == 1
    log.roll()
    log.roll()
    for reader in (log, PredictionLog(log.root)):
        assert sorted(ids(reader.predictions("demand", ALL))) == expected
        assert len(reader.find("p3")) == 2
    assert spool.spools(log.root) == []
