"""What a run's fact tells of its several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kairos.experiments.ports import FailedSeed, SeedLog, SeedRecord, StepRecord
from kairos.pipeline.logged import told_apart
from kairos.values import Digest, Json

__all__ = ["failed_seeds", "seed_records"]


def seed_records(body: Mapping[str, Json]) -> dict[str, tuple[SeedRecord, ...]]:
    """By model, what several seeds gave, the run's own first."""
    return {
        model: tuple(_seed_record(body, model, told) for told in each)
        for model, each in (body.get("seeds") or {}).items()
    }


def failed_seeds(body: Mapping[str, Json]) -> dict[str, tuple[FailedSeed, ...]]:
    """By model, seeds that gave no metrics of it; of those that were stopped, only what logged something."""
    found: dict[str, tuple[FailedSeed, ...]] = {}
    for told in body.get("seeds_failed") or ():
        for model, seed in told["seeds"].items():
            logged = _log(body, model, seed, (told.get("logged") or {}).get(model) or {}, {})
            if told["type"] != "Stopped" or logged.steps:
                failure = f"{told['step']}: {told['type']}: {told['message']}" if told["step"] else told["message"]
                found[model] = (*found.get(model, ()), FailedSeed(seed=seed, failure=failure, logged=logged))
    return found


def _seed_record(body: Mapping[str, Json], model: str, told: Mapping[str, Json]) -> SeedRecord:
    metrics = {name: float(value) for name, value in told["metrics"].items()}
    return SeedRecord(
        seed=told["seed"],
        package=Digest(told["package"]),
        holdout=Digest(told["holdout"]),
        metrics=metrics,
        logged=_log(body, model, told["seed"], told.get("logged") or {}, metrics),
    )


def _log(
    body: Mapping[str, Json], model: str, seed: int, values: Mapping[str, Any], taken: Mapping[str, float]
) -> SeedLog:
    """Of the steps behind a model with one seed.

    Args:
        body: Of the run's fact.
        model: Whose.
        seed: Of the model's step.
        values: By step: params and last values of metrics.
        taken: Names that are used beside.
    """
    blobs = ((body.get("measured") or {}).get("seeds") or {}).get(model, {}).get(str(seed), {})
    params = told_apart({step: each["params"] for step, each in values.items()}, [f"{model}.seed"])
    metrics = told_apart({step: each["metrics"] for step, each in values.items()}, taken)
    return SeedLog(
        params={name: values[step]["params"][key] for (step, key), name in params.items()},
        metrics={name: float(values[step]["metrics"][key]) for (step, key), name in metrics.items()},
        steps=tuple(
            StepRecord(
                step=step,
                status="ran",
                logged=tuple(map(Digest, digests)),
                param_names={key: name for (who, key), name in params.items() if who == step},
                metric_names={key: name for (who, key), name in metrics.items() if who == step},
            )
            for step, digests in blobs.items()
        ),
    )
