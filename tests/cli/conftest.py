"""A project whose ledger tells of a few versions: enough for every command that only reads or decides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from kairos.app.standing import settings_now
from kairos.pipeline.engine.local import LocalEngine
from tests.cli.said import TypeIn, typed
from tests.lending import lend


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """``demand@1`` is live, ``demand@2`` has failed its gate, that of ``demand@3`` holds, ``demand@4`` met none."""
    root = tmp_path / "toy"
    root.mkdir()
    (root / SETTINGS_FILE).write_text('[project]\nname = "toy"\n\n[model.demand]\nholdout = "split.holdout"\n')
    project = Project(root, actor="tester")
    for number, verdict in enumerate(("pass", "fail", "hold", None), start=1):
        subject = f"demand@{number}"
        body = {"package": f"{number:032x}.dir", "run": f"r{number}", "origin": "manual", "reasons": []}
        project.tell("version.registered", subject=subject, body=body)
        if verdict is not None:
            project.tell("gate.decided", subject=subject, body={"verdict": verdict, "sentence": f"{verdict}: made up"})
    moved = {"from": "registered", "to": "live", "share": 0.0, "verdict": "pass", "reasons": ["made up"]}
    project.tell(
        "stage.changed", subject="demand@1", body={**moved, "override": None, **settings_now(project, "demand")}
    )
    project.ledger.close()
    return root


@pytest.fixture(scope="session")
def workers() -> Iterator[LocalEngine]:
    """Worker processes that stay."""
    with LocalEngine() as engine:
        yield engine


@pytest.fixture(autouse=True)
def lent(workers: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process have these workers."""
    lend(workers, monkeypatch)


@pytest.fixture
def type_in() -> TypeIn:
    """Types a command in this process."""
    return typed
