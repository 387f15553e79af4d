"""Other servers beside Kairos, each as its own documentation recommends, with two workers and the same model.

FastAPI, MLServer and BentoML have environments of their own and the estimator as a joblib file that takes plain arrays,
which spares them data frames. MLServer and BentoML batch, as they do best.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import joblib

from benchmarks.serving.environments import NotInstalled, environment
from benchmarks.serving.projects import MANY, values
from benchmarks.serving.servers import ROOT, WORKERS, Ask, NotStarted, Server, first_number, free_port, running
from benchmarks.side_by_side import Setting, command
from kairos.models.package import Package

__all__ = ["APART", "by_hand", "described", "start_peers"]

APART = ("fastapi", "mlserver", "bentoml")
"""Peers with an environment of their own."""

_APPS = ROOT / "benchmarks" / "serving" / "peers"


def start_peers(
    setting: Setting, stack: ExitStack, package: Package, folder: Path, row: Mapping[str, object]
) -> tuple[dict[str, Server], list[str]]:
    """Starts those of the peers that are asked for and can be had; tells of the others.

    Args:
        setting: Of the benchmark.
        stack: Ends them.
        package: The model.
        folder: The same, as an MLflow model.
        row: To ask about.

    Returns:
        Servers by name; why others are missing.
    """
    model = exported(setting, "demand", package)
    starts = {
        "fastapi": lambda: by_hand(setting, {"demand": described("demand", package, model)}, "demand", row),
        "mlserver": lambda: _mlserver(setting, model, row),
        "bentoml": lambda: _bentoml(setting, model, row),
        "mlflow": lambda: _mlflow(setting, folder, row),
    }
    servers, notes = {}, []
    for name, start in starts.items():
        if name not in setting.peers:
            notes.append(f"{name} was left out (--without {name})")
            continue
        try:
            servers[name] = stack.enter_context(start())
        except NotInstalled as error:
            notes.append(f"{name} is MISSING, for it could not be installed: {error}")
        except NotStarted as error:
            notes.append(f"{name} is MISSING, for it did not start: {error}")
    return servers, notes


def exported(setting: Setting, name: str, package: Package) -> Path:
    """The estimator as peers load it: without the names of columns, over which scikit-learn would warn at each call."""
    estimator = package.estimator()
    if _takes_table(estimator):
        pass
    else:
        for part in [estimator, *(step for _, step in getattr(estimator, "steps", []))]:
            vars(part).pop("feature_names_in_", None)
    path = setting.folder / f"{name}.joblib"
    joblib.dump(estimator, path)
    return path


def described(name: str, package: Package, model: Path) -> dict[str, Any]:
    """What ``by_hand`` is told of a model."""
    kinds = {"text": "str", "category": "str", "integer": "int", "boolean": "bool"}
    columns = {column.name: kinds.get(column.kind, "float") for column in package.spec.signature.columns}
    return {"file": str(model), "columns": columns, "takes_table": "str" in columns.values()}


@contextmanager
def by_hand(
    setting: Setting, models: Mapping[str, Mapping[str, Any]], model: str, row: Mapping[str, object]
) -> Iterator[Server]:
    """FastAPI and uvicorn with two workers; ``model`` is asked."""
    port = free_port()
    told = setting.folder / "models.json"
    told.write_text(json.dumps(models))
    words: list[str | Path] = [environment("fastapi") / "uvicorn", "by_hand:app", "--app-dir", _APPS]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(WORKERS)]
    words += ["--no-access-log", "--log-level", "warning"]
    asks = hand_asks(f"http://127.0.0.1:{port}/{model}", row)
    given = {"MODELS": str(told), "POLARS_MAX_THREADS": "1"}
    with running(setting, "fastapi", words, asks=asks, read=first_number, environment=given) as server:
        yield server


def hand_asks(address: str, row: Mapping[str, object]) -> dict[str, Ask]:
    """What it is asked about one of its models."""
    return {
        "one row": Ask(url=f"{address}/one", body=json.dumps(dict(row)).encode()),
        "64 rows": Ask(url=f"{address}/many", body=json.dumps([dict(row)] * MANY).encode()),
    }


@contextmanager
def _mlserver(setting: Setting, model: Path, row: Mapping[str, object]) -> Iterator[Server]:
    folder, ports = setting.folder / "mlserver", [free_port() for _ in range(3)]
    folder.mkdir()
    names = ("http_port", "grpc_port", "metrics_port")
    server = {"debug": False, "host": "127.0.0.1", **dict(zip(names, ports, strict=True)), "parallel_workers": WORKERS}
    (folder / "settings.json").write_text(json.dumps(server))
    served = {"name": "demand", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
    batching = {"max_batch_size": 1000, "max_batch_time": 0.005}
    (folder / "model-settings.json").write_text(json.dumps({**served, **batching}))

    def asked(rows: int) -> Ask:
        tensor = {"name": "rows", "shape": [rows, len(row)], "datatype": "FP64", "data": values(row) * rows}
        return Ask(
            url=f"http://127.0.0.1:{ports[0]}/v2/models/demand/infer", body=json.dumps({"inputs": [tensor]}).encode()
        )

    path = environment("mlserver")
    with running(
        setting, "mlserver", [path / "mlserver", "start", folder], folder=folder,
        asks={"one row": asked(1), "64 rows": asked(MANY)}, read=lambda answer: float(answer["outputs"][0]["data"][0]),
        environment={"PATH": f"{path}:{setting.environment['PATH']}"},
    ) as started:  # fmt: skip
        yield started


@contextmanager
def _bentoml(setting: Setting, model: Path, row: Mapping[str, object]) -> Iterator[Server]:
    port, path = free_port(), environment("bentoml")

    def asked(rows: int) -> Ask:
        return Ask(url=f"http://127.0.0.1:{port}/predict", body=json.dumps({"rows": [values(row)] * rows}).encode())

    words: list[str | Path] = [path / "bentoml", "serve", "bento:Demand", "--working-dir", _APPS]
    with running(
        setting, "bentoml", [*words, "--host", "127.0.0.1", "--port", str(port)],
        asks={"one row": asked(1), "64 rows": asked(MANY)}, read=lambda answer: float(answer[0]),
        environment={"MODEL": str(model), "BENTOML_DO_NOT_TRACK": "true"},
    ) as server:  # fmt: skip
        yield server


@contextmanager
def _mlflow(setting: Setting, package: Path, row: Mapping[str, object]) -> Iterator[Server]:
    port = free_port()
    words: list[str | Path] = [command("mlflow"), "models", "serve", "-m", package, "--env-manager", "local"]
    words += ["-h", "127.0.0.1", "-p", str(port), "-w", str(WORKERS)]

    def asked(rows: int) -> Ask:
        split = {"dataframe_split": {"columns": list(row), "data": [values(row)] * rows}}
        return Ask(url=f"http://127.0.0.1:{port}/invocations", body=json.dumps(split).encode())

    asks = {"one row": asked(1), "64 rows": asked(MANY)}
    with running(setting, "mlflow", words, asks=asks, read=first_number) as server:
        yield server


def _takes_table(estimator: Any) -> bool:
    """Whether it chooses columns by their names."""
    return any(type(step).__name__ == "ColumnTransformer" for _, step in getattr(estimator, "steps", []))
