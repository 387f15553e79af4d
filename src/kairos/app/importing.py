"""Runs that another library kept become runs of this project, each once."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kairos.adapters.sacred import SacredRun, Unreadable, read_export, read_folder
from kairos.app.project import Project
from kairos.pipeline.logged import Logged
from kairos.values import Digest, Json, canonical_json

__all__ = ["Imported", "import_sacred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of one run."""

    where: str
    run: str | None = None
    """Its id here; ``None``: it could not be imported."""
    experiment: str | None = None
    id: str | None = None
    """Its id there."""
    status: str | None = None
    """Its status there."""
    is_new: bool = False
    """Whether it was not known before."""
    problems: Sequence[str] = ()
    """What could not be read of it."""


def import_sacred(project: Project, places: Iterable[Path]) -> Iterator[Imported]:
    """Imports what an observer of Sacred left, one run after the other; a run that is known changes nothing.

    A run is known by its experiment, its id there, its start and all that is kept of it: one that went on since it was
    imported is another run here.

    Args:
        project: Whose record.
        places: Folders of a ``FileStorageObserver``, or of one run of it; and files that ``mongoexport`` wrote, which
            are read together.

    Raises:
        NotFound: there is no run in a folder; those before it are imported.
        UsageError: the files tell of no run.
    """
    project.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=project.home) as desk:
        for found in _read(list(places), Path(desk)):
            if isinstance(found, Unreadable):
                yield Imported(where=found.where, problems=(found.why,))
            else:
                yield _import(project, found)


def _read(places: Sequence[Path], desk: Path) -> Iterator[SacredRun | Unreadable]:
    files = [place for place in places if place.is_file()]
    for place in places:
        if place not in files:
            yield from read_folder(place)
    if files:
        yield from read_export(files, desk)


def _import(project: Project, found: SacredRun) -> Imported:
    problems = list(found.problems)
    logged = Logged(runs=(found.logged(_keep_files(project, found, problems)),))
    kept = logged.keep(project.store)
    identity = [found.experiment, found.id, found.started_at, kept[0]]
    run = "s" + hashlib.sha256(canonical_json(identity)).hexdigest()[:10]
    is_new = not any(True for _ in project.ledger.read(kinds=["run.imported"], subject=run))
    if is_new:
        project.tell("run.imported", subject=run, body=_body(found, logged, kept, problems))
    return Imported(
        where=found.where,
        run=run,
        experiment=found.experiment,
        id=found.id,
        status=found.status,
        is_new=is_new,
        problems=problems,
    )


def _keep_files(project: Project, found: SacredRun, problems: list[str]) -> Digest | None:
    if not found.files:
        return None
    with tempfile.TemporaryDirectory(prefix=".import-", dir=project.home) as folder:
        for name, path in found.files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, target)
            except OSError as error:  # one that may not be read, or is gone since
                target.unlink(missing_ok=True)
                problems.append(f"the file {name!r} cannot be read ({error.strerror})")
        return project.store.put_folder(Path(folder))


def _body(found: SacredRun, logged: Logged, kept: Sequence[Digest], problems: Sequence[str]) -> dict[str, Json]:
    """The run's fact: of one step, which is the whole experiment."""
    elapsed_s = (found.ended_at - found.started_at).total_seconds()
    is_done = found.status == "COMPLETED"
    step: Json = {
        "step": found.experiment,
        "status": "ran" if is_done else "failed",
        "params": {},
        "inputs": {},
        "outputs": [],
        "logged": logged.values(),
    }
    return {
        "from": {"library": "sacred", "experiment": found.experiment, "id": found.id, "status": found.status},
        "status": "finished" if is_done else "failed",
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "window": "",
        "steps": [step],
        "models": {},
        "code": {"commit": found.commit},
        "libraries": found.libraries,
        "failure": found.failure,
        "problems": list(problems),
        "measured": {
            "elapsed_s": elapsed_s,
            "steps": {found.experiment: {"elapsed_s": elapsed_s, "logged": list(kept)}},
        },
    }
