"""From records to MLflow, through a client of its own.

Everything is looked up before it is written, and what marks a record as complete is written last: the end of a run,
the number of a version. So a record that a crash cut short is completed when it is written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from mlflow.entities import Dataset, DatasetInput, Experiment, LoggedModel, LoggedModelOutput, Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.logged_writer import LoggedWriter, log_inputs, log_params, log_points
from kairos.adapters.mlflow.naming import (
    TAG_LENGTH,
    cost_metrics,
    milliseconds,
    param_texts,
    run_tags,
    shorten,
    version_tags,
)
from kairos.adapters.mlflow.refusing import Taking
from kairos.adapters.mlflow.seed_writer import record_seeds
from kairos.adapters.mlflow.study_writer import begin_study, go_on, record_study
from kairos.errors import AdapterError
from kairos.experiments import RunRecord, VersionRecord
from kairos.pipeline.logged import Point

__all__ = ["MlflowWriter"]

_ENDED = {"finished": "FINISHED", "failed": "FAILED"}
_NAMED = 5
"""Refused parts that a message names."""


class MlflowWriter:
    """A recorder that has written when a call returns.

    It raises ``AdapterError`` for what our records lack; MLflow's own errors pass through, to be told by the child.

    Args:
        project: Name of the experiment; it is made when it is not there.
        uri: Of the tracking server and registry, or of a database.
        artifacts: Where a new experiment keeps its files; ``None`` leaves that to the server.
    """

    def __init__(self, *, project: str, uri: str, artifacts: str | None) -> None:
        self._project = project
        self._artifacts = artifacts
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    @property
    def place(self) -> str | None:
        """Id and age of the project's experiment; ``None``: it is not there."""
        found = self._found_experiment()
        return None if found is None else f"{found.experiment_id} of {found.creation_time}"

    def expect(self, place: str | None) -> None:
        """Refuses to go on with what another database was told.

        Raises:
            AdapterError: this is another one.
        """
        if place is not None and self.place != place:
            raise AdapterError(
                f"MLflow has another database than before, or has lost the experiment {self._project!r}.",
                hint="It is told everything again, from the first run on.",
                passing=True,
                another=True,
            )

    def record_run(self, record: RunRecord) -> None:
        """Records a run; see :class:`kairos.experiments.Recorder`. What MLflow refuses of it is left out and named.

        Raises:
            AdapterError: something of it was refused; the rest is recorded.
        """
        if record.study == record.run:
            study = self._study(record.run, record)
            if refused := record_study(self._client, study, record, project=self._project):
                raise _in_parts(record, refused)
            return
        run = self._find_run(record.run)
        if run is None:
            run = self._client.create_run(
                self._experiment,
                start_time=milliseconds(record.started_at),
                tags={**run_tags(record, project=self._project), **self._below(record)},
                run_name=record.run,
            )
        elif run.info.status in _ENDED.values():
            return
        ended_at = milliseconds(record.ended_at)
        run_id, taking = run.info.run_id, Taking()
        log_params(self._client, run_id, param_texts(record.params), taking)
        logged = LoggedWriter(self._client, self._experiment, run_id, record, taking)
        values = {name: value for name, value in record.metrics.items() if name not in logged.names()}
        points = [Point(n, v, ended_at, 0) for n, v in (values | cost_metrics(record)).items()]
        log_points(self._client, run_id, points, taking)
        log_inputs(self._client, run_id, [_dataset(name, digest) for name, digest in record.inputs.items()], taking)
        logged.write()
        record_seeds(self._client, self._experiment, run_id, record, taking)
        refused = list(dict.fromkeys(taking.refused))
        if refused:
            self._client.set_tag(run_id, "kairos.refused", shorten("; ".join(refused), TAG_LENGTH))
        self._client.set_terminated(run_id, _ENDED[record.status], ended_at)
        if refused:
            raise _in_parts(record, refused)

    def record_version(self, record: VersionRecord) -> None:
        """Records a version; see :class:`kairos.experiments.Recorder`."""
        if (found := self._find_version(record.model, record.number)) is not None:
            _check_package(found, record)
            return
        self._check_turn(record)
        run = self._find_run(record.run)
        if run is None:
            raise AdapterError(
                f"{record.ref} cannot be recorded in MLflow: its run is not there.",
                given=record.run,
                hint="Record the run first.",
                refused=True,
            )
        model = self._logged_model(record, run)
        if not self._client.search_registered_models(f"name = '{record.model}'"):
            self._client.create_registered_model(record.model)
        made = self._client.create_model_version(
            record.model,
            source=f"models:/{model.model_id}",
            run_id=run.info.run_id,
            tags=version_tags(record),
            model_id=model.model_id,
        )
        if int(made.version) != record.number:  # deleted versions keep their numbers and cannot be seen
            self._client.delete_model_version(record.model, made.version)
            raise _other_number(record, int(made.version))

    def set_aliases(self, model: str, aliases: Mapping[str, int | None]) -> None:
        """Points aliases at versions; see :class:`kairos.experiments.Recorder`."""
        known = self._client.search_registered_models(f"name = '{model}'")
        current = {alias: int(number) for alias, number in known[0].aliases.items()} if known else {}
        missing: dict[str, int] = {}
        for alias, number in aliases.items():
            if number is None and alias in current:
                self._client.delete_registered_model_alias(model, alias)
            elif number is not None and current.get(alias) != number:
                if self._find_version(model, number) is None:
                    missing[alias] = number
                else:
                    self._client.set_registered_model_alias(model, alias, str(number))
        for alias, number in missing.items():
            raise AdapterError(
                f"The alias {alias!r} of {model!r} cannot be set: MLflow has no such version.",
                given=number,
                hint="Record the version first.",
                refused=True,
            )

    def close(self) -> None:
        """Does nothing: all is written when a call returns."""

    def _below(self, record: RunRecord) -> dict[str, str]:
        """The tag by which a trial is shown below its study, which begins, or goes on, with it."""
        if record.study is None:
            return {}
        study = self._study(record.study, record)
        go_on(self._client, study)
        return {"mlflow.parentRunId": study.info.run_id}

    def _study(self, name: str, record: RunRecord) -> Run:
        found = self._find_run(name)
        return found or begin_study(self._client, self._experiment, name, record, project=self._project)

    @cached_property
    def _experiment(self) -> str:
        found = self._found_experiment()
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self._project, artifact_location=self._artifacts))

    def _found_experiment(self) -> Experiment | None:
        found = self._client.get_experiment_by_name(self._project)
        if found is not None and found.lifecycle_stage == "deleted":
            raise AdapterError(
                f"The experiment {self._project!r} was deleted in MLflow, which keeps its name.",
                hint=f"Type: mlflow experiments restore --experiment-id {found.experiment_id}",
                passing=True,
            )
        return found

    def _find_run(self, run: str) -> Run | None:
        found = self._client.search_runs([self._experiment], f"tags.`kairos.run` = '{run}'", max_results=1)
        return found[0] if found else None

    def _find_version(self, model: str, number: int) -> ModelVersion | None:
        try:
            return self._client.get_model_version(model, str(number))
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                return None
            raise

    def _check_turn(self, record: VersionRecord) -> None:
        last = self._client.search_model_versions(
            f"name = '{record.model}'", max_results=1, order_by=["version_number DESC"]
        )
        upcoming = int(last[0].version) + 1 if last else 1
        if upcoming != record.number:
            raise _other_number(record, upcoming)

    def _logged_model(self, record: VersionRecord, run: Run) -> LoggedModel:
        """The model as an output of its run, with its files, params and metrics."""
        found = self._client.search_logged_models([self._experiment], f"tags.`kairos.version` = '{record.ref}'")
        model = found[0] if found else self._create_logged_model(record, run)
        if model.status != "READY":
            self._client.log_model_artifacts(model.model_id, str(record.package_folder))
            model = self._client.finalize_logged_model(model.model_id, "READY")
        outputs = run.outputs.model_outputs if run.outputs else []
        if all(output.model_id != model.model_id for output in outputs):
            self._client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
        metrics = [
            Metric(name, value, run.info.end_time, 0, model_id=model.model_id) for name, value in record.metrics.items()
        ]
        if metrics:
            self._client.log_batch(run.info.run_id, metrics=metrics)
        return model

    def _create_logged_model(self, record: VersionRecord, run: Run) -> LoggedModel:
        links = json.dumps([{"name": record.model, "version": record.number}])  # MLflow's pages follow them
        return self._client.create_logged_model(
            self._experiment,
            name=record.model,
            source_run_id=run.info.run_id,
            tags={**version_tags(record), "mlflow.modelVersions": links},
            params=param_texts(record.params),
        )


def _in_parts(record: RunRecord, refused: Sequence[str]) -> AdapterError:
    more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    return AdapterError(
        f"MLflow did not take run {record.run!r} as a whole.",
        given="; ".join(refused[:_NAMED]) + more,
        hint="The rest of it is recorded.",
        refused=True,
    )


def _dataset(name: str, digest: str) -> DatasetInput:
    source = json.dumps({"artifact": name, "digest": digest})
    return DatasetInput(Dataset(name=name, digest=digest, source_type="kairos", source=source))


def _check_package(found: ModelVersion, record: VersionRecord) -> None:
    package = found.tags.get("kairos.package")
    if package != record.package:
        raise AdapterError(
            f"MLflow's version {record.number} of {record.model!r} is another model.",
            given=f"package {package}, where the ledger has {record.package}",
            hint="Was it registered by hand, or by another project? Use a project and a server of your own.",
            refused=True,
        )


def _other_number(record: VersionRecord, number: int) -> AdapterError:
    return AdapterError(
        f"MLflow would number {record.ref} differently.",
        given=f"its next version of {record.model!r} is {number}",
        accepted=str(record.number),
        hint="Versions are recorded in order, none is deleted in MLflow, and nobody else registers this model there.",
        refused=True,
    )
