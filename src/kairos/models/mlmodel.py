"""The files that make a package an MLflow model folder. Written here, without MLflow, and the same for equal models."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence

import yaml

from kairos.models.outputs import width_of
from kairos.models.signature import Column
from kairos.models.spec import PackageSpec, Serialization
from kairos.values import Json, plain

__all__ = ["INPUT_EXAMPLE", "MODEL_FILES", "mlflow_files"]

MODEL_FILES: dict[Serialization, str] = {
    "skops": "model.skops", "pickle": "model.pkl", "torch": "model.safetensors", "pyfunc": "model/MLmodel",
}  # fmt: skip
"""Where the estimator lies in the folder, by its form; of ``pyfunc`` the first of several files."""

INPUT_EXAMPLE = "input_example.json"
_SERVING_EXAMPLE = "serving_input_example.json"
_PYTHON = platform.python_version()


def mlflow_files(
    spec: PackageSpec, estimator: bytes, *, trusted: Sequence[str], example: Mapping[str, Json]
) -> dict[str, bytes]:
    """Returns the folder's files by name, without the estimator's own.

    No time of making is written: the run that made the package records it.

    Args:
        spec: Of the package.
        estimator: Its bytes.
        trusted: Types in the bytes that MLflow has to be told to trust.
        example: One row that the model accepts.
    """
    split: Json = {"columns": list(example), "data": [[plain(value) for value in example.values()]]}
    requirements = [f"{name}=={version}" for name, version in sorted(spec.libraries.items())]
    return {
        "MLmodel": _yaml(_mlmodel(spec, estimator, trusted)),
        INPUT_EXAMPLE: _json(split),
        _SERVING_EXAMPLE: _json({"dataframe_split": split}),
        "requirements.txt": ("\n".join(requirements) + "\n").encode(),
        "python_env.yaml": _yaml(
            {"python": _PYTHON, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
        ),
        "conda.yaml": _yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={_PYTHON}", "pip", {"pip": requirements}],
            }
        ),
    }


def _mlmodel(spec: PackageSpec, estimator: bytes, trusted: Sequence[str]) -> Json:
    return {
        "flavors": _flavors(spec, trusted),
        "metadata": {"kairos": {"model": spec.model, "target": spec.target, "loss": spec.loss}},
        "model_size_bytes": len(estimator),
        "model_uuid": hashlib.sha256(estimator).hexdigest()[:32],
        "saved_input_example_info": {
            "artifact_path": INPUT_EXAMPLE,
            "pandas_orient": "split",
            "serving_input_path": _SERVING_EXAMPLE,
            "type": "dataframe",
        },
        "signature": {
            "inputs": json.dumps([_input(column) for column in spec.signature.columns]),
            "outputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": _shape(spec)}}]),
            "params": None,
        },
    }


def _flavors(spec: PackageSpec, trusted: Sequence[str]) -> Json:
    path = MODEL_FILES[spec.serialization]
    whole = {"env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}, "python_version": _PYTHON}
    if spec.serialization not in ("skops", "pickle"):
        return {"python_function": {**whole, "loader_module": "kairos.models.mlflow_loader"}}
    own = {"loader_module": "mlflow.sklearn", "model_path": path, "predict_fn": spec.method}
    if any(column.shape for column in spec.signature.columns):  # the estimator takes each number of an array alone
        own = {"loader_module": "kairos.models.mlflow_loader"}
    return {
        "python_function": {**whole, **own},
        "sklearn": {
            "code": None,
            "pickled_model": path,
            "serialization_format": spec.serialization,
            "sklearn_version": spec.libraries.get("scikit-learn"),
            "skops_trusted_types": list(trusted) if spec.serialization == "skops" else None,
        },
    }


def _shape(spec: PackageSpec) -> list[int]:
    if spec.signature.outputs:
        return [-1, width_of(spec.signature.outputs)]
    return [-1, 2] if spec.method == "predict_proba" else [-1]  # MLflow gives both classes' probabilities


def _input(column: Column) -> Json:
    if column.kind == "array":
        inner: Json = {"type": "long" if column.is_whole else "double"}
        for _ in column.shape:
            inner = {"type": "array", "items": inner}
        return {**inner, "name": column.name, "required": True}
    kind = {"number": "double", "integer": "long", "boolean": "boolean", "category": "string", "text": "string"}
    mlflow_type = "double" if column.kind == "integer" and column.nullable else kind[column.kind]
    return {"type": mlflow_type, "name": column.name, "required": column.required and not column.nullable}


def _yaml(value: Json) -> bytes:
    return yaml.safe_dump(value, sort_keys=True).encode()


def _json(value: Json) -> bytes:
    return json.dumps(value).encode()
