"""What a command costs before it has done anything.

Run: ``python -m benchmarks.startup``. The row ``python`` is the limit: an interpreter that does nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from benchmarks.side_by_side import US, Figure, Sample, Setting, Turn, command, main, take_turns, timed
from kairos.app.starting import start_project
from kairos.ledger import SqliteLedger

MODULES = {"mlflow": "mlflow", "dvc": "dvc.api"}
"""What one imports to work with a peer."""
FACTS = 200
"""In the ledger that is verified: about those of a model's first year."""


def measure(setting: Setting) -> list[Figure]:
    """Help, import, and the smallest command that reads a project."""
    project = start_project("bikes", setting.folder / "project")
    ledger = SqliteLedger(project / ".kairos" / "ledger.db")
    for number in range(10 if setting.quick else FACTS):
        body = {"number": number, "reasons": ["as large as most facts are"] * 10}
        ledger.append("finding", subject="demand", body=body, actor="bench", at=datetime(2012, 1, 1, tzinfo=UTC))

    def ours() -> Iterator[Sample]:
        yield from shared("kairos", "kairos")
        yield Sample("ledger verify", timed(setting, command(US), "ledger", "verify", folder=project), "s")

    def shared(name: str, module: str) -> Iterator[Sample]:
        yield Sample("--help", timed(setting, command(name), "--help"), "s")
        yield Sample("import", timed(setting, sys.executable, "-c", f"import {module}"), "s")

    def nothing() -> Iterator[Sample]:
        took = timed(setting, sys.executable, "-c", "pass")
        for job in ("--help", "import", "ledger verify"):
            yield Sample(job, took, "s")

    contenders: dict[str, Turn] = {US: ours}
    for name, module in MODULES.items():
        if name in setting.peers:
            contenders[name] = partial(shared, name, module)
    contenders["python (limit)"] = nothing
    if not setting.quick:
        take_turns(contenders, 1)  # not counted: files come into memory
    return take_turns(contenders, setting.rounds)


if __name__ == "__main__":
    raise SystemExit(main("Start-up of a command", [*MODULES], measure, rounds=5))
