"""What ``.dvc`` files say, of every age of DVC: where data belongs, and by which digest. Nothing here writes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kairos.errors import NotFound, StoreError, UsageError
from kairos.store.folders import check_digest
from kairos.store.plain_yaml import read_plain
from kairos.values import Digest

__all__ = ["Pointer", "Unread", "load_pointer", "output_of", "pointers_of", "read_pointer", "read_pointers"]

MIGRATE = "dvc cache migrate --dvc-files"
_CLOUD = re.compile(r"^\w[\w+.-]*://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Where data belongs, and which it is, as a ``.dvc`` file or the outputs of a stage say it."""

    path: Path
    """Where the data belongs."""
    digest: Digest
    size_bytes: int
    """Of the file, or of all files of the folder together; 0 where old releases of DVC do not say it."""
    files: int | None
    """Number of files of a folder, where it is said; ``None`` for a file."""
    remote: str | None = None
    """The remote that keeps it, if it is not the default one."""
    is_pushed: bool = True
    """Whether it may be sent to a remote."""
    is_old: bool = False
    """Whether its blobs are those of DVC 1 and 2, in the ``OldStore``."""
    comes_from: str | None = None
    """The repository that it is imported from, by ``dvc import``; ``dvc`` does not keep such data in remotes."""
    said_in: Path = field(default=Path(), compare=False)
    """The file that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An output that cannot be used, or a file of which nothing can."""

    path: Path
    """Where the data belongs, or the file."""
    why: str
    hint: str | None = None


def read_pointer(path: Path) -> Pointer:
    """Reads a pointer with one output.

    Raises:
        NotFound: there is no such file.
        StoreError: it has several outputs, or cannot be used.
    """
    found = read_pointers(path)
    if len(found) == 1 and isinstance(found[0], Pointer):
        return found[0]
    unread = [one for one in found if isinstance(one, Unread)]
    if unread:
        raise _unusable(path, unread[0].why, unread[0].hint)
    names = ", ".join(sorted(one.path.name for one in found))
    raise _unusable(path, f"it has several outputs: {names}", "Name one of them by its own path.")


def read_pointers(path: Path) -> list[Pointer | Unread]:
    """Reads all outputs of a ``.dvc`` file.

    Raises:
        NotFound: there is no such file.
    """
    if not path.is_file():
        raise NotFound("There is no pointer.", given=path.name, accepted="a path to a .dvc file")
    return pointers_of(path, path.read_bytes())


def pointers_of(path: Path, data: bytes) -> list[Pointer | Unread]:
    """The same of what such a file held at another time.

    Args:
        path: Where it belongs.
        data: What it held.
    """
    try:
        content = load_pointer(path, data)
    except StoreError as error:
        return [Unread(path=path, why=str(error.given), hint=error.hint)]
    folder = path.parent / str(content.get("wdir") or ".")
    comes_from = _repository(content)
    kept = [one for one in content["outs"] if one.get("cache") is not False]  # the others are Git's
    return [output_of(one, folder, path, comes_from=comes_from) for one in kept]


def load_pointer(path: Path, data: bytes) -> dict[str, Any]:
    """All that a ``.dvc`` file holds; each of its outputs has a path.

    Args:
        path: Where it belongs, for messages.
        data: Its bytes.

    Raises:
        StoreError: it is no such file.
    """
    if (plain := read_plain(data)) is not None and "path" in plain["outs"][0]:
        return plain
    from kairos.store.yaml12 import load_yaml  # 15 ms

    try:
        content = load_yaml(data)
    except ValueError as error:
        if b"<<<<<<<" in data:
            raise _unusable(path, "it has conflicts of Git", "Resolve them.") from error
        raise _unusable(path, str(error)) from error
    if not isinstance(content, dict):
        raise _unusable(path, f"{type(content).__name__}, and no map with outs")
    outs = content.get("outs")
    if not isinstance(outs, list) or not outs or not all(isinstance(one, dict) and one.get("path") for one in outs):
        raise _unusable(path, "no outs with a path", "If it is a stage without outputs, there is no data to keep.")
    return content


def output_of(
    out: Mapping[str, Any], folder: Path, said_in: Path, *, comes_from: str | None = None
) -> Pointer | Unread:
    """One output.

    Args:
        out: As it is written.
        folder: From where its path is meant.
        said_in: The file that holds it.
        comes_from: The repository that it is imported from.
    """
    name, md5 = str(out["path"]), out.get("md5")
    path = Path(os.path.normpath(folder / name))
    if _CLOUD.match(name) or out.get("files") or out.get("cloud") or out.get("version_id"):
        why = "it lies in a cloud, under names of its own"
        return Unread(path=said_in if _CLOUD.match(name) else path, why=why, hint="`dvc` reaches it.")
    if md5 is None:
        kind = next((key for key in ("etag", "checksum") if key in out), None)
        if kind is not None or out.get("hash", "md5") != "md5":
            return Unread(path=path, why=f"it is named by {kind or out['hash']}, and not by MD5")
        hint = f"dvc pull {said_in.name}" if comes_from else "dvc repro, or dvc commit"
        return Unread(path=path, why="no digest is written down yet", hint=f"Type: {hint}")
    kinds = {"size": int, "nfiles": int, "remote": str, "push": bool, "hash": str}
    wrong = [key for key, kind in kinds.items() if out.get(key) is not None and not isinstance(out[key], kind)]
    if wrong:
        return Unread(path=path, why=f"{wrong[0]} is {out[wrong[0]]!r}")
    try:
        digest = check_digest(str(md5))
    except UsageError as error:
        return Unread(path=path, why=f"{error.given} is no digest")
    if out.get("hash", "md5") != "md5":
        return Unread(path=path, why=f"it is named by {out['hash']}, and not by MD5")
    return Pointer(
        path=path,
        digest=digest,
        size_bytes=out.get("size") or 0,
        files=out.get("nfiles"),
        remote=out.get("remote"),
        is_pushed=out.get("push") is not False and comes_from is None,
        is_old="hash" not in out,
        comes_from=comes_from,
        said_in=said_in,
    )


def _repository(content: Mapping[str, Any]) -> str | None:
    """Where ``dvc import`` had it from."""
    deps = content.get("deps")
    for dep in deps if isinstance(deps, list) else ():
        if isinstance(dep, dict) and isinstance(dep.get("repo"), dict):
            return str(dep["repo"].get("url"))
    return None


def _unusable(path: Path, why: str, hint: str | None = None) -> StoreError:
    return StoreError(
        f"The pointer {path.name!r} cannot be used.",
        given=why,
        accepted="what `dvc add`, `dvc import` and `dvc import-url` write, with data named by MD5",
        hint=hint,
    )
