"""What steps logged, and what a run was made with, into the run's MLflow run: in order, with steps, times and files.

Each part is written so that writing it again changes nothing: after an outage in its middle it is all told once more.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.naming import TAG_LENGTH, param_texts, shorten
from kairos.adapters.mlflow.refusing import Taking
from kairos.errors import BlobDamaged, BlobMissing
from kairos.experiments import RunRecord, StepRecord
from kairos.pipeline.logged import Logged, LoggedModel, LoggedRun, Point
from kairos.store import Store
from kairos.values import Digest

__all__ = ["PARENT", "PART", "LoggedWriter", "log_inputs", "log_params", "log_points"]

_PARAMS_AT_ONCE = 100
_POINTS_AT_ONCE = 1000
"""MLflow takes no more in one batch."""
PARENT = "mlflow.parentRunId"
PART = "kairos.part"
"""Tag by which a run or model of a step's own is found again."""


def log_params(client: MlflowClient, run_id: str, texts: Mapping[str, str], taking: Taking) -> None:
    """Writes params, which have their names in the run already."""
    params = [Param(name, text) for name, text in texts.items()]
    for start in range(0, len(params), _PARAMS_AT_ONCE):
        some = params[start : start + _PARAMS_AT_ONCE]
        taking.each("param", some, lambda own: client.log_batch(run_id, params=own))


def log_points(
    client: MlflowClient, run_id: str, points: Sequence[Point], taking: Taking, *, model_id: str | None = None
) -> None:
    """Writes values of metrics in their order."""
    metrics = [Metric(point.name, point.value, point.at_ms, point.step, model_id=model_id) for point in points]
    for start in range(0, len(metrics), _POINTS_AT_ONCE):
        some = metrics[start : start + _POINTS_AT_ONCE]
        taking.each("metric", some, lambda own: client.log_batch(run_id, metrics=own))


def log_inputs(client: MlflowClient, run_id: str, inputs: Sequence[DatasetInput], taking: Taking) -> None:
    """Writes data sets."""
    if inputs and not Taking()("data sets", lambda: client.log_inputs(run_id, [*inputs])):
        for each in inputs:
            taking(f"data set {each.dataset.name!r}", partial(client.log_inputs, run_id, [each]))


