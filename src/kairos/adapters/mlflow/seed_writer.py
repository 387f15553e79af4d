"""The seeds of a run as runs below it, so that MLflow's pages draw what they gave and logged beside each other."""

from __future__ import annotations

from dataclasses import replace

from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.logged_writer import PARENT, PART, LoggedWriter, log_params, log_points
from kairos.adapters.mlflow.naming import TAG_LENGTH, milliseconds, param_texts, shorten
from kairos.adapters.mlflow.refusing import Taking
from kairos.experiments import FailedSeed, RunRecord, SeedRecord
from kairos.pipeline.logged import Point

__all__ = ["record_seeds"]


def record_seeds(client: MlflowClient, experiment: str, run_id: str, record: RunRecord, taking: Taking) -> None:
    """Writes each seed of a run; what is there already stays as it is.

    The run's own has its values here once more, so that all can be drawn together; its files are in the run itself.

    Args:
        client: Of MLflow.
        experiment: Id of the project's experiment.
        run_id: MLflow's own, of the run.
        record: The run.
        taking: Hands its parts over.
    """
    for model, seeds in record.seeds.items():
        for place, seed in enumerate(seeds):
            _record(client, experiment, run_id, record, model, seed, taking, is_own=place == 0)
    for model, failed in record.failed_seeds.items():
        for one in failed:
            _record(client, experiment, run_id, record, model, one, taking, is_own=False)


def _record(
    client: MlflowClient,
    experiment: str,
    parent: str,
    record: RunRecord,
    model: str,
    seed: SeedRecord | FailedSeed,
    taking: Taking,
    *,
    is_own: bool,
) -> None:
    part = f"{record.run}/{model}/{seed.seed}"
    tags = {PART: part, PARENT: parent, "mlflow.user": record.actor}
    if isinstance(seed, SeedRecord):
        tags["kairos.package"] = seed.package
    else:
        tags["kairos.failure"] = shorten(seed.failure, TAG_LENGTH)
    found = client.search_runs([experiment], f"tags.`{PART}` = '{part}'", max_results=1)
    made = (
        found[0]
        if found
        else client.create_run(
            experiment,
            start_time=milliseconds(record.started_at),
            tags=tags,
            run_name=f"{record.run} {model} seed {seed.seed}",
        )
    )
    if made.info.status in ("FINISHED", "FAILED"):
        return
    ended_at, run_id = milliseconds(record.ended_at), made.info.run_id
    log_params(client, run_id, param_texts({**seed.logged.params, f"{model}.seed": str(seed.seed)}), taking)
    own = replace(record, run=part, steps=seed.logged.steps)
    logged = LoggedWriter(client, experiment, run_id, own, taking, is_part=True)
    measured = seed.metrics if isinstance(seed, SeedRecord) else {}
    values = {name: value for name, value in {**seed.logged.metrics, **measured}.items() if name not in logged.names()}
    log_points(client, run_id, [Point(name, value, ended_at, 0) for name, value in values.items()], taking)
    if is_own:
        logged.write_points()
    else:
        logged.write()
    client.set_terminated(run_id, "FINISHED" if isinstance(seed, SeedRecord) else "FAILED", ended_at)
