"""The experiment record follows the ledger; whatever fails there, nothing is lost and nothing is told wrongly."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.app import recording
from kairos.app.deploying import deploy, rollback
from kairos.app.recording import Record
from kairos.app.set_aside import notes_of_refused
from kairos.cli import main
from kairos.errors import AdapterError, AdapterMissing
from kairos.experiments.ports import RunRecord, VersionRecord
from kairos.testing import MemoryRecorder
from tests.app.worlds import Stock, World


class Flaky(MemoryRecorder):
    """A record that is down for some of its calls; what it refuses it does not keep."""

    def __init__(self, down: Mapping[int, bool] | None = None) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._down = down or {}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self._down.get(len(self.calls), False):
            raise AdapterError("The record is down.")

    def record_run(self, record: RunRecord) -> None:
        """Keeps it or fails."""
        self._call(f"run {record.run}")
        super().record_run(record)

    def record_version(self, record: VersionRecord) -> None:
        """Keeps it or fails."""
        self._call(f"version {record.ref}")
        super().record_version(record)

    def set_aliases(self, model: str, aliases: Mapping[str, int | None]) -> None:
        """Sets them or fails."""
        self._call(f"aliases {model}")
        super().set_aliases(model, aliases)

    def close(self) -> None:
        """Confirms or fails."""
        self._call("close")


def some_past(world: World) -> None:
    """Three versions: the first retired, the second live, the third on trial."""
    for level in (260.0, 200.0):
        world.live(level)
    deploy(world.project, world.passed(205.0))


def held(recorder: MemoryRecorder) -> dict[str, Any]:
    """What a record holds."""
    return {
        "runs": list(recorder.runs),
        "versions": {model: sorted(numbers) for model, numbers in recorder.versions.items()},
        "aliases": recorder.aliases,
    }


def test_a_record_is_told_everything_in_order(world: World) -> None:
    """Runs before their versions; aliases as they stand at the end, under MLflow's names."""
    some_past(world)
    recorder = Flaky()
    assert Record.is_behind(world.project)
    with Record(world.project, recorder):
        pass
    assert not Record.is_behind(world.project)
    assert held(recorder) == {
        "runs": [entry.subject for entry in world.facts("run.finished")],
        "versions": {"demand": [1, 2, 3]},
        "aliases": {"demand": {"champion": 2, "challenger": 3}},
    }
    assert recorder.calls[0].startswith("run ")
    assert recorder.calls[-1] == "close"


def test_a_version_is_recorded_with_its_package_metrics_and_run(world: World) -> None:
    """The files are those of the store."""
    ref = world.passed()
    recorder = MemoryRecorder()
    with Record(world.project, recorder):
        pass
    record = recorder.versions["demand"][1]
    assert (record.ref, record.run, record.metrics) == (
        ref,
        world.facts("run.finished")[0].subject,
        {"demand.absolute_error": 20.0},
    )
    assert (record.package_folder / "kairos" / "spec.json").is_file()


def test_nothing_is_told_twice(world: World) -> None:
    """A second record, in another process, begins where the first has confirmed."""
    some_past(world)
    with Record(world.project, MemoryRecorder()):
        pass
    again = Flaky()
    with Record(world.again().project, again):
        pass
    assert again.calls == ["close"]
    rollback(world.project, "demand", reason="no")
    news = Flaky()
    with Record(world.project, news):
        news.versions = {"demand": dict.fromkeys((1, 2, 3))}  # type: ignore[dict-item]
    assert news.calls == ["aliases demand", "close"]
    assert news.aliases == {"demand": {"champion": 2}}


def test_what_only_close_refuses_is_told_again(world: World) -> None:
    """A record that lags confirms at the end; until then nothing counts as told."""
    some_past(world)
    silent = Flaky()
    with Record(world.project, silent):
        pass
    (world.project.home / "recorded.json").unlink()
    flaky = Flaky({len(silent.calls): True})
    with pytest.raises(AdapterError, match="down"), Record(world.project, flaky):
        pass
    assert Record.is_behind(world.project)
    again = Flaky()
    with Record(world.project, again):
        pass
    assert again.calls == silent.calls


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(down=st.dictionaries(st.integers(1, 30), st.booleans(), max_size=12))
def test_an_outage_at_any_moment_loses_nothing(tmp_path_factory: Any, stock: Stock, down: dict[int, bool]) -> None:
    """Told again until it is up, the record ends as one that was never down."""
    world = World(tmp_path_factory.mktemp("outage") / "toy", stock)
    steady, flaky = MemoryRecorder(), Flaky(down)
    some_past(world)
    for _ in range(20):
        try:
            with Record(world.project, flaky):
                pass
            break
        except AdapterError:
            assert Record.is_behind(world.project)
    (world.project.home / "recorded.json").unlink()
    with Record(world.project, steady):
        pass
    assert held(flaky) == held(steady)
    world.project.ledger.close()


class Picky(Flaky):
    """A record that does not take one thing, whatever comes after it."""

    def __init__(self, refuses: str, down: Mapping[int, bool] | None = None) -> None:
        super().__init__(down)
        self._refuses = refuses

    def _call(self, name: str) -> None:
        super()._call(name)
        if name == self._refuses:
            raise AdapterError(f"It does not take {name}.", given="a reason", refused=True)