class LoggedWriter:
    """Writes what the steps of one run logged, and what it was made with.

    Args:
        client: Of MLflow.
        experiment: Id of the project's experiment.
        run_id: MLflow's own, of the run.
        record: The run.
        taking: Hands its parts over.
        is_part: Whether it is a part of another, which tells what both were made with.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment: str,
        run_id: str,
        record: RunRecord,
        taking: Taking,
        *,
        is_part: bool = False,
    ) -> None:
        self._client, self._experiment, self._run_id, self._record = client, experiment, run_id, record
        self._taking, self._is_part = taking, is_part
        self._store = None if record.store is None else Store(record.store)

    def names(self) -> set[str]:
        """Names of metrics in the run whose every value is written by ``write``."""
        return {step.metric_names.get(point.name, point.name) for step, run in self._mains for point in run.points}

    def write_points(self) -> None:
        """Writes the values of metrics alone."""
        for step, run in self._mains:
            points = [
                Point(step.metric_names.get(point.name, point.name), point.value, point.at_ms, point.step)
                for point in run.points
            ]
            log_points(self._client, self._run_id, points, self._taking)

    def write(self) -> None:
        """Writes all of it."""
        self.write_points()
        for _, run in self._mains:
            self._log_beside(self._run_id, run)
        for step, place, logged in self._logged:
            self._log_parts(step, place, logged)
        with tempfile.TemporaryDirectory(prefix="kairos-record-") as folder:
            if self._lay_out(Path(folder)):
                self._log_folder(Path(folder))

    @cached_property
    def _logged(self) -> list[tuple[StepRecord, int, Logged]]:
        """What each call of a step logged, with its place among the step's; what is gone from the store is left out."""
        found = []
        if self._store is None:
            return []
        for step in self._record.steps:
            for place, digest in enumerate(each for each in step.logged if not each.endswith(".dir")):
                try:
                    found.append((step, place, Logged.read(self._store, digest)))
                except (BlobMissing, BlobDamaged):
                    continue
        return found

    @property
    def _mains(self) -> Iterator[tuple[StepRecord, LoggedRun]]:
        for step, _, logged in self._logged:
            if logged.main is not None:
                yield step, logged.main

    def _log_beside(self, run_id: str, run: LoggedRun) -> None:
        """Tags and data sets."""
        if run.tags:
            own = {name: text for name, text in run.tags.items() if not name.startswith("kairos.")}
            tags = [RunTag(name, shorten(text, TAG_LENGTH)) for name, text in own.items()]
            self._taking.each("tag", tags, lambda some: self._client.log_batch(run_id, tags=some))
        log_inputs(self._client, run_id, [_input(each) for each in run.inputs], self._taking)

    def _log_parts(self, step: StepRecord, place: int, logged: Logged) -> None:
        """Runs that the code began below its own, or several beside each other; and all models."""
        ids: dict[int, str] = {}
        for number, run in enumerate(logged.runs):
            part = f"{self._record.run}/{step.step}/{place}/{number}"
            if run is logged.main:
                ids[number] = self._run_id
            else:
                parent = self._run_id if run.parent is None else ids.get(run.parent, self._run_id)
                ids[number] = self._log_part(part, run, parent)
            for count, model in enumerate(run.models):
                what = f"model {model.name!r}"
                self._taking(what, partial(self._log_model, f"{part}/{count}", model, ids[number]))

    def _log_part(self, part: str, run: LoggedRun, parent: str) -> str:
        """A run of its own; its MLflow id."""
        found = self._client.search_runs([self._experiment], f"tags.`{PART}` = '{part}'", max_results=1)
        made = (
            found[0]
            if found
            else self._client.create_run(
                self._experiment,
                start_time=run.started_ms,
                tags={PART: part, PARENT: parent, "mlflow.user": self._record.actor},
                run_name=run.name or part,
            )
        )
        run_id = str(made.info.run_id)
        if made.info.status in ("FINISHED", "FAILED"):
            return run_id
        log_params(self._client, run_id, param_texts(run.params), self._taking)
        log_points(self._client, run_id, run.points, self._taking)
        self._log_beside(run_id, run)
        if run.files is not None:
            files = run.files
            self._taking(
                "files", lambda: self._log_files(files, lambda folder: self._client.log_artifacts(run_id, folder))
            )
        self._client.set_terminated(run_id, "FAILED" if run.is_failed else "FINISHED", run.ended_ms)
        return run_id

    def _log_model(self, part: str, model: LoggedModel, run_id: str) -> None:
        found = self._client.search_logged_models([self._experiment], f"tags.`{PART}` = '{part}'", max_results=1)
        made = (
            found[0]
            if found
            else self._client.create_logged_model(
                self._experiment,
                name=model.name,
                source_run_id=run_id,
                tags={**model.tags, PART: part},
                params=param_texts(model.params),
                model_type=model.type,
            )
        )
        if made.status != "READY":
            if model.files is not None:
                self._log_files(model.files, lambda folder: self._client.log_model_artifacts(made.model_id, folder))
            self._client.finalize_logged_model(made.model_id, "READY")
        self._client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
        log_points(self._client, run_id, model.points, self._taking, model_id=made.model_id)

    def _log_folder(self, folder: Path) -> None:
        """Sends all below a folder; where that is refused, file by file."""
        if Taking()("files", lambda: self._client.log_artifacts(self._run_id, str(folder))):
            return
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            place = None if name.parent == Path() else name.parent.as_posix()
            send = partial(self._client.log_artifact, self._run_id, str(path), place)
            self._taking(f"file {name.as_posix()!r}", send)

    def _log_files(self, files: Digest, send: Any) -> None:
        assert self._store is not None  # what was logged was read from it
        with tempfile.TemporaryDirectory(prefix="kairos-record-") as folder:
            try:
                self._store.checkout(files, Path(folder, "files"), link="hardlink")
            except (BlobMissing, BlobDamaged):
                return
            send(str(Path(folder, "files")))

    def _lay_out(self, folder: Path) -> bool:
        """Puts the files of a run into a folder as they are to be named in it; whether there are any."""
        own = folder / "kairos"
        if self._record.steps and not self._is_part:
            own.mkdir()
            steps = [{name: _plain(value) for name, value in asdict(step).items()} for step in self._record.steps]
            (own / "steps.json").write_text(json.dumps(steps, indent=1))
        for name, digest in () if self._is_part else self._kept():
            self._put(digest, own / name)
        listings = [(step.step, self._listing(run.files)) for step, run in self._mains if run.files is not None]
        often = Counter(path for _, listing in listings for path in listing)
        for step, listing in listings:
            for path, digest in listing.items():
                self._put(digest, folder / path if often[path] == 1 else folder / step / path)
        return any(folder.iterdir())

    def _kept(self) -> Iterator[tuple[str, Digest]]:
        """What the run was made with; of the code what Git does not have."""
        kept, code = self._record.kept, self._record.code
        if "environment" in kept:
            yield "environment.json", kept["environment"]
        if "difference" in kept:
            yield "uncommitted.patch", kept["difference"]
        if "files" in kept and (code.commit is None or code.dirty_digest is not None):
            yield "code", kept["files"]

    def _listing(self, files: Digest) -> Mapping[str, Digest]:
        assert self._store is not None  # what was logged was read from it
        try:
            return self._store.listing(files)
        except (BlobMissing, BlobDamaged):
            return {}

    def _put(self, digest: Digest, target: Path) -> None:
        """Puts a file there; not what is gone from the store, which a run of long ago may name."""
        if self._store is None:
            return
        try:
            self._store.checkout(digest, target, link="hardlink")
        except (BlobMissing, BlobDamaged):
            return


def _input(given: Mapping[str, Any]) -> DatasetInput:
    tags = [InputTag(name, text) for name, text in given.get("tags", {}).items()]
    return DatasetInput(Dataset(**{name: value for name, value in given.items() if name != "tags"}), tags)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
