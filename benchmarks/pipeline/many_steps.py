"""100 steps in a chain, nothing changed; what a trivial step costs; 10,000 steps beside each other.

Run: ``python -m benchmarks.pipeline.many_steps``. Steps do next to nothing: what is measured is all that is not the
user's function. Kairos keeps every result by content and waits for the disk at each. DVC runs a shell and a Python
process for each stage, so its 100 stages call ``true``; even so nobody would give it 10,000. The limit is plain Python
that keeps each result in SQLite, keyed by what went into it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from benchmarks.figures import Findings, Goal
from benchmarks.side_by_side import US, Sample, Setting, Turn, command, main, median_of, take_turns, timed

FIRST, AGAIN, ALONE = (
    "100 in a chain, nothing cached",
    "again, nothing changed",
    "a trivial step, on top of the function",
)
FAN, FAN_AGAIN = "10,000 beside each other, nothing cached", "the same again"

LIMIT = """
import hashlib, json, sqlite3, sys
cache = sqlite3.connect("cache.db", isolation_level=None)
cache.execute("PRAGMA journal_mode = WAL")
cache.execute("CREATE TABLE IF NOT EXISTS results (name TEXT PRIMARY KEY, value TEXT)")
value = 0
for step in range(int(sys.argv[1])):
    name = hashlib.sha256(json.dumps([step, value]).encode()).hexdigest()
    known = cache.execute("SELECT value FROM results WHERE name = ?", (name,)).fetchone()
    if known is None:
        value = value + 1
        cache.execute("INSERT INTO results VALUES (?, ?)", (name, json.dumps(value)))
    else:
        value = json.loads(known[0])
"""


def measure(setting: Setting) -> Findings:
    """Each turn begins in an empty folder."""
    length, width = (10, 100) if setting.quick else (100, 10_000)
    contenders: dict[str, Turn] = {US: lambda: _kairos(setting, length, width)}
    if "dvc" in setting.peers:
        contenders["dvc"] = lambda: _dvc(setting, length)
    contenders["SQLite (limit)"] = lambda: _limit(setting, length)
    figures = take_turns(contenders, setting.rounds)
    ours, fan = (median_of(figures, job, US) for job in (AGAIN, FAN))
    goals = [
        Goal(what="100 steps, nothing changed, whole process, seconds", value=ours, most=0.15),
        Goal(what="a trivial step, milliseconds", value=median_of(figures, ALONE, US), most=2.0),
        Goal(what="10,000 steps, seconds", value=fan, most=20.0),
    ]
    if "dvc" in setting.peers:
        goals.append(Goal(what="faster than `dvc repro`", value=median_of(figures, AGAIN, "dvc") / ours, least=10.0))
    return Findings(figures, goals)


def _kairos(setting: Setting, length: int, width: int) -> Iterator[Sample]:
    chain = "".join(f"@step\ndef s{n}(s{n - 1}: int) -> int: return s{n - 1} + 1\n\n" for n in range(1, length))
    project = _project(setting.folder / "chain", f"@step\ndef s0() -> int: return 0\n\n{chain}")
    yield Sample(FIRST, timed(setting, *_run(), folder=project), "s")
    yield Sample(AGAIN, timed(setting, *_run(), folder=project), "s")
    yield Sample(ALONE, _in_process(project, length), "ms")
    fan = "".join(f"@step\ndef s{n}(start: int) -> int: return start + {n}\n\n" for n in range(width))
    project = _project(setting.folder / "fan", f"@step\ndef start() -> int: return 1\n\n{fan}")
    yield Sample(FAN, timed(setting, *_run(), folder=project), "s")
    yield Sample(FAN_AGAIN, timed(setting, *_run(), folder=project), "s")


def _run() -> tuple[str | Path, ...]:
    return command(US), "run", "--window", "2011-01-01..2011-01-31"


def _in_process(project: Path, length: int) -> float:
    """Milliseconds a step of a chain, in a process whose workers are there already."""
    from kairos.app.project import Project
    from kairos.app.training import train
    from kairos.values import Window

    with Project(project) as opened:
        window = Window.parse("2011-01-01..2011-01-31")
        train(opened, window=window, force=["s0"], targets=["s0"])
        started = perf_counter()
        result = train(opened, window=window, since=["s0"]).result
        took = perf_counter() - started
    if {step.status for step in result.steps} != {"ran"}:
        raise SystemExit("error: not everything ran")
    return took / length * 1000


def _project(folder: Path, text: str) -> Path:
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir()
    (folder / "kairos.toml").write_text('[project]\nname = "many"\n')
    (folder / "pipeline.py").write_text(f"from kairos import step\n\n{text}")
    return folder


def _dvc(setting: Setting, length: int) -> Iterator[Sample]:
    folder = setting.folder / "dvc"
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir()
    timed(setting, command("dvc"), "init", "--quiet", "--no-scm", folder=folder)
    lines = ["stages:", "  s0:", "    cmd: echo 0 > s0", "    outs: [s0]"]
    for n in range(1, length):
        lines += [f"  s{n}:", f"    cmd: echo {n} > s{n}", f"    deps: [s{n - 1}]", f"    outs: [s{n}]"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    yield Sample(FIRST, timed(setting, command("dvc"), "repro", "--quiet", folder=folder), "s")
    yield Sample(AGAIN, timed(setting, command("dvc"), "repro", "--quiet", folder=folder), "s")


def _limit(setting: Setting, length: int) -> Iterator[Sample]:
    folder = setting.folder / "limit"
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir()
    for job in (FIRST, AGAIN):
        yield Sample(job, timed(setting, sys.executable, "-c", LIMIT, str(length), folder=folder), "s")


if __name__ == "__main__":
    raise SystemExit(main("Many small steps", ["dvc"], measure, rounds=3))
