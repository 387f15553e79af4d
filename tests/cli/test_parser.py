"""Every command can be asked what it does, and names a function that does it."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from kairos import __version__
from kairos.cli import main
from kairos.cli.parser import make_parser


def commands(
    parser: argparse.ArgumentParser | None = None,
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command by its words, with its own parser."""
    for action in (parser or make_parser())._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield (name,), inner
                yield from (((name, *words), one) for words, one in commands(inner))


COMMANDS = dict(commands())
LEAVES = {words: parser for words, parser in COMMANDS.items() if words not in (("ledger",), ("store",))}


def test_the_commands_are_those_that_the_page_lists() -> None:
    """A command that is added here is added there, and the reverse."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = {word for cell in cells for word in re.findall(r"`([a-z]+)", cell)}
    assert listed == {words[0] for words in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence of its own, with every option that it takes; ``%`` in a help breaks nothing."""
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"usage: kairos {' '.join(words)} ")
    description = COMMANDS[words].description
    assert description
    assert description.split()[0] in said.out
    for action in COMMANDS[words]._actions:
        if action.help != argparse.SUPPRESS:
            assert all(option in said.out for option in action.option_strings)


def test_the_whole_help_names_every_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit codes."""
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for words in COMMANDS:
        assert f"\n    {words[0]} " in told
    for code in ("0 done", "1 error", "2 usage", "3 the gate failed", "4 the gate holds"):
        assert code in " ".join(told.split())


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_a_function(words: tuple[str, ...]) -> None:
    """Which is found by its name when it is needed, not before."""
    module, _, function = LEAVES[words].get_default("execute").partition(":")
    assert callable(getattr(import_module(f"kairos.cli.{module}"), function))
    assert function in import_module(f"kairos.cli.{module}").__all__


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_takes_json(words: tuple[str, ...]) -> None:
    """One option for machines, everywhere under the same name."""
    assert "--json" in LEAVES[words]._option_string_actions


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The package's."""
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert (stopped.value.code, capsys.readouterr().out) == (0, f"kairos {__version__}\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "COMMAND"),
        (("rn",), "invalid choice: 'rn'"),
        (("ledger",), "ACTION"),
        (("ledger", "vrify"), "invalid choice: 'vrify'"),
        (("gate",), "MODEL[@N]"),
        (("live", "--ta", "2012"), "--ta"),
        (("runs", "-n", "many"), "-n"),
        (("serve", "--port", "http"), "--port"),
        (("deploy", "a@1", "b@2"), "b@2"),
    ],
)
def test_what_cannot_be_parsed_is_usage(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the words in question on stderr, nothing on stdout; to a machine an error like any other."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert complaint in said.err
    assert said.err.startswith("usage: kairos")
    assert main([*words, "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error = json.loads(said.err)["error"]
    assert error["code"] == "usage_error"
    assert complaint in error["message"]


def test_a_command_is_parsed_alike_when_only_its_kind_was_made() -> None:
    """What is typed decides what is made ready; no command is forgotten, and a wrong one is told of all."""
    for words in COMMANDS:
        made = dict(commands(make_parser(words)))
        assert len(made) < len(COMMANDS)
        assert made[words].format_help() == COMMANDS[words].format_help()
    assert dict(commands(make_parser(["no-such"]))).keys() == COMMANDS.keys()
