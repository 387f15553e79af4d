"""Finding the table that a person means: a file, a tracked path, also of the past, a digest, a run's artifact."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from kairos.app.pointed import Pointed, pointed_at, pointed_now
from kairos.app.project import Project
from kairos.errors import BlobDamaged, NotFound, UsageError, did_you_mean
from kairos.experiments.finding import find_run
from kairos.experiments.ports import RunRecord
from kairos.experiments.runs import RUN_KINDS, latest_runs
from kairos.pipeline.diff.files import Format, TableFiles, format_of
from kairos.store import Store
from kairos.store.pointer_files import read_pointer
from kairos.values import Digest, VersionRef

__all__ = ["find_table"]

_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_ACCEPTED = "a file, a tracked path (PATH or PATH@REVISION of Git), a digest, or an artifact (NAME or NAME@RUN)"


def find_table(project: Project | None, what: str, *, workdir: Path) -> TableFiles:
    """The table of that name; blobs are verified first.

    Args:
        project: Whose store, ledger and pointers; ``None``: there is no project, only files.
        what: ``data.csv``; ``data.dvc``; ``data.csv@HEAD~1``; a digest; ``split.train`` of the last run that made it;
            ``split.train@RUN`` or ``split.train@MODEL@N``.
        workdir: An empty folder, for what has to be taken out of Git.

    Raises:
        NotFound: there is nothing of that name.
        BlobMissing: the store lacks it.
        BlobDamaged: bytes do not match their digest.
        UsageError: it is no table, or a folder of files of several kinds.
    """
    path = Path(what)
    if path.suffix != ".dvc" and path.exists():
        return _lying(path, what)
    if project is None:
        raise NotFound(f"There is no file {what!r}.", accepted="files, outside of a project; " + _ACCEPTED + " in one")
    if _DIGEST.fullmatch(what):
        return _stored(project, Digest(what), what, "")
    if path.suffix == ".dvc" and path.is_file():
        return _pointed(project, Pointed(read_pointer(path), ""), what)
    if (now := pointed_now(project, path)) is not None:
        return _pointed(project, now, what)
    name, at, ref = what.partition("@")
    if not at:
        return _of_last_run(project, what)
    found = _of_run(project, name, ref, what)
    if found is None:
        file, _, revision = what.rpartition("@")
        found = _of_revision(project, Path(file), revision, what, workdir)
    if found is None:
        raise NotFound(
            f"There is no {what!r}.",
            given=f"{ref!r} is no run or version, and Git has no {name!r} or {name + '.dvc'!r} at such a revision",
            accepted=_ACCEPTED,
            hint="Type: kairos runs",
        )
    return found


def _lying(path: Path, what: str) -> TableFiles:
    if path.is_file():
        return TableFiles(name=what, format=format_of(path, path.name), paths=(path.absolute(),))
    files = {file.relative_to(path).as_posix(): file.absolute() for file in sorted(path.rglob("*")) if file.is_file()}
    return _folder(files, what)


def _folder(files: dict[str, Path], what: str) -> TableFiles:
    """The files of a folder as one table, in the order of their names; hidden ones do not count."""
    chosen = {name: file for name, file in files.items() if not any(p.startswith((".", "_")) for p in name.split("/"))}
    formats: dict[Format, str] = {}
    for name, file in chosen.items():
        formats.setdefault(format_of(file, name), name)
    if len(formats) != 1:
        raise UsageError(
            f"The folder {what!r} is not one table.",
            given=", ".join(f"{name} ({kind})" for kind, name in formats.items()) or "no files",
            accepted="a folder of files of one kind, with the same columns",
        )
    return TableFiles(name=what, format=next(iter(formats)), paths=tuple(chosen.values()))


def _stored(project: Project, digest: Digest, what: str, name: str) -> TableFiles:
    _check(project.store, digest)
    return _files(project.store, digest, what, name)


def _check(store: Store, digest: Digest) -> None:
    store.path(digest)
    damage = next(iter(store.verify([digest])), None)
    if damage is not None and damage.how == "missing":
        store.path(damage.digest)
    if damage is not None:
        raise BlobDamaged(
            f"The blob {damage.digest} is damaged: its bytes do not match its name.", digest=damage.digest
        )


def _files(store: Store, digest: Digest, what: str, name: str) -> TableFiles:
    if digest.endswith(".dir"):
        return _folder({name: store.path(blob) for name, blob in store.listing(digest).items()}, what)
    return TableFiles(name=what, format=format_of(store.path(digest), name), paths=(store.path(digest),))


def _pointed(project: Project, pointed: Pointed, what: str) -> TableFiles:
    store, digest = project.store_of(pointed.pointer), pointed.pointer.digest
    name = Path(pointed.inside).name or pointed.pointer.path.name
    if not pointed.inside:
        _check(store, digest)
        return _files(store, digest, what, name)
    files = store.listing(digest)
    if pointed.inside in files:
        _check(store, files[pointed.inside])
        return _files(store, files[pointed.inside], what, name)
    within = f"{pointed.inside}/"
    some = {each.removeprefix(within): blob for each, blob in files.items() if each.startswith(within)}
    if not some:
        raise NotFound(
            f"There is no {pointed.inside!r} in {pointed.pointer.path.name!r}.", hint=did_you_mean(name, files)
        )
    for blob in some.values():
        _check(store, blob)
    return _folder({each: store.path(blob) for each, blob in some.items()}, what)


def _of_last_run(project: Project, name: str) -> TableFiles:
    known = set[str]()
    for run in latest_runs(project.ledger):
        if name in run.outputs:
            return _made(project, run, name, f"{name}@{run.run}")
        known.update(run.outputs)
    hint = did_you_mean(name, sorted(known)) or "An artifact is there when a run has made it. Type: kairos run"
    raise NotFound(f"There is no {name!r}.", accepted=_ACCEPTED, hint=hint)


def _of_run(project: Project, name: str, ref: str, what: str) -> TableFiles | None:
    """``None`` if there is no such run or version."""
    try:
        run = ref
        if "@" in ref:
            version = VersionRef.parse(ref)
            run = project.state().model(version.model).version(version.number).run
        found = find_run(project.run_index, run)
    except (NotFound, UsageError):
        return None
    if name not in found.outputs:
        raise NotFound(
            f"The run {found.run} has no artifact {name!r}.",
            accepted=", ".join(sorted(found.outputs)) or "nothing: it failed",
            hint=did_you_mean(name, found.outputs),
        )
    return _made(project, found, name, what)


def _made(project: Project, run: RunRecord, name: str, what: str) -> TableFiles:
    """What a run made; a value that would only look like a table as text is none."""
    body = list(project.ledger.read(kinds=RUN_KINDS, subject=run.run))[-1].body
    kinds = {output["name"]: output.get("kind") for step in body["steps"] for output in step["outputs"]}
    if kinds[name] == "json":
        raise UsageError(f"{what} is no table.", given="a value of plain Python", accepted=_ACCEPTED)
    return _stored(project, run.outputs[name], what, "")


def _of_revision(project: Project, path: Path, revision: str, what: str, workdir: Path) -> TableFiles | None:
    """What Git had at a revision: a pointer, or the file itself; ``None`` if neither."""
    name = path.name.removesuffix(".dvc")
    if not name or revision.startswith("-"):
        return None
    pointed = pointed_at(project, path.with_name(name), revision)
    if pointed is not None:
        return _pointed(project, pointed, what)
    folder = workdir / "git"
    folder.mkdir(exist_ok=True)
    taken = folder / f"{len(list(folder.iterdir()))}-{name}"  # both sides may come from here
    with taken.open("wb") as out:
        asked = ["git", "-C", str(path.absolute().parent), "show", f"{revision}:./{name}"]
        try:
            done = subprocess.run(asked, stdout=out, stderr=subprocess.DEVNULL, check=False)
        except (FileNotFoundError, NotADirectoryError):  # no git here
            return None
    return TableFiles(name=what, format=format_of(taken, name), paths=(taken,)) if done.returncode == 0 else None
