"""``.dvc`` files beside the data, as DVC 3 writes them, so that ``dvc`` and Kairos share one cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kairos.errors import NotFound, StoreError
from kairos.store.blobs import Store
from kairos.store.difference import changes
from kairos.store.dvc_config import find_dvc
from kairos.store.files import write_atomically
from kairos.store.ignoring import Ignore, ignore_of
from kairos.store.old_layout import OldStore
from kairos.store.plain_yaml import as_plain
from kairos.store.pointer_files import Pointer, load_pointer, read_pointer
from kairos.values import Json

__all__ = ["prepare_dvc", "track"]

_KEPT = ("desc", "type", "labels", "meta", "cache", "persist", "remote", "push")
"""What a person may have added to an output with ``dvc`` or by hand; it stays when the data changes."""
_OWN = frozenset({"outs", "desc", "meta", "frozen", "md5", "wdir"})
_OF_OLD = frozenset({"md5", "wdir"})
"""What old releases of DVC wrote about the whole pointer."""


def track(store: Store, path: Path) -> Path:
    """Stores a file or folder, writes the pointer ``<name>.dvc`` beside it as ``dvc add`` does, and returns its path.

    What ``.dvcignore`` names is left out. In a Git repository the data is also named in the ``.gitignore`` beside it.
    The data itself stays as it is. A pointer of DVC 2 stays as long as its data does.

    Args:
        store: The project's store, at ``.dvc/cache``.
        path: The file or folder.

    Raises:
        NotFound: there is nothing at ``path``.
        StoreError: the path is ignored or a link to a folder, the folder holds something that cannot be stored, or the
            pointer there is another command's to write.
    """
    path = Path(os.path.abspath(path))
    pointer = path.with_name(path.name + ".dvc")
    if not path.exists():
        raise NotFound("There is nothing to track.", given=path.name, accepted="a path to a file or folder")
    if path.is_symlink() and path.is_dir():
        raise StoreError(
            "A link to a folder is not tracked, and DVC refuses it too: what it leads to lies elsewhere.",
            given=path.name,
            accepted="a file or a folder in the project",
            hint="Move or copy the folder here.",
        )
    if path.suffix == ".dvc" and path.is_file():
        raise StoreError("A pointer is no data to track.", given=path.name, accepted="the data that it is about")
    ignore = ignore_of(path)
    if ignore is None:
        raise StoreError("This is ignored by .dvcignore.", given=path.name, accepted="what no .dvcignore names")
    before: dict[str, Json] = _own(pointer) if pointer.exists() else {"outs": [{}]}
    if pointer.exists() and _is_old_and_same(store, read_pointer(pointer), path, ignore):
        return pointer
    kept = {key: value for key, value in before["outs"][0].items() if key in _KEPT}
    content = {key: value for key, value in before.items() if key not in _OF_OLD}
    content |= {"outs": [_facts(store, path, ignore) | kept]}
    if content != before:
        write_atomically(pointer, as_plain(content) or _yaml(content))
    if _in_git(path.parent):
        _add_line(path.parent / ".gitignore", "/" + re.sub(r"([]\[!*#?])", r"\\\1", path.name))
    return pointer


def prepare_dvc(project_root: Path) -> None:
    """Makes ``dvc`` work in a project, in a Git repository or without; what is already there stays as it is.

    Its cache is then ``.dvc/cache``, which is where the project's ``Store`` belongs. Where a folder above has a
    ``.dvc`` in the same repository, that one is the project's, and nothing is made.
    """
    if find_dvc(project_root).parent != Path(os.path.abspath(project_root)):
        return
    config = "" if _in_git(project_root) else "[core]\n    no_scm = True\n"
    for name, text in (("config", config), (".gitignore", "/config.local\n/tmp\n/cache\n")):
        path = project_root / ".dvc" / name
        if not path.exists():
            write_atomically(path, text.encode())


def _own(pointer: Path) -> dict[str, Json]:
    """What a pointer says that is for ``track`` to write anew.

    Raises:
        StoreError: it cannot be used, or another command's data is behind it.
    """
    content = load_pointer(pointer, pointer.read_bytes())
    whose = None
    if "cmd" in content:
        whose = ("it is what a stage makes", f"Type: dvc repro {pointer.name}, or dvc commit {pointer.name}")
    elif content.get("deps"):
        hint = f"Type: dvc update {pointer.name}. To make it yours: dvc remove {pointer.name}, and add it then."
        whose = ("it is imported: it has deps", hint)
    elif len(content["outs"]) > 1:
        whose = ("it has several outputs", f"Type: dvc commit {pointer.name}")
    elif others := sorted(content.keys() - _OWN) or content.get("wdir") not in (None, "."):
        whose = (f"it has {', '.join(others) if isinstance(others, list) else 'wdir'}", "`dvc` can write it.")
    if whose is not None:
        raise StoreError(f"The pointer {pointer.name!r} cannot be used to add data.", given=whose[0], hint=whose[1])
    read_pointer(pointer)
    return content


def _yaml(content: dict[str, Json]) -> bytes:
    from kairos.store.yaml12 import dump_yaml  # 15 ms

    return dump_yaml(content)


def _is_old_and_same(store: Store, pointer: Pointer, path: Path, ignore: Ignore) -> bool:
    old = OldStore(store.root)
    return pointer.is_old and old.has(pointer.digest) and not any(changes(old, path, pointer.digest, ignore))


def _facts(store: Store, path: Path, ignore: Ignore) -> dict[str, Json]:
    """Stores what is there, and says what of it."""
    facts: dict[str, Json]
    if path.is_dir():
        taken = store.take_folder(path, remembers=True, ignore=ignore)
        facts = {"md5": str(taken.digest), "size": taken.size_bytes, "nfiles": taken.files}
    else:
        digest = store.put_file(path)
        facts = {"md5": str(digest), "size": store.path(digest).stat().st_size}
        if path.stat().st_mode & 0o111:
            facts["isexec"] = True
    return facts | {"hash": "md5", "path": path.name}


def _in_git(folder: Path) -> bool:
    folder = Path(os.path.abspath(folder))
    return any((each / ".git").exists() for each in (folder, *folder.parents))


def _add_line(path: Path, line: str) -> None:
    text = path.read_text() if path.exists() else ""
    if line not in text.splitlines():
        end = "" if not text or text.endswith("\n") else "\n"
        write_atomically(path, f"{text}{end}{line}\n".encode())
