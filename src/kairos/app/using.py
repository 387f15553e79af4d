"""Who stores blobs whose need is told only later keeps garbage from being collected meanwhile, and the reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from kairos.app.project import Project
from kairos.store.locks import Holder, locked

__all__ = ["lock_of", "uses_store", "using"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def lock_of(project: Project) -> Path:
    """The lock of a project's store: shared by those who store, and held alone by who removes."""
    return project.store.root / "kairos.lock"


@contextmanager
def using(project: Project) -> Iterator[None]:
    """Nothing is removed from the store as long as the block lasts; waits for a removal, and logs for whom."""
    with locked(lock_of(project), is_shared=True, told=_log):
        yield


def uses_store(act: Callable[Concatenate[Project, Given], Result]) -> Callable[Concatenate[Project, Given], Result]:
    """The same for all of a function."""

    @wraps(act)
    def guarded(project: Project, /, *args: Given.args, **options: Given.kwargs) -> Result:
        with using(project):
            return act(project, *args, **options)

    return guarded


def _log(held_by: tuple[Holder, ...]) -> None:
    import logging  # 5 ms, for who has to wait

    logging.getLogger("kairos.store").warning("waiting for %s", ", ".join(map(str, held_by)) or "another process")
