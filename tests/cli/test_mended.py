"""No command answers with a traceback of ours, and none does a part of its work before it knows that it can do all."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

import kairos
from kairos.app.looping import Loop
from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from kairos.errors import UsageError
from tests.app.worlds import Stock, World
from tests.cli.said import TypeIn
from tests.e2e.commands import serving


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Packages that nobody writes to."""
    return Stock.make(tmp_path_factory.mktemp("stock"))


REFUSED: dict[tuple[str, ...], str] = {
    ("labels", "."): "Labels come from a file.",
    ("run", "--window", "2011-01-01..9999-12-31"): "A window ends after the last day there is.",
    ("gate", "demand@\N{SUPERSCRIPT TWO}"): "A version cannot be read.",
    ("report", "-o", "."): "A report is one file.",
    ("ledger", "log", "-n", "-1"): "'-1' is not a whole number from 1 on",
    ("ledger", "log", "-n", "0"): "'0' is not a whole number from 1 on",
    ("rebuild", "r1", "--tolerance", "-1"): "'-1' is not a number from 0 on",
    ("explain", "b1-0", "--rebuild", "--tolerance", "nan"): "'nan' is not a number from 0 on",
    ("runs", "-n", "-1"): "'-1' is not a whole number from 1 on",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_is_usage(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """One sentence that says what, and no traceback."""
    said = type_in(toy, *words)
    assert (said.code, said.out) == (2, "")
    assert REFUSED[words] in said.err
    assert "Traceback" not in said.err


def fail_with(error: Exception, patch: pytest.MonkeyPatch) -> None:
    """Lets every command that reads the state meet this error."""

    def state(*_: object, **__: object) -> None:
        raise error

    patch.setattr(Project, "state", state)


def test_an_error_of_ours_is_told_as_one_with_its_traceback_in_a_file(
    toy: Path, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that it can be reported; the screen has one error of the shape that all have."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(ValueError("maxlen must be non-negative\nand more"), monkeypatch)
    said = type_in(toy, "models")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: Kairos failed in a way that it should not; this is a defect of Kairos")
    assert "  given:    ValueError: maxlen must be non-negative\n" in said.err
    assert "Traceback (" not in said.err
    place = re.search(r"The traceback is in (\S+\.txt)\.", said.err)
    assert place is not None
    text = Path(place[1]).read_text()
    assert text.startswith("Traceback (most recent call last)")
    assert "in state\n" in text
    assert type_in(toy, "models", "--json").error["given"] == "ValueError: maxlen must be non-negative"


def test_a_traceback_is_shown_to_who_asks_for_it(toy: Path, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """``KAIROS_TRACEBACK=1``: the error goes on as Python has it."""
    monkeypatch.setenv("KAIROS_TRACEBACK", "1")
    fail_with(ZeroDivisionError("here"), monkeypatch)
    with pytest.raises(ZeroDivisionError, match="here"):
        type_in(toy, "models")


def test_an_error_of_the_machine_is_none_of_ours(toy: Path, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told with the file that it concerns, and nothing asks to be reported."""
    fail_with(OSError(28, "No space left on device", "/data/x"), monkeypatch)
    said = type_in(toy, "models")
    assert said.code == 1
    assert said.err.startswith("error: The system does not let Kairos go on: No space left on device.\n")
    assert "  given:    /data/x\n" in said.err
    assert "defect" not in said.err


@pytest.mark.parametrize("words", [("ledger", "--json", "log"), ("ledger", "log", "--json")], ids=" ".join)
def test_json_may_stand_before_or_after_the_action(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """Neither place is without effect."""
    assert [entry["seq"] for entry in type_in(toy, *words).json] == list(range(1, 9))


def test_up_takes_its_address_before_it_turns_the_loop(
    toy: Path, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot listen, nothing was trained or deployed when it says so."""
    turned: list[Loop] = []
    monkeypatch.setattr(Loop, "__enter__", turned.append)
    monkeypatch.setattr(Loop, "__exit__", lambda *_: None)
    said = type_in(toy, "up", "--host", "10.255.255.1", "--port", "1")
    assert said.code == 2
    assert "cannot listen at 10.255.255.1:1" in said.err
    assert not turned


def test_up_turns_the_loop_once_it_answers(toy: Path) -> None:
    """The first turn is logged: the package of this project is not there."""
    with serving(toy, "up") as server:
        assert server.get("/health/live").status_code == 200
        assert server.process.stderr is not None
        line = server.process.stderr.readline()
        while line and "The loop could not finish its turn" not in line:
            line = server.process.stderr.readline()
        assert line
        assert server.stop(signal.SIGTERM).code == 0


def test_a_report_goes_into_the_project_or_where_its_user_stands(
    tmp_path: Path, stock: Stock, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name into the project, from wherever it is asked for; a name is read as the shell would."""
    world = World(tmp_path / "toy", stock)
    version = world.live()
    world.day((version, 200.0))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert type_in(world.root, "report", "--json").json["report"] == str(world.root / "report.html")
    assert type_in(world.root, "report", "-o", "mine.html").out == "mine.html is written.\n"
    assert (world.root / "report.html").is_file()
    assert [path.name for path in Path.cwd().iterdir()] == ["mine.html"]


def test_a_replay_keeps_its_facts_where_its_user_says(
    toy: Path, tmp_path: Path, type_in: TypeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that she names is read from where she stands."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "ledger.db").touch()
    monkeypatch.chdir(tmp_path)
    said = type_in(toy, "replay", "--into", "used", "--json")
    assert said.error["given"] == str(tmp_path / "used")


STEPS = """\
from kairos import step


@step
def one() -> int:
    raise ValueError("no")


@step
def two(one) -> int:
    return one
"""


def test_a_failed_run_is_told_to_machines_on_stderr_too(tmp_path: Path, type_in: TypeIn) -> None:
    """The facts on stdout say what became of each step; the error is one object, as that of any other command."""
    (tmp_path / SETTINGS_FILE).write_text('[project]\nname = "toy"\n')
    (tmp_path / "pipeline.py").write_text(STEPS)
    said = type_in(tmp_path, "run", "--json")
    assert said.code == 1
    assert said.json["failure"]["step"] == "one"
    assert (said.error["code"], said.error["message"]) == (
        "step_failed",
        "Step 'one' failed (pipeline.py, line 6): ValueError: no",
    )
    person = type_in(tmp_path, "run").err
    assert "Traceback (most recent call last)" in person
    assert "error: Step 'one' failed (pipeline.py, line 6): ValueError: no\n" in person
    assert str(kairos.__path__[0]) not in person


def test_no_message_holds_a_place_in_memory(toy: Path, type_in: TypeIn) -> None:
    """Neither what was given nor what is said about it."""
    error = UsageError(f"{object()} is no step.", given=len, accepted="x")
    assert (error.what, error.given) == ("<object object> is no step.", len)
    error = UsageError(f"{object()} is no step.", given=[test_no_message_holds_a_place_in_memory], accepted="x")
    assert str(error) == (
        "<object object> is no step. Given: [<function test_no_message_holds_a_place_in_memory>]. Accepted: x."
    )
    (toy / "pipeline.py").write_text("from kairos import step\n@step\ndef one(*, how=object()) -> int: return 1\n")
    (toy / SETTINGS_FILE).write_text('[project]\nname = "toy"\n')
    said = type_in(toy, "run")
    assert said.code != 0
    assert "0x" not in said.err
