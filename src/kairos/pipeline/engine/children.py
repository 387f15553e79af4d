"""Other Pythons that a step starts: they import the project's modules as the run captured them.

``multiprocessing`` with ``spawn``, joblib's workers and a shell share no memory with the step. The environment tells
them which code, and a ``sitecustomize`` on their path looks for it there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from kairos.pipeline.captured import fetch
from kairos.pipeline.importing import CapturedFinder
from kairos.pipeline.project import PipelineSource
from kairos.store import Store
from kairos.values import Digest

__all__ = ["find_captured", "tell_children", "untell_children"]

_CODE, _PATH = "KAIROS_CODE", "PYTHONPATH"
_CHILD = str(Path(__file__).parent / "child")


def tell_children(store: Path, code: Digest, source: PipelineSource) -> None:
    """Tells all that this process starts from now on which code counts.

    Args:
        store: The store's root.
        code: The project's files, as a folder in it.
        source: The project.
    """
    os.environ[_CODE] = f"{code}\n{store}\n{source.root}\n{source.stands_for or ''}"
    path = os.environ.get(_PATH, "").split(os.pathsep)
    os.environ[_PATH] = os.pathsep.join([_CHILD, *(folder for folder in path if folder and folder != _CHILD)])


def untell_children() -> None:
    """Undoes ``tell_children``, and ends joblib's workers, which stay for the next call with modules of before."""
    for name in ("joblib.externals.loky.reusable_executor", "loky.reusable_executor"):
        executor = getattr(sys.modules.get(name), "_executor", None)
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)
    os.environ.pop(_CODE, None)
    path = [folder for folder in os.environ.get(_PATH, "").split(os.pathsep) if folder != _CHILD]
    if any(path):
        os.environ[_PATH] = os.pathsep.join(path)
    else:
        os.environ.pop(_PATH, None)


def find_captured(path: str) -> Any:
    """In a child: installs the project's finder and gives what it has for one folder.

    Raises:
        ImportError: it is none of the project's.
    """
    code, store, root, other = os.environ[_CODE].split("\n")
    captured = fetch(Store(Path(store)), Digest(code))
    finder = CapturedFinder(Path(root), captured, stands_for=Path(other) if other else None)
    finder.install([])
    return finder.hook(path)
