"""MLflow's SQLite file in the project: made whole or not at all, and written by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ARTIFACTS", "DATABASE", "alone", "make_database"]

DATABASE = "mlflow.db"
ARTIFACTS = "mlflow-artifacts"


def make_database(folder: Path) -> str:
    """Returns the URI of the project's database, which is made, with all its tables, if it is not there.

    MLflow makes its tables in some forty steps, and does not recover when it is stopped between two of them; so it
    works on a file of another name. To be called ``alone``.
    """
    path = folder / DATABASE
    if not path.exists():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # a second, which a server's client saves

        unfinished = folder / f"{DATABASE}.unfinished"
        unfinished.unlink(missing_ok=True)
        store = SqlAlchemyStore(f"sqlite:///{unfinished}", (folder / ARTIFACTS).as_uri())  # type: ignore[no-untyped-call]
        store.engine.dispose()
        os.replace(unfinished, path)
    return f"sqlite:///{path}"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other recorders of the project on this machine waiting, so that looking and writing are one act."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "mlflow.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
