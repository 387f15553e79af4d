"""A search as a run above its trials: it goes on with further ones, and is judged again then."""

from __future__ import annotations

from functools import partial

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from kairos.adapters.mlflow.logged_writer import log_points
from kairos.adapters.mlflow.naming import JUDGED_AT, WINNER, milliseconds, param_texts, run_tags
from kairos.adapters.mlflow.refusing import Taking
from kairos.experiments import RunRecord
from kairos.pipeline.logged import Point

__all__ = ["begin_study", "go_on", "record_study"]


def begin_study(client: MlflowClient, experiment: str, study: str, record: RunRecord, *, project: str) -> Run:
    """The run of a study that is not there yet.

    Args:
        client: Of MLflow.
        experiment: Id of the project's experiment.
        study: Its id.
        record: The first trial, or what was thought of the best.
        project: Its name.
    """
    return client.create_run(
        experiment,
        start_time=milliseconds(record.started_at),
        tags={"kairos.run": study, "mlflow.user": record.actor, "mlflow.source.name": project},
        run_name=study,
    )


def go_on(client: MlflowClient, study: Run) -> None:
    """Opens the run of a study again that was judged before."""
    if study.info.status != "RUNNING":
        client.update_run(study.info.run_id, status="RUNNING")


def record_study(client: MlflowClient, study: Run, record: RunRecord, *, project: str) -> list[str]:
    """Tells what was thought of the best trial, and ends the run; what was told later stays.

    The winner's params are tags, as MLflow's params keep their first values.

    Args:
        client: Of MLflow.
        study: Its run.
        record: Of its end.
        project: Its name.

    Returns:
        What was refused of it, with the reasons.
    """
    run_id, judged_at, taking = study.info.run_id, milliseconds(record.ended_at), Taking()
    if int(study.data.tags.get(JUDGED_AT, -1)) >= judged_at:
        return []
    log_points(client, run_id, [Point(name, value, judged_at, 0) for name, value in record.metrics.items()], taking)
    winner = {f"{WINNER}.{name}": text for name, text in param_texts(record.params).items()}
    for name, value in {**run_tags(record, project=project), **winner}.items():
        taking(f"tag {name!r}", partial(client.set_tag, run_id, name, value))
    client.set_terminated(run_id, "FINISHED", judged_at)
    client.set_tag(run_id, JUDGED_AT, str(judged_at))
    return taking.refused
