"""The code of a run in a folder of its own: the commit, what differed from it, and the files that really ran."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from kairos.pipeline.captured import capture, fetch
from kairos.store import Store
from kairos.values import Digest, Json

__all__ = ["make_code_folder"]


def make_code_folder(store: Store, root: Path, folder: Path, *, kept: Json, commit: str | None) -> Path:
    """Makes a folder with a project's files as they were in a run; what was there before is replaced.

    The commit and its difference give the files that are no code, as far as git has them. The captured files come last,
    and no other Python file stays: what runs is what ran.

    Args:
        store: Holds what was kept.
        root: The project's folder, in whose repository the commit is.
        folder: Where to.
        kept: As the run's fact has it.
        commit: Of then; ``None`` outside a repository.

    Returns:
        The project's folder: that, or one in it, if the project imported what lies beside it.

    Raises:
        BlobMissing: the store lost what was kept.
    """
    captured = fetch(store, Digest(kept["files"]))
    shutil.rmtree(folder, ignore_errors=True)
    folder = folder.joinpath(*root.absolute().parts[len(root.absolute().parts) - captured.depth :])
    folder.mkdir(parents=True)
    if commit is not None:
        _unpack(root, folder, commit)
        if kept["difference"] is not None:
            _apply(folder, store.get_bytes(Digest(kept["difference"]), verify=True))
    for name in capture(folder).files:
        (folder / name).unlink()
    captured.write(folder)
    return folder


def _unpack(root: Path, folder: Path, commit: str) -> None:
    """Takes the project's part of a commit; a commit that is gone, as after a rebase, leaves the folder empty."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "archive", "--format=tar", commit], capture_output=True, check=False
        )
    except OSError:
        return
    if done.returncode == 0:
        with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")


def _apply(folder: Path, difference: bytes) -> None:
    """Applies it as far as it fits; code does not depend on it."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_DIR": os.devnull}
    environment.pop("GIT_DIR")
    subprocess.run(
        ["git", "apply", "--binary", "--whitespace=nowarn", "-"],
        cwd=folder,
        input=difference,
        env=environment,
        capture_output=True,
        check=False,
    )
