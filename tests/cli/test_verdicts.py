"""``kairos gate``: a screen, the explanation, Markdown, JSON, and decisions of the past."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kairos.cli.delivering import column_row
from kairos.models.signature import Column
from tests.app.worlds import Stock, World
from tests.cli.said import TypeIn
from tests.gates.test_gate_again import OLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """A project with a champion, and a better and a worse version."""

    root: Path
    old_entry: int
    """A gate's decision in the first format."""


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Judging:
    """``demand@1`` is live and says 205, ``demand@2`` says 200, ``demand@3`` says 260."""
    world = World(tmp_path_factory.mktemp("verdicts") / "toy", Stock.make(tmp_path_factory.mktemp("stock")))
    world.live(205.0)
    world.register(200.0)
    world.register(260.0)
    entry = world.project.tell("gate.decided", subject="demand@1", body=OLD[0])
    world.project.close()
    return Judging(root=world.root, old_entry=entry.seq)


def test_a_verdict_fits_on_one_screen(judging: Judging, type_in: TypeIn) -> None:
    """Two sentences, a table, the package, and what to type next; the exit code is the verdict."""
    said = type_in(judging.root, "gate", "demand@2")
    lines = said.out.splitlines()
    assert lines[0].startswith("demand@2 against demand@1: ")
    assert len(lines) < 30
    assert "mean absolute error" in said.out
    assert "package: " in said.out
    assert type_in(judging.root, "gate", "demand@3").code == 3


def test_the_whole_of_it_is_told_on_request(judging: Judging, type_in: TypeIn) -> None:
    """For the statistician, and as Markdown for an archive: the same bytes each time."""
    explained = type_in(judging.root, "gate", "demand@3", "--explain").out
    for part in ("Assumptions", "What would change the verdict", "degrees of freedom"):
        assert part in explained
    one, two = (type_in(judging.root, "gate", "demand@3", "--md").out for _ in range(2))
    assert one.startswith("# demand@3 against demand@1: fail\n")
    assert one == two
    assert type_in(judging.root, "gate", "demand@3", "--md", "--explain").code == 2


def test_a_machine_gets_everything(judging: Judging, type_in: TypeIn) -> None:
    """Verdict, words, policy and evidence."""
    found = type_in(judging.root, "gate", "demand@3", "--json").json
    assert (found["version"], found["against"], found["verdict"]) == ("demand@3", "demand@1", "fail")
    assert len(found["in_words"]) == 2
    assert found["evidence"]["format"] == 2
    assert found["policy"]["loss"] == "absolute_error"


def test_a_decision_of_the_past_is_made_again(judging: Judging, type_in: TypeIn) -> None:
    """With its exit code, by its entry's number, in any form; no new fact is written."""
    seq = type_in(judging.root, "gate", "demand@3", "--json").json["entry"]
    said = type_in(judging.root, "gate", "--replay", str(seq))
    assert said.code == 3
    assert said.out.startswith("demand@3 against demand@1: fail")
    assert f"Made again from entry {seq} alone: the same as it was." in said.out
    again = type_in(judging.root, "gate", "--replay", str(seq), "--json").json
    assert (again["is_same"], again["entry"]) == (True, seq)
    markdown = [type_in(judging.root, "gate", "--replay", str(seq), "--md").out for _ in range(2)]
    assert markdown[0] == markdown[1]
    assert type_in(judging.root, "ledger", "log", "-n", "1", "--json").json[-1]["seq"] == seq


def test_a_decision_in_the_first_format_is_made_again_too(judging: Judging, type_in: TypeIn) -> None:
    """In a line for each reason, as it was told then."""
    said = type_in(judging.root, "gate", "--replay", str(judging.old_entry))
    assert said.code == 0
    assert OLD[0]["sentence"] in said.out
    assert "the same as it was" in said.out
    assert type_in(judging.root, "gate", "--replay", str(judging.old_entry), "--json").json["is_same"] is True
    assert type_in(judging.root, "gate", "--replay", "9999").code == 1
    assert type_in(judging.root, "gate", "--replay", "1").code == 2


def test_a_version_is_shown_with_what_it_takes(judging: Judging, type_in: TypeIn) -> None:
    """Its columns with kind and values, and why it has no compiled form; a version that is not there is named."""
    told, plain = type_in(judging.root, "models", "demand@1"), type_in(judging.root, "models", "demand@1", "--json")
    assert (told.code, plain.code) == (0, 0)
    assert told.out.startswith("demand@1 is live, made by run ")
    assert f"Its form is native: {plain.json['compilation']['why']}" in told.out
    assert plain.json["answering"] == "native"
    assert plain.json["columns"]
    assert all(column["name"] in told.out for column in plain.json["columns"])
    assert type_in(judging.root, "models", "demand@9").code == 1


def test_levels_keep_their_own_order_and_many_are_cut_short() -> None:
    """As a data type has them; ranges of numbers, and what may be missing."""
    sizes = Column(name="size", kind="category", levels=("small", "large"), open_levels=True)
    assert column_row(sizes) == ("size", "category", "", "small, large")
    many = Column(name="city", kind="category", levels=tuple("abcdefghij"), rare_levels=True, nullable=True)
    assert column_row(many) == ("city", "category", "yes", "a, b, c, d, e, f, g, h, … (10 in all), and rare ones")
    number = Column(name="age", kind="number", lower=18.0, upper=99.5, required=False)
    assert column_row(number) == ("age", "number", "may be left out", "18 to 99.5")
