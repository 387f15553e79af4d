"""0 done, 1 error, 2 usage, 3 the gate failed, 4 the gate holds; and one shape of an error for machines."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kairos import errors
from kairos.app.project import Project
from kairos.cli import main
from kairos.cli.output import fail
from kairos.errors import KairosError, StepFailed
from kairos.ledger import SqliteLedger
from tests.cli.said import TypeIn

WRONG: dict[tuple[str, ...], tuple[int, str]] = {
    ("gate", "demand@0"): (2, "usage_error"),
    ("gate", "demand@9"): (1, "not_found"),
    ("gate", "deamnd"): (1, "not_found"),
    ("models", "deamnd"): (1, "not_found"),
    ("deploy", "demand@1"): (1, "transition_refused"),
    ("deploy", "demand@2"): (3, "transition_refused"),
    ("deploy", "demand@3", "--to", "canary:25%"): (4, "transition_refused"),
    ("deploy", "demand@4"): (4, "transition_refused"),
    ("deploy", "demand@9"): (1, "not_found"),
    ("deploy", "demand@3", "--to", "canary"): (2, "settings_error"),
    ("rollback", "demand"): (1, "transition_refused"),
    ("rollback", "other"): (1, "not_found"),
    ("live", "--at", "soon"): (2, "usage_error"),
    ("diff", "r1", "r2"): (1, "not_found"),
    ("diff", "demand@x", "demand@1"): (2, "usage_error"),
    ("run", "-p", "max_iter=3"): (2, "usage_error"),
    ("run", "--window", "2012"): (2, "usage_error"),
    ("labels", "nowhere.csv"): (1, "not_found"),
    ("explain", "nobody"): (1, "not_found"),
    ("why", "deamnd"): (1, "not_found"),
    ("why", "demand", "--at", "soon"): (2, "usage_error"),
    ("why", "demand", "--finding", "1"): (1, "not_found"),
    ("replay",): (2, "usage_error"),
    ("serve", "--port", "70000"): (2, "usage_error"),
    ("serve", "--replay", "soon"): (2, "usage_error"),
    ("serve", "--workers", "0"): (2, "usage_error"),
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_wrong_ends_with_its_code(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """For a person: what failed, on stderr, without a traceback."""
    said = type_in(toy, *words)
    assert said.code == WRONG[words][0]
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert said.err.endswith("\n")


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_an_error_is_one_json_object_of_one_shape(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """On stderr, and nothing on stdout: a machine never takes an error for an answer."""
    said = type_in(toy, *words, "--json")
    assert (said.code, said.error["code"]) == WRONG[words]
    assert said.out == ""
    assert list(said.error) == ["code", "message", "given", "accepted", "hint"]
    assert said.error["message"]
    assert all(value is None or isinstance(value, str) for value in said.error.values())


RIGHT = [
    ("models",),
    ("models", "demand"),
    ("live",),
    ("live", "--at", "2012-03-03"),
    ("runs",),
    ("ledger", "log"),
    ("ledger", "log", "--kind", "nothing"),
    ("ledger", "verify"),
]


@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_what_is_done_ends_with_0(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """Something is said, on stdout only; with ``--json``, JSON."""
    told, plain = type_in(toy, *words), type_in(toy, *words, "--json")
    assert (told.code, told.err, plain.code, plain.err) == (0, "", 0, "")
    assert told.out.strip()
    assert isinstance(plain.json, (list, dict))


@pytest.mark.parametrize("words", RIGHT, ids=" ".join)
def test_looking_changes_nothing(toy: Path, type_in: TypeIn, words: tuple[str, ...]) -> None:
    """No fact is written by a command that only reads."""
    before = SqliteLedger(toy / ".kairos" / "ledger.db").head()
    type_in(toy, *words)
    assert SqliteLedger(toy / ".kairos" / "ledger.db").head() == before


def test_a_command_works_from_any_folder_of_the_project(toy: Path, type_in: TypeIn) -> None:
    """As git does."""
    below = toy / "notebooks" / "old"
    below.mkdir(parents=True)
    assert type_in(below, "models").out == type_in(toy, "models").out


def test_a_broken_ledger_is_an_error_that_names_the_entry(toy: Path, type_in: TypeIn) -> None:
    """Exit code 1, and what is intact before it."""
    with sqlite3.connect(toy / ".kairos" / "ledger.db") as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("UPDATE entries SET actor = 'somebody else' WHERE seq = 3")
    told, plain = type_in(toy, "ledger", "verify"), type_in(toy, "ledger", "verify", "--json")
    assert (told.code, plain.code) == (1, 1)
    assert told.out.startswith("Entry 3 does not fit: ")
    assert "2 entries before it are intact" in told.out
    assert (plain.json["broken_seq"], plain.json["entries"]) == (3, 2)


def test_settings_that_cannot_be_read_are_usage(toy: Path, type_in: TypeIn) -> None:
    """With the key that is wrong."""
    (toy / "kairos.toml").write_text('[project]\nname = "toy"\nevry = "1d"\n')
    said = type_in(toy, "run", "--json")
    assert (said.code, said.error["code"]) == (2, "settings_error")
    assert said.error["hint"] == "Did you mean 'every'?"


def every_error(module: ModuleType = errors) -> list[type[KairosError]]:
    """Every class of the tree."""
    found = [getattr(module, name) for name in module.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, KairosError)]


texts = st.none() | st.text(max_size=20)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(every_error()),
    what=st.text(min_size=1, max_size=20),
    given_=texts | st.integers() | st.lists(st.floats()) | st.just(Path("x")),
    accepted=texts,
    hint=texts,
)
def test_every_error_has_the_same_shape(
    capsys: pytest.CaptureFixture[str], kind: type[KairosError], what: str, given_: Any, accepted: str, hint: str
) -> None:
    """One line of JSON, whatever is in it; for a person, each part that there is."""
    capsys.readouterr()
    error = kind(what, given=given_, accepted=accepted, hint=hint)
    assert fail(error, as_json=True) == kind.exit_code
    [line] = capsys.readouterr().err.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass").split("\n")[:-1]
    found = json.loads(line)["error"]
    assert list(found) == ["code", "message", "given", "accepted", "hint"]
    assert (found["message"], found["accepted"], found["hint"]) == (str(error), accepted, hint)
    assert found["given"] == (None if given_ is None else str(given_))
    assert fail(error, as_json=False) == kind.exit_code
    said = capsys.readouterr().err
    assert said.startswith(f"error: {what}")
    assert ("given:" in said) >= (given_ is not None)


def test_her_own_traceback_comes_before_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    """As Python would have shown it, and never ours."""
    error = StepFailed(
        "Step 'demand' failed: ValueError: no", traceback='  File "pipeline.py", line 3\nValueError: no\n'
    )
    assert fail(error, as_json=False) == 1
    assert capsys.readouterr().err.split("\n")[:3] == [
        '  File "pipeline.py", line 3',
        "ValueError: no",
        "error: Step 'demand' failed: ValueError: no",
    ]


def test_ctrl_c_ends_with_130(toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One word, no traceback; to a machine, an error like any other."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Project, "state", stop)
    assert main(["-C", str(toy), "models"]) == 130
    assert capsys.readouterr() == ("", "stopped\n")
    assert main(["-C", str(toy), "models", "--json"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["error"]["code"] == "stopped"
