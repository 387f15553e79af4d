"""A project made of a repository that has its history with DVC: nothing that is there is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kairos.app.place import SETTINGS_FILE
from kairos.app.project import Project
from kairos.app.tracked import all_tracked, inside
from kairos.errors import UsageError
from kairos.store.dvc_config import find_dvc
from kairos.store.files import write_atomically
from kairos.store.folders import is_folder
from kairos.store.pointer_files import Pointer
from kairos.store.remotes import read_remotes

__all__ = ["Adopted", "adopt", "has_history"]

_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}
_FILES = ("pipeline.py", "kairos_pipeline.py")
_SETTINGS = """\
[project]
name = "{name}"
pipeline = "{file}"
"""
_PIPELINE = '''\
"""The steps of {name}: a function's positional parameters name the steps, or sources, that it reads."""

from __future__ import annotations

import polars as pl

from kairos import source

{source}'''
_SOURCE = '''
@source(files=["{path}"])
def rows() -> pl.DataFrame:
    """What DVC tracks at {path}; read again when that has changed."""
    return pl.{reader}("{files}")
'''
_NO_SOURCE = '''
@source
def rows() -> pl.DataFrame:
    """Where the rows come from is still to be said: @source(files=["data.csv"]) reads tracked files."""
    raise NotImplementedError("Say where the rows come from.")
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What became of a repository, and what was found there."""

    root: Path
    pipeline: str
    """The Python file that was written."""
    source: str | None
    """The tracked table that its first source reads, inside the project."""
    tracked: int
    of_dvc_2: int
    imported: int
    of_stages: int
    unread: tuple[str, ...]
    """What cannot be read, and why."""
    remotes: tuple[str, ...]
    default_remote: str | None


def has_history(folder: Path) -> bool:
    """Whether a folder is, or lies in, a repository of DVC."""
    return (find_dvc(folder) / "config").is_file()


def adopt(folder: Path) -> Adopted:
    """Writes ``kairos.toml``, a first pipeline, and a line into ``.gitignore``.

    Raises:
        UsageError: it is a project already.
        SettingsError: DVC's configuration cannot be read.
    """
    root = Path(os.path.abspath(folder))
    if (root / SETTINGS_FILE).exists():
        raise UsageError("This is a project already.", given=str(folder), hint="Type: kairos run")
    with Project(root) as project:
        pointers, unread = all_tracked(project)
        remotes = read_remotes(project.dvc)
        table = next(_tables(project, pointers), None)
    file = next((name for name in _FILES if not (root / name).exists()), None)
    if file is None:
        raise UsageError("There is no free name for the pipeline.", given=", ".join(_FILES), accepted="one of them")
    said = _NO_SOURCE if table is None else _SOURCE.format(path=table[0], files=table[1], reader=_READERS[table[2]])
    root.mkdir(parents=True, exist_ok=True)
    write_atomically(root / file, _PIPELINE.format(name=root.name, source=said).encode())
    _ignore(root / ".gitignore")
    write_atomically(root / SETTINGS_FILE, _SETTINGS.format(name=root.name.replace('"', ""), file=file).encode())
    return Adopted(
        root=root,
        pipeline=file,
        source=None if table is None else table[0],
        tracked=len(pointers),
        of_dvc_2=sum(one.is_old for one in pointers),
        imported=sum(one.comes_from is not None for one in pointers),
        of_stages=sum(one.said_in.name == "dvc.lock" for one in pointers),
        unread=tuple(f"{inside(project, one.path)}: {one.why}" for one in unread),
        remotes=tuple(remotes.by_name),
        default_remote=remotes.default,
    )


def _tables(project: Project, pointers: list[Pointer]) -> Iterator[tuple[str, str, str]]:
    """Tables below the project: where, how its files are named for Polars, and of which kind."""
    for pointer in pointers:
        path = inside(project, pointer.path)
        if path.startswith("..") or '"' in path:
            continue
        if pointer.path.suffix in _READERS:
            yield path, path, pointer.path.suffix
        elif is_folder(pointer.digest) and project.store_of(pointer).has(pointer.digest):
            names = project.store_of(pointer).listing(pointer.digest)
            kinds = {Path(name).suffix if "/" not in name else "" for name in names}
            if len(kinds) == 1 and (kind := kinds.pop()) in _READERS:
                yield path, f"{path}/*{kind}", kind


def _ignore(path: Path) -> None:
    text = path.read_text() if path.exists() else ""
    if ".kairos/" not in text.splitlines():
        end = "" if not text or text.endswith("\n") else "\n"
        write_atomically(path, f"{text}{end}.kairos/\n".encode())
