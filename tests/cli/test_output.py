"""What comes out is the same on a screen and in a pipe, and a reader who has seen enough disturbs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos.app.project import Project
from kairos.app.story import PolicyLine, Story
from kairos.cli.output import moment, show_json, table
from kairos.cli.progress import Screen
from kairos.ledger import Entry
from kairos.values import Window, unplain
from tests.cli.said import TypeIn

COMMAND = (sys.executable, "-m", "kairos.cli")
HEAVY = {"numpy", "scipy", "polars", "pandas", "sklearn", "mlflow", "sqlalchemy", "rich", "starlette", "uvicorn",
         "jinja2", "altair", "msgspec", "yaml"}  # fmt: skip
START = datetime(2012, 1, 2, tzinfo=UTC)


def loaded(*words: str) -> set[str]:
    """Heavy libraries that a command loads."""
    program = (
        "import sys; from kairos.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.split())


def test_help_loads_no_heavy_library() -> None:
    """Nor anything of the project's rooms but the parser and the errors."""
    assert loaded("--help") == set()
    assert loaded("deploy", "--help") == set()


def test_looking_at_the_ledger_loads_no_heavy_library(toy: Path) -> None:
    """What is live is asked for in a hurry."""
    assert loaded("-C", str(toy), "live") == set()
    assert loaded("-C", str(toy), "ledger", "log") == set()


def test_into_a_pipe_the_same_is_printed(toy: Path, type_in: TypeIn) -> None:
    """No colours, no bar, and the whole width."""
    done = subprocess.run([*COMMAND, "models"], cwd=toy, capture_output=True, text=True, check=True)
    assert done.stdout == type_in(toy, "models").out
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["version", "stage", "share", "gate", "origin", "run", "registered"]
    assert [row.split()[:2] for row in rows] == [
        ["demand@4", "registered"],
        ["demand@3", "registered"],
        ["demand@2", "registered"],
        ["demand@1", "live"],
    ]


def test_a_reader_who_has_seen_enough_disturbs_nothing(toy: Path) -> None:
    """As ``head`` does: no traceback, no complaint at the exit."""
    project = Project(toy, actor="tester")
    for number in range(2000):  # more than a pipe holds
        project.tell("note", subject="demand", body={"text": "x" * 100, "number": number})
    reader, writer = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "ledger", "log", "-n", "5000", "--json"], cwd=toy, stdout=writer, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writer)
        assert os.read(reader, 1) == b"["
        os.close(reader)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


def test_a_reader_who_is_gone_before_anything_is_printed_disturbs_nothing(toy: Path) -> None:
    """A short answer stays in the buffer until the end; the end must not complain either."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "live"], cwd=toy, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_130(toy: Path, sign: signal.Signals) -> None:
    """Ctrl-C in the middle of it, or what a service manager sends: one word, no traceback."""
    program = (
        "import signal, sys\n"
        "from kairos.app.project import Project\n"
        "from kairos.cli import main\n"
        "def state(self):\n"
        "    print('here', flush=True)\n"
        "    signal.pause()\n"
        "Project.state = state\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, "models"], cwd=toy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(sign)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "stopped\n")


cells = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=8)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=5))
def test_columns_line_up(capsys: pytest.CaptureFixture[str], rows: Sequence[tuple[str, str, str]]) -> None:
    """Each begins where its head begins; nothing is cut; no blank at the end of a line."""
    capsys.readouterr()
    table(("a", "b", "c"), rows)
    head, *lines = capsys.readouterr().out.split("\n")[:-1]
    assert len(lines) == len(rows)
    at = [head.index(name) for name in "abc"]
    for line, row in zip(lines, rows, strict=True):
        assert [line[start : start + len(cell)] for start, cell in zip(at, row, strict=True)] == list(row)
        assert line == line.rstrip()


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_json_is_json_and_loses_nothing(capsys: pytest.CaptureFixture[str], value: object) -> None:
    """What is not a number is tagged, never written as ``NaN``, which no parser but Python's reads."""
    capsys.readouterr()
    show_json(value)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = unplain(json.loads(capsys.readouterr().out, parse_constant=refuse))
    assert repr(found) == repr(value)


def test_a_moment_is_utc() -> None:
    """To the minute, as it is typed with ``--at``."""
    assert moment(START) == "2012-01-02 00:00"


def entry(kind: str, subject: str, **body: object) -> Entry:
    """A fact, told on the first Monday of 2012."""
    return Entry(
        seq=1, at=START, kind=kind, subject=subject, actor="kairos", body=dict(body), prev="0" * 64, hash="1" * 64
    )


STORY = Story(
    project="toy",
    title="demand",
    span=Window(START, START.replace(day=9)),
    seed=0,
    unit="users",
    loss_unit="users",
    days=(),
    hours=(),
    decisions=(),
    policies=(
        PolicyLine(name="Kairos", loss=46.24, deployments=7, impossible_predictions=0, note="[red]3 stopped[/red]"),
        PolicyLine(name="never retrain", loss=85.4, deployments=1, impossible_predictions=0),
    ),
    places={"ledger": ".kairos/ledger.db"},
    ledger_head=214,
    ledger_hash="ab" * 32,
)


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What went to a stdout that is no terminal, eighty columns wide."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda: capsys.readouterr().out


def test_without_a_terminal_a_replay_prints_lines(stdout: Callable[[], str]) -> None:
    """A line a decision, whole however long; no bar, no colour, no cursor that moves."""
    reason = "worse on 300 requests that both answered: " + "very " * 30 + "[bold]much[/bold]"
    with Screen() as screen:
        screen.stage("the first model [1]")
        screen.progress(0.5)
        screen.fact(entry("stage.changed", "demand@2", to="rolled_back", share=0, verdict="fail", reasons=[reason]))
        screen.progress(1.0)
    told = stdout()
    lines = told.split("\n")
    assert lines[0] == "the first model [1]"
    assert lines[1] == f"2012-01-02  stage   demand@2    rolled back: {reason}"
    assert "\x1b" not in told
    assert "\r" not in told
    assert "traffic" not in told


def test_a_replay_tells_what_was_decided_and_not_every_fact(stdout: Callable[[], str]) -> None:
    """Runs, registrations and mild findings are in the ledger for those who look."""
    with Screen() as screen:
        screen.fact(entry("version.registered", "demand@1", run="r1", reasons=[]))
        screen.fact(entry("finding", "demand", level="warn", sentence="mild"))
        screen.fact(entry("finding", "demand", level="alarm", sentence="harm"))
        screen.fact(entry("run.failed", "r1", failure={"step": "a", "message": "b"}))
    told = stdout()
    assert "alarm: harm" in told
    assert "stopped at a: b" in told
    assert "mild" not in told
    assert "demand@1" not in told


def test_the_figures_at_the_end(stdout: Callable[[], str]) -> None:
    """Each policy in a row, notes as they were written, and the ledger's head in full."""
    with Screen() as screen:
        screen.figures(STORY)
    told = stdout()
    assert "2012-01-02 to 2012-01-09" in told
    assert "46.2" in told
    assert "85.4" in told
    assert "  Kairos:        [red]3 stopped[/red]" in told
    assert f"entry 214, {'ab' * 32}" in told


def test_quiet_is_quiet(stdout: Callable[[], str]) -> None:
    """With ``--json`` nothing but JSON may come out."""
    with Screen(quiet=True) as screen:
        screen.stage("x")
        screen.progress(0.3)
        screen.fact(entry("finding", "demand", level="alarm", sentence="harm"))
        screen.figures(STORY)
    assert stdout() == ""
