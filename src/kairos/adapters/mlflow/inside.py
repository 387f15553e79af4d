"""Inside a step: reads what MLflow left in the step's folder, and keeps it in the store.

A worker calls this by name, and only for a step that logged something; MLflow is loaded by then, as the step used it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.entities import LoggedModel as MlflowModel
from mlflow.entities import Metric, Run, ViewType
from mlflow.store.tracking.file_store import FileStore

from kairos.pipeline.clashing import told_name
from kairos.pipeline.logged import Logged, LoggedModel, LoggedRun, Point
from kairos.pipeline.origins.secrets import note_environment, redacted
from kairos.store import Store
from kairos.values import Digest

__all__ = ["keep"]

_OURS = ("mlflow.user", "mlflow.source.", "mlflow.runName", "mlflow.parentRunId", "mlflow.log-model.history")
"""Tags that MLflow makes up from the process that it runs in, or that name runs of the folder."""
_AT_ONCE = 1000
_NO_THINGS = ("datasets", "models", "tags", "traces")
"""Folders of an experiment that are no run."""
_FIELDS = (2, 3, 5)
"""Of a metric's line."""


def keep(folder: Path, store: Store, *, was_killed: bool = False) -> tuple[Digest, ...]:
    """Keeps all that was logged below a folder.

    Args:
        folder: Where MLflow wrote to; a tracking store of files.
        store: Where it is kept.
        was_killed: Whether the process that logged was; what it had not ended has failed then.

    Returns:
        The digest of a :class:`kairos.pipeline.logged.Logged`, and of the folders of files that it names; nothing if
        nothing was logged.
    """
    if was_killed:
        _leave_out_halves(folder)
    tracking: Any = FileStore(str(folder), folder.as_uri())  # type: ignore[no-untyped-call]
    tracking.flush_async_logging()
    experiments = [each.experiment_id for each in tracking.search_experiments(ViewType.ALL)]
    found = tracking.search_runs(experiments, "", ViewType.ACTIVE_ONLY, max_results=_AT_ONCE)
    runs = list(found)
    while found.token:
        found = tracking.search_runs(
            experiments, "", ViewType.ACTIVE_ONLY, max_results=_AT_ONCE, page_token=found.token
        )
        runs += found
    runs.sort(key=lambda run: (run.info.start_time, run.info.run_id))
    places = {run.info.run_id: place for place, run in enumerate(runs)}
    models: dict[str, list[MlflowModel]] = {}
    for model in tracking.search_logged_models(experiments):
        owner = model.source_run_id if model.source_run_id in places else ""
        models.setdefault(owner or "", []).append(model)
    told = [_run(run, tracking, store, places, models.get(run.info.run_id, []), was_killed=was_killed) for run in runs]
    if without := models.get(""):  # code that logs a model before all else has begun no run
        told = _with_models(told, [_model(model, store) for model in without], without[0].creation_timestamp)
    return Logged(runs=tuple(told)).keep(store) if told else ()


def _leave_out_halves(folder: Path) -> None:
    """Takes away what was cut off in its middle, by a power cut or a full disk: all would be unreadable for it."""
    for place in ("*/*", "*/models/*", "*/*/inputs/*"):
        for thing in folder.glob(place):
            meta = thing / "meta.yaml"
            if thing.is_dir() and thing.name not in _NO_THINGS and not (meta.is_file() and meta.read_bytes().strip()):
                shutil.rmtree(thing)
    for metrics in (*folder.glob("*/*/metrics"), *folder.glob("*/models/*/metrics")):
        for file in metrics.rglob("*"):
            if file.is_file():
                lines = file.read_bytes().splitlines(keepends=True)
                whole = [line for line in lines if line.endswith(b"\n") and len(line.split()) in _FIELDS]
                if not whole:
                    file.unlink()
                elif whole != lines:
                    file.write_bytes(b"".join(whole))


def _with_models(runs: Sequence[LoggedRun], models: Sequence[LoggedModel], at_ms: int) -> list[LoggedRun]:
    """The same with models that no run was begun for: they belong to the first run, or to one of their own."""
    if not runs:
        return [LoggedRun(name="", started_ms=at_ms, ended_ms=at_ms, models=tuple(models))]
    return [replace(runs[0], models=(*runs[0].models, *models)), *runs[1:]]


def _run(
    run: Run,
    tracking: Any,
    store: Store,
    places: Mapping[str, int],
    models: Sequence[MlflowModel],
    *,
    was_killed: bool,
) -> LoggedRun:
    info = run.info
    points = [point for name in run.data.metrics for point in tracking.get_metric_history(info.run_id, name)]
    return LoggedRun(
        name=run.data.tags.get("mlflow.runName", ""),
        parent=places.get(run.data.tags.get("mlflow.parentRunId", "")),
        is_failed=info.status in ("FAILED", "KILLED") or (was_killed and info.end_time is None),
        started_ms=info.start_time,
        ended_ms=info.end_time or max([info.start_time, *(point.timestamp for point in points)]),
        params=_texts(run.data.params),
        points=_points(points),
        tags={name: text for name, text in _texts(run.data.tags).items() if not name.startswith(_OURS)},
        inputs=_inputs(run),
        files=_files(info.artifact_uri, store),
        models=tuple(_model(model, store) for model in models),
    )


def _model(model: MlflowModel, store: Store) -> LoggedModel:
    return LoggedModel(
        name=model.name or "model",
        type=model.model_type,
        params=_texts(model.params or {}),
        tags={name: text for name, text in _texts(model.tags or {}).items() if not name.startswith(_OURS)},
        points=_points(model.metrics or ()),
        files=_files(model.artifact_location, store),
    )


def _points(metrics: Iterable[Metric]) -> tuple[Point, ...]:
    """In the order of their times; what was logged at one moment keeps its order."""
    points = [Point(told_name(metric.key), metric.value, metric.timestamp, metric.step) for metric in metrics]
    return tuple(sorted(points, key=lambda point: point.at_ms))


def _inputs(run: Run) -> tuple[dict[str, Any], ...]:
    given = run.inputs.dataset_inputs if run.inputs else []
    return tuple({**dict(one.dataset), "tags": {tag.key: tag.value for tag in one.tags}} for one in given)


def _files(uri: str, store: Store) -> Digest | None:
    folder = Path(url2pathname(urlsplit(uri).path))
    if not any(path.is_file() for path in folder.rglob("*")):
        return None
    return store.put_folder(folder)


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    note_environment()
    return {told_name(name): redacted(str(value)) for name, value in given.items()}
