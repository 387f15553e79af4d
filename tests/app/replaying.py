"""One replay in a process of its own, without MLflow: ``python -m tests.app.replaying ROOT`` prints what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kairos.app import recording
from kairos.app.replay import replay_project
from kairos.ledger import Entry, SqliteLedger
from kairos.testing import MemoryRecorder
from kairos.values import plain

__all__ = ["Told"]


class Told:
    """Hears what a replay tells."""

    def __init__(self) -> None:
        self.facts: list[Entry] = []
        self.parts: list[float] = []
        self.stages: list[str] = []

    def stage(self, sentence: str) -> None:
        """A part begins."""
        self.stages.append(sentence)

    def fact(self, entry: Entry) -> None:
        """A fact was written."""
        self.facts.append(entry)

    def progress(self, done: float) -> None:
        """So far."""
        self.parts.append(done)


class _Adapter:
    """An entry point of a record in memory."""

    def load(self) -> Any:
        """What opens it."""
        return lambda *_, **__: MemoryRecorder()


def main(root: Path) -> None:
    """Replays the project in a folder and prints the story, the facts and what was told."""
    vars(recording)["entry_points"] = lambda **_: [_Adapter()]
    told, home = Told(), root / "home"
    story = replay_project(root, home, told)
    facts = list(SqliteLedger(home / "ledger.db").read())
    print(json.dumps(plain({"story": story, "facts": facts, "told": told.facts, "parts": told.parts})))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
