"""MLflow as the experiment record and the model registry.

Importing MLflow takes seconds, and so does making its tables. This module does neither: a child process does, beside
whatever the caller has to do in the meantime.

    recorder.py   in the caller's process: hands records to the child, and brings its errors back
    __main__.py   the child process
    writer.py     in the child: from records to MLflow
    logged_writer.py  in the child: the same of what steps logged
    seed_writer.py  in the child: the same of a run's seeds
    refusing.py   in the child: what an error says of the server, and what of the record
    inside.py     in a worker whose step logged: keeps that in the store
    database.py   in the child: makes MLflow's SQLite file, whole or not at all
    naming.py     how our words look in MLflow; imports no MLflow
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from urllib.parse import urlsplit

from kairos.adapters.mlflow.recorder import BackgroundRecorder
from kairos.errors import AdapterMissing, SettingsError
from kairos.experiments import Recorder
from kairos.values import without_secrets

__all__ = ["check_address", "open_recorder"]

_NEEDED = ("mlflow", "sqlalchemy", "alembic")


def open_recorder(folder: Path, *, name: str, url: str | None = None) -> Recorder:
    """Opens the project's record in MLflow; see :class:`kairos.experiments.Recorder` for what it promises.

    It returns in milliseconds; a child process imports MLflow meanwhile. Nothing is written before the first record.

    Args:
        folder: The project's ``.kairos`` folder. Without ``url``, it holds ``mlflow.db`` and
            ``mlflow-artifacts``.
        name: Of the project; it becomes the MLflow experiment.
        url: Address of an MLflow server, ``http://`` or ``https://``.

    Raises:
        AdapterMissing: MLflow is not installed.
        SettingsError: ``url`` is not the address of a server.
    """
    missing = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        raise AdapterMissing(
            "Runs cannot be recorded in MLflow: it is not installed.",
            given=f"no module {', '.join(missing)}",
            hint="Type: pip install mlflow-skinny sqlalchemy alembic",
        )
    if url is not None:
        check_address(url)
    return BackgroundRecorder(project=name, folder=folder.absolute(), uri=url)


def check_address(url: str) -> None:
    """Refuses what is not the address of a server, or would show a password.

    Raises:
        SettingsError: it is not, or would.
    """
    if "@" in url:
        raise SettingsError(
            "The address of the MLflow server holds a password, which would end up in logs.",
            accepted="http://HOST:PORT or https://HOST",
            hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment.",
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # such as a bracket that is not closed
        usable = False
    if not usable:
        raise SettingsError(
            "The address of the MLflow server cannot be used.",
            given=without_secrets(url),
            accepted="http://HOST:PORT or https://HOST; without an address, a file in the project is used",
        )
