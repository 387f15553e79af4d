"""``.dvc`` files beside the data, as DVC 3 writes them, so that ``dvc`` and Kairos share one cache."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kairos.errors import NotFound, StoreError
from kairos.store.blobs import Store
from kairos.store.files import write_atomically
from kairos.store.folders import check_digest
from kairos.store.yaml12 import dump_yaml, load_yaml
from kairos.values import Digest, Json

__all__ = ["Pointer", "prepare_dvc", "read_pointer", "track"]

_KEPT = ("desc", "type", "labels", "meta", "cache", "persist", "remote", "push")
"""What a person may have added to an output with ``dvc`` or by hand; it stays when the data changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a ``.dvc`` file says."""

    path: Path
    """Where the data belongs."""
    digest: Digest
    size_bytes: int
    """Of the file, or of all files of the folder together."""
    files: int | None
    """Number of files of a folder; ``None`` for a file."""
    remote: str | None = None
    """The remote that keeps it, if it is not the default one."""
    is_pushed: bool = True
    """Whether it may be sent to a remote."""


class _Output(msgspec.Struct):
    md5: str
    size: int
    hash: Literal["md5"]
    path: str
    nfiles: int | None = None
    remote: str | None = None
    push: bool = True


class _PointerFile(msgspec.Struct, forbid_unknown_fields=True):
    outs: Annotated[list[_Output], msgspec.Meta(min_length=1, max_length=1)]
    desc: str | None = None
    meta: Json = None
    frozen: bool = False


def track(store: Store, path: Path) -> Path:
    """Stores a file or folder, writes the pointer ``<name>.dvc`` beside it as ``dvc add`` does, and returns its path.

    In a Git repository the data is also named in the ``.gitignore`` beside it. The data itself stays as it is.

    Args:
        store: The project's store, at ``.dvc/cache``.
        path: The file or folder.

    Raises:
        NotFound: there is nothing at ``path``.
        StoreError: the folder holds something that cannot be stored, or the pointer there is of another kind.
    """
    path = Path(os.path.abspath(path))
    pointer = path.with_name(path.name + ".dvc")
    if not path.exists():
        raise NotFound("There is nothing to track.", given=path.name, accepted="a path to a file or folder")
    before = _load(pointer)[0] if pointer.exists() else {"outs": [{}]}
    kept = {key: value for key, value in before["outs"][0].items() if key in _KEPT}
    content = before | {"outs": [_facts(store, path) | kept]}
    if content != before:
        write_atomically(pointer, dump_yaml(content))
    if _in_git(path.parent):
        _add_line(path.parent / ".gitignore", "/" + re.sub(r"([]\[!*#?])", r"\\\1", path.name))
    return pointer


def read_pointer(path: Path) -> Pointer:
    """Reads a pointer that Kairos or ``dvc add`` wrote.

    Raises:
        NotFound: there is no such file.
        StoreError: it is not a pointer to one file or folder by MD5, as DVC 3 writes it.
    """
    if not path.is_file():
        raise NotFound("There is no pointer.", given=path.name, accepted="a path to a .dvc file")
    _, output = _load(path)
    return Pointer(
        path=path.parent / output.path,
        digest=Digest(output.md5),
        size_bytes=output.size,
        files=output.nfiles,
        remote=output.remote,
        is_pushed=output.push,
    )


def prepare_dvc(project_root: Path) -> None:
    """Makes ``dvc`` work in a project, in a Git repository or without; what is already there stays as it is.

    Its cache is then ``.dvc/cache``, which is where the project's ``Store`` belongs.
    """
    config = "" if _in_git(project_root) else "[core]\n    no_scm = True\n"
    for name, text in (("config", config), (".gitignore", "/config.local\n/tmp\n/cache\n")):
        path = project_root / ".dvc" / name
        if not path.exists():
            write_atomically(path, text.encode())


def _facts(store: Store, path: Path) -> dict[str, Json]:
    """Stores what is there, and says what of it."""
    facts: dict[str, Json]
    if path.is_dir():
        taken = store.take_folder(path, remembers=True)
        facts = {"md5": str(taken.digest), "size": taken.size_bytes, "nfiles": taken.files}
    else:
        digest = store.put_file(path)
        facts = {"md5": str(digest), "size": store.path(digest).stat().st_size}
        if path.stat().st_mode & 0o111:
            facts["isexec"] = True
    return facts | {"hash": "md5", "path": path.name}


def _load(pointer: Path) -> tuple[dict[str, Json], _Output]:
    """All that a pointer holds, and its one output; of the kind that ``dvc add`` writes."""
    try:
        content = load_yaml(pointer.read_bytes())
        (output,) = msgspec.convert(content, _PointerFile).outs
        check_digest(output.md5)
    except ValueError as error:  # a ValidationError and a UsageError are ValueErrors too
        raise StoreError(
            f"The pointer {pointer.name!r} cannot be used.",
            given=str(error),
            accepted="what `dvc add` of DVC 3 writes: one output with md5, size, hash and path",
            hint="Data of DVC 2 is brought over by `dvc cache migrate --dvc-files`, an import by `dvc update`.",
        ) from error
    return content, output


def _in_git(folder: Path) -> bool:
    folder = Path(os.path.abspath(folder))
    return any((each / ".git").exists() for each in (folder, *folder.parents))


def _add_line(path: Path, line: str) -> None:
    text = path.read_text() if path.exists() else ""
    if line not in text.splitlines():
        end = "" if not text or text.endswith("\n") else "\n"
        write_atomically(path, f"{text}{end}{line}\n".encode())
