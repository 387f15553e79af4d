"""No dependency without a reason: ``pyproject.toml`` and ``docs/dependencies.md`` name the same ones."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0] for line in requirements]


def rows(heading: str) -> dict[str, list[str]]:
    section = (ROOT / "docs/dependencies.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): rest for name, *rest in cells}


def test_every_dependency_is_justified_and_no_other_is_listed() -> None:
    """The two lists agree, line by line and in the same order, at run time and for developing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert list(rows("At run time")) == names(project["project"]["dependencies"])
    assert list(rows("For developing")) == names(project["dependency-groups"]["dev"])


def test_every_extra_is_named() -> None:
    """An extra is explained by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "docs/dependencies.md").read_text()
    for extra in project["project"]["optional-dependencies"]:
        assert f"Extra `{extra}`" in text


def test_every_oracle_is_listed_and_is_pinned() -> None:
    """``oracles.in``, the page and the lock name the same ones; none of them is under AGPL."""
    asked = [line for line in (ROOT / "requirements/oracles.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Second opinions")) == names(asked)
    locked = (ROOT / "requirements/oracles.lock").read_text()
    assert set(names(asked)) <= set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))
    assert all("AGPL" not in licence for _, licence in rows("Second opinions").values())


def test_every_client_is_listed_and_is_pinned() -> None:
    """``clients.in``, the page and the lock name the same ones."""
    asked = [line for line in (ROOT / "requirements/clients.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Clients")) == names(asked)
    locked = (ROOT / "requirements/clients.lock").read_text()
    assert set(names(asked)) <= set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))


def test_what_remotes_are_tried_with_is_listed_and_is_pinned() -> None:
    """``remotes.in``, the page and the lock name the same ones."""
    asked = [line for line in (ROOT / "requirements/remotes.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Engines of remotes")) == names(asked)
    locked = (ROOT / "requirements/remotes.lock").read_text()
    assert set(names(asked)) <= set(re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE))


def test_what_networks_are_tried_with_is_listed_and_is_pinned() -> None:
    """``torch.in``, the page and the lock name the same ones; PyTorch is in no lock."""
    asked = [line for line in (ROOT / "requirements/torch.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Networks")) == names(asked)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/torch.lock").read_text(), re.MULTILINE))
    assert set(names(asked)) <= locked
    assert "torch" not in locked


def test_what_origins_are_tried_with_is_listed_and_is_pinned() -> None:
    """``origins.in``, the page and the lock name the same ones."""
    asked = [line for line in (ROOT / "requirements/origins.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Origins")) == names(asked)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/origins.lock").read_text(), re.MULTILINE))
    assert set(names(asked)) <= locked


def test_what_sacred_is_tried_with_is_listed_and_is_pinned() -> None:
    """``sacred.in``, the page and the lock name the same ones."""
    asked = [line for line in (ROOT / "requirements/sacred.in").read_text().splitlines() if line and line[0] != "#"]
    assert list(rows("Sacred")) == names(asked)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/sacred.lock").read_text(), re.MULTILINE))
    assert set(names(asked)) <= locked


def test_locks_have_a_hash_for_every_line_and_no_address() -> None:
    """Whoever serves the files, they are the same bytes."""
    for lock in (ROOT / "requirements").glob("*.lock"):
        text = lock.read_text()
        pinned = re.findall(r"^[a-zA-Z0-9_.-]+==\S+ (.*)$", text, re.MULTILINE)
        assert pinned, lock
        assert all(rest.startswith("\\") for rest in pinned), lock
        assert "://" not in text, lock
        assert "sequential-analysis" not in text, lock


def test_every_line_has_a_reason_and_a_licence() -> None:
    """Neither cell is empty."""
    for heading in ("At run time", "For developing", "Second opinions", "Clients", "Networks", "Origins", "Sacred"):
        for name, (reason, licence) in rows(heading).items():
            assert reason, name
            assert licence, name
