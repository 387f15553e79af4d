"""What keeping the experiment record costs a run, beside a script that logs the same to MLflow itself.

Run: ``python -m benchmarks.experiments.recording``. Both record in an SQLite file. The script is what people write: it
imports MLflow, begins a run, logs, and ends. In Kairos the record is told by a process beside the command, so what a
run pays is the fact, with what steps took, and the start of that process. Each turn waits for it before the next one.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.figures import Findings, Goal
from benchmarks.side_by_side import US, Sample, Setting, Turn, command, main, median_of, take_turns, timed

SILENT, LOGGING, AGAIN = (
    "a run that logs nothing of its own",
    "a run that logs 100 values, 10 params, a file",
    "nothing changed",
)
CALLS, ADDED, LATER = (
    "these calls, inside the code",
    "what the record adds to a run",
    "the record of one run, told beside",
)

STEP = """\
from time import perf_counter

from kairos import step


@step
def fit(*, number: int, logs: bool) -> float:
    if not logs:
        return 0.0
    import mlflow

    mlflow.start_run()
    started = perf_counter()
    mlflow.log_params({f"p{n}": n for n in range(10)})
    for n in range(100):
        mlflow.log_metric("loss", 1 / (n + 1), step=n)
    mlflow.log_text("seen", "seen.txt")
    took = perf_counter() - started
    mlflow.end_run()
    return took
"""
SCRIPT = """\
import sys
from time import perf_counter

import mlflow

number, logs = sys.argv[1:]
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("plain")
with mlflow.start_run():
    mlflow.log_param("fit.number", number)
    started = perf_counter()
    if logs == "true":
        mlflow.log_params({f"p{n}": n for n in range(10)})
        for n in range(100):
            mlflow.log_metric("loss", 1 / (n + 1), step=n)
        mlflow.log_text("seen", "seen.txt")
    took = perf_counter() - started
open("took", "w").write(str(took))
"""
ADD = """
import sys
from pathlib import Path
from time import perf_counter

from kairos.app.noting import Notes
from kairos.app.project import Project
from kairos.app.training import train
from kairos.values import Window

if __name__ == "__main__":
    with Project(Path(sys.argv[1])) as opened:
        window = Window.parse("2011-01-01..2011-01-31")
        result = train(opened, window=window, params={"fit": {"number": 0, "logs": True}}).result
        started = perf_counter()
        notes = Notes(opened)
        body = notes.put_in(result.plain(), result)
        assert body["steps"][0]["logged"]
        from kairos.app.beside import start

        start(opened)
        print((perf_counter() - started) * 1000)
"""
WINDOW = ("--window", "2011-01-01..2011-01-31")
_numbers = count(1)


def measure(setting: Setting) -> Findings:
    """Each has made its tables before the first turn, as MLflow does once in a project."""
    ours, plain = _project(setting.folder / "ours"), setting.folder / "plain"
    plain.mkdir()
    (plain / "script.py").write_text(SCRIPT)
    for logs in (False, True):
        timed(setting, *_words(0, logs=logs), folder=ours)
        _told(ours)
    contenders: dict[str, Turn] = {US: lambda: _kairos(setting, ours)}
    if "mlflow" in setting.peers:
        timed(setting, "python", "-W", "ignore", "script.py", "0", "false", folder=plain)
        contenders["mlflow"] = lambda: _plain(setting, plain)
    figures = take_turns(contenders, setting.rounds)
    goals = [Goal(what="what the record adds to a run, milliseconds", value=median_of(figures, ADDED, US), most=50.0)]
    if "mlflow" in setting.peers:
        faster = median_of(figures, SILENT, "mlflow") / median_of(figures, SILENT, US)
        goals.append(Goal(what="a recorded run, times faster than a script with MLflow", value=faster, least=2.0))
    return Findings(figures, goals)


def _kairos(setting: Setting, project: Path) -> Iterator[Sample]:
    for job, logs in ((SILENT, False), (LOGGING, True)):
        yield Sample(job, _run(setting, project, logs=logs), "s")
        if logs:
            yield Sample(CALLS, _returned(project), "s")
        started = perf_counter()
        _told(project)
        if not logs:
            yield Sample(LATER, perf_counter() - started, "s")
    yield Sample(AGAIN, timed(setting, *_words(0, logs=False), folder=project), "s")
    yield Sample(ADDED, _added(setting, project), "ms")


def _run(setting: Setting, project: Path, *, logs: bool) -> float:
    return timed(setting, *_words(next(_numbers), logs=logs), folder=project)


def _words(number: int, *, logs: bool) -> tuple[str | Path, ...]:
    return command(US), "run", *WINDOW, "-p", f"fit.number={number}", "-p", f"fit.logs={json.dumps(logs)}"


def _told(project: Path) -> None:
    """Waits until the process beside has told the record, and has ended."""
    from kairos.app.project import Project
    from kairos.app.recording import Record
    from kairos.store.locks import is_held

    with Project(project) as opened:
        while Record.is_behind(opened) or is_held(opened.home / "following.lock"):
            sleep(0.02)


def _returned(project: Path) -> float:
    """Seconds that the step's own calls took."""
    from kairos.app.project import Project
    from kairos.values import Digest

    with Project(project) as opened:
        last = list(opened.ledger.read())[-1]
        return float(opened.store.get_bytes(Digest(last.body["steps"][0]["outputs"][0]["digest"])))


def _added(setting: Setting, project: Path) -> float:
    """Milliseconds of a process that has run: for the notes of a run that logged, and for starting the one beside."""
    done = subprocess.run(
        ["python", "-c", ADD, str(project)], env=dict(setting.environment), capture_output=True, text=True, check=True
    )
    _told(project)
    return float(done.stdout)


def _project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "kairos.toml").write_text('[project]\nname = "ours"\n')
    (folder / "pipeline.py").write_text(STEP)
    return folder


def _plain(setting: Setting, folder: Path) -> Iterator[Sample]:
    for job, logs in ((SILENT, "false"), (LOGGING, "true")):
        number = str(next(_numbers))
        yield Sample(job, timed(setting, "python", "-W", "ignore", "script.py", number, logs, folder=folder), "s")
    yield Sample(CALLS, float((folder / "took").read_text()), "s")


if __name__ == "__main__":
    raise SystemExit(main("Keeping the experiment record", ["mlflow"], measure, rounds=5))
