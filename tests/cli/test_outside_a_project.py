"""Where there is no project, every command says how to begin one, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.said import TypeIn

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (),
    "runs": (),
    "diff": ("r1", "r2"),
    "models": (),
    "gate": ("demand",),
    "deploy": ("demand@1",),
    "rollback": ("demand",),
    "live": (),
    "serve": (),
    "up": (),
    "watch": (),
    "labels": ("labels.csv",),
    "explain": ("p1",),
    "ledger log": (),
    "ledger verify": (),
    "report": (),
    "replay": (),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_how_to_begin(tmp_path: Path, type_in: TypeIn, command: str) -> None:
    """Usage, with what to type; no traceback, no folder that would make this place look like a project."""
    words = (*command.split(), *COMMANDS[command])
    said = type_in(tmp_path, *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        "error: This is not a Kairos project.",
        f"  given:    {tmp_path}",
        "  accepted: a folder with kairos.toml, or one below it",
        "  Type: kairos init NAME",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_it_says_so_to_machines(tmp_path: Path, type_in: TypeIn, command: str) -> None:
    """The same error, with the same code everywhere."""
    said = type_in(tmp_path, *command.split(), *COMMANDS[command], "--json")
    assert (said.code, said.out, said.error["code"]) == (2, "", "usage_error")
    assert said.error["hint"] == "Type: kairos init NAME"


def test_a_folder_that_is_not_there_is_no_project(tmp_path: Path, type_in: TypeIn) -> None:
    """Nor is it made."""
    said = type_in(tmp_path / "nowhere", "live")
    assert (said.code, said.err.splitlines()[0]) == (2, "error: This is not a Kairos project.")
    assert not (tmp_path / "nowhere").exists()


def test_init_says_what_to_type_next(tmp_path: Path, type_in: TypeIn) -> None:
    """And refuses to do it twice."""
    said = type_in(tmp_path, "init", "mine")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == ["mine is a project now. Next:", "  cd mine", "  kairos run"]
    again = type_in(tmp_path, "init", "mine", "--json")
    assert (again.code, again.out, again.error["code"]) == (2, "", "usage_error")
    other = type_in(tmp_path, "init", "other", "--json")
    assert other.json == {"project": str(tmp_path / "other")}
    assert type_in(tmp_path, "init", "third", "--example", "bkes", "--json").error["hint"] == "Did you mean 'bikes'?"