def test_what_is_refused_for_what_it_is_is_set_aside_and_told_once(world: World) -> None:
    """With the reason; all that follows is recorded, and so is what has nothing to do with it."""
    some_past(world)
    first, *others = [entry.subject for entry in world.facts("run.finished")]
    picky = Picky(f"run {first}")
    with Record(world.project, picky):
        pass
    assert not Record.is_behind(world.project)
    assert list(picky.runs) == others
    notes = notes_of_refused(world.project)
    assert notes[0].startswith(f"the experiment record goes on without this: It does not take run {first}.")
    assert "The run of demand@1 was not recorded" in notes[1]
    assert "rm " in notes[-1]
    assert notes_of_refused(world.project) == [], "it was named"
    (world.project.home / "recorded.json").unlink()
    steady = MemoryRecorder()
    with Record(world.project, steady):
        pass
    assert list(steady.runs) == [first, *others], "nothing of it was lost here"


def test_a_refusal_beside_an_outage_is_noted_and_the_rest_is_told_again(world: World) -> None:
    """Once: of a run that was recorded without some of its parts nobody complains a second time."""
    some_past(world)
    first = world.facts("run.finished")[0].subject
    picky = Picky(f"run {first}", down={3: True})
    with pytest.raises(AdapterError, match="down"), Record(world.project, picky):
        pass
    assert Record.is_behind(world.project)
    assert [note for note in notes_of_refused(world.project) if first in note]
    with Record(world.project, picky):
        pass
    assert not [note for note in notes_of_refused(world.project) if f"run {first}" in note]
    assert len(picky.runs) == 2


def test_another_record_in_the_place_of_the_first_is_told_everything(world: World) -> None:
    """As when a server was given another database: in order, what was told to the first one before what is new."""
    world.live(260.0)
    first, second = MemoryRecorder(place="first"), MemoryRecorder(place="second")
    with Record(world.project, first):
        pass
    world.passed(205.0)
    with pytest.raises(AdapterError, match="another record"), Record(world.project, second):
        pass
    assert not second.runs
    with Record(world.project, second):
        pass
    assert list(second.runs) == [entry.subject for entry in world.facts("run.finished")]
    assert len(second.versions["demand"]) == 2


def test_a_record_at_another_address_is_told_everything(world: World) -> None:
    """A project that moves to its team's server brings its past along."""
    world.live(260.0)
    with Record(world.project, MemoryRecorder()):
        pass
    settings = world.root / "kairos.toml"
    settings.write_text(settings.read_text() + '\n[tracking]\nmlflow = "http://mlflow.example:5000"\n')
    moved = world.again().project
    assert Record.is_behind(moved)
    server = MemoryRecorder()
    with Record(moved, server):
        pass
    assert len(server.runs) == 1


def test_a_fact_that_nobody_can_tell_holds_up_nothing(world: World) -> None:
    """As of a version whose package is gone."""
    some_past(world)
    package = world.project.state().model("demand").version(2).package
    world.project.store.path(package).unlink()
    shutil.rmtree(world.project.home / "packages", ignore_errors=True)
    recorder = MemoryRecorder()
    with Record(world.project, recorder):
        pass
    assert not Record.is_behind(world.project)
    assert (len(recorder.runs), list(recorder.versions["demand"])) == (3, [1])
    assert "Nothing can be told of demand@2" in notes_of_refused(world.project)[0]


class _Adapter:
    """An entry point that opens a record which is down."""

    def load(self) -> Any:
        """What opens it."""

        def open_recorder(*_: Any, **__: Any) -> Any:
            raise AdapterError("MLflow does not answer.", given="http://mlflow.example:5000")

        return open_recorder


@pytest.fixture
def _outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIROS_RECORD", "wait")
    monkeypatch.setattr(recording, "entry_points", lambda **_: [_Adapter()])
    monkeypatch.setenv("KAIROS_RECORD", "wait")  # or another process asks it


@pytest.mark.usefixtures("_outage")
@pytest.mark.parametrize("words", [["deploy", "demand@3"], ["rollback", "demand"]])
def test_a_command_does_not_fail_because_the_record_is_down(
    world: World, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The fact is written, the exit code is 0, and a note on stderr says that the record lags behind."""
    world.live(260.0)
    world.live(200.0)
    world.passed(205.0)
    head = world.project.ledger.head()
    assert main(["-C", str(world.root), *words]) == 0
    said = capsys.readouterr()
    assert "Ledger entry" in said.out
    assert said.err.startswith("note: the experiment record lags behind the ledger: MLflow does not answer.")
    assert world.project.ledger.head() > head
    assert Record.is_behind(world.project)


def test_an_adapter_that_is_not_installed_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to type."""
    monkeypatch.setattr(recording, "entry_points", lambda **_: [])
    with pytest.raises(AdapterMissing, match="pip install kairos-ml"):
        Record(world.project)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"seq": null}', '{"seq": "x"}'])
def test_after_a_damaged_mark_everything_is_told_again(world: World, text: str) -> None:
    """It holds nothing but how far the record came, and a recorder takes the same fact twice."""
    world.passed()
    (world.project.home / "recorded.json").write_text(text)
    assert Record.is_behind(world.project)
    recorder = MemoryRecorder()
    with Record(world.project, recorder):
        pass
    assert list(recorder.versions["demand"]) == [1]
    assert not Record.is_behind(world.project)


def test_one_process_at_a_time_tells(world: World) -> None:
    """A second one waits, and then finds that all is told: nothing is recorded twice, and no package is in the way."""
    world.live(200.0)
    recorder = MemoryRecorder()
    first = Record(world.project, recorder)
    first.follow()
    with ThreadPoolExecutor(1) as pool:
        other = world.again().project
        second = pool.submit(lambda: Record(other, MemoryRecorder()).close())
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        first.close()
        second.result(timeout=30)
    assert not Record.is_behind(world.project)
