"""``approve``, ``freeze`` and ``unfreeze``, as a person types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.said import TypeIn


@pytest.fixture(autouse=True)
def ann(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who types."""
    monkeypatch.setenv("LOGNAME", "ann")


def test_an_approval_names_the_person_and_what_is_live(toy: Path, type_in: TypeIn) -> None:
    """The fact is printed with ``--json``."""
    assert type_in(toy, "approve", "demand@3", "--reason", "fine").out.startswith(
        "ann approved demand@3 in place of demand@1. Ledger entry "
    )
    entry = type_in(toy, "approve", "demand@3", "--reason", "bad", "--refuse", "--json").json
    assert (entry["actor"], entry["body"]["verdict"], entry["body"]["reason"]) == ("ann", "fail", "bad")
    assert "approved: fine" in type_in(toy, "ledger", "log", "--kind", "approval.decided").out


def test_a_freeze_is_told_where_one_asks_what_is_live(toy: Path, type_in: TypeIn) -> None:
    """With who, until when, and why, and no longer once it has ended."""
    said = type_in(toy, "freeze", "demand", "--reason", "a fair", "--until", "2100-01-01")
    assert said.out.startswith("demand does not go forward until 2100-01-01 00:00 UTC. It can be rolled back.")
    assert "  frozen by ann until 2100-01-01 00:00: a fair\n" in type_in(toy, "live").out
    [found] = type_in(toy, "live", "--json").json
    assert found["frozen_by"][0]["reason"] == "a fair"
    ended = type_in(toy, "unfreeze", "demand", "--reason", "over").out
    assert ended.startswith("The freeze by ann has ended: a fair\ndemand goes forward again")
    assert "frozen" not in type_in(toy, "live").out


def test_what_waits_ends_with_4_and_what_is_refused_with_3(toy: Path, type_in: TypeIn) -> None:
    """As for a gate, so that a script can tell."""
    type_in(toy, "freeze", "demand", "--reason", "a fair")
    override = ("--override", "why not", "--to", "shadow")
    type_in(toy, "approve", "demand@3", "--refuse", "--reason", "bad")
    assert type_in(toy, "deploy", "demand@3", *override).code == 3
    type_in(toy, "approve", "demand@3", "--reason", "good")
    settings = toy / "kairos.toml"
    settings.write_text(settings.read_text() + "\n[control]\napprovals = 2\napprove_before = 'shadow'\n")
    said = type_in(toy, "deploy", "demand@3", *override)
    assert said.code == 4
    assert "waits for approval by two people. The approval by ann does not count: ann takes this step." in said.err


def test_without_a_reason_nothing_is_done(toy: Path, type_in: TypeIn) -> None:
    """It is a mistake in typing."""
    for words in (("approve", "demand@3"), ("freeze", "demand"), ("unfreeze", "demand")):
        assert type_in(toy, *words).code == 2


def test_past_decisions_are_made_again(toy: Path, type_in: TypeIn) -> None:
    """One or all; a ledger entry that is no number is a mistake in typing."""
    said = type_in(toy, "decide", "--replay", "all")
    assert (said.code, said.out.splitlines()[0]) == (0, "4 decisions: 0 come out identical to the byte, 0 differ.")
    assert type_in(toy, "decide", "--replay", "2").out.startswith("2 gate.decided demand@1: unknown")
    assert type_in(toy, "decide", "--replay", "2", "--json").json[0]["outcome"] == "unknown"
    assert type_in(toy, "decide", "--replay", "x").code == 2
    assert type_in(toy, "decide", "--replay", "1").code == 1
