"""OpenAPI documents as schemathesis is to read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

PROTOCOL = Path(__file__).with_name("open_inference_rest.yaml")
"""The protocol's own, as its makers publish it (kserve/open-inference-protocol, commit d49cc23)."""

DATATYPES = ["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP32", "FP64", "BYTES"]
REFUSED = {
    "description": "Refused",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/inference_error_response"}}},
}


def protocol() -> Any:
    """The protocol's document, with what it leaves open said.

    - It writes parameters of paths as ``${NAME}``, which OpenAPI knows as ``{NAME}``.
    - It does not say which models and versions there are.
    - It names no answer for a model that is not there, or a body that is too large or in an unknown coding: they have
      the shape that it gives to errors.
    - Null is taken for leaving out: clients whose language has no "absent" write it.
    """
    document = yaml.safe_load(PROTOCOL.read_text().replace("${", "{"))
    for path, item in document["paths"].items():
        for parameter in item.get("parameters", ()):
            parameter["schema"]["enum"] = ["demand", "nobody"] if parameter["name"] == "MODEL_NAME" else ["1", "2", "9"]
        for method in item.keys() - {"parameters"}:
            if "{" in path:
                item[method]["responses"]["4XX"] = REFUSED
    schemas = document["components"]["schemas"]
    schemas["parameters"]["nullable"] = True
    for name in ("id", "outputs"):
        schemas["inference_request"]["properties"][name]["nullable"] = True
    return document


def narrowed() -> Any:
    """The same, for one model: its names of tensors and all data types, so that some requests are answered."""
    document = protocol()
    schemas = document["components"]["schemas"]
    given = schemas["request_input"]["properties"]
    given["name"]["enum"] = ["temperature", "hour", "weather", "holiday", "note", "station", "when", "x"]
    given["datatype"]["enum"] = DATATYPES
    given["shape"] = {"type": "array", "items": {"type": "integer", "enum": [0, 1, 2]}, "minItems": 1, "maxItems": 2}
    schemas["request_output"]["properties"]["name"]["enum"] = ["prediction", "prediction_id", "version", "guard"]
    item = {"name": "temperature", "datatype": "FP64", "shape": [1], "data": [20.5]}
    content = document["paths"]["/v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}/infer"]["post"]["requestBody"][
        "content"
    ]
    content["application/json"]["example"] = {"inputs": [item], "id": "order-7", "outputs": [{"name": "prediction"}]}
    return document


def write(document: Any, path: Path) -> Path:
    """Writes a document down, as JSON."""
    path.write_text(json.dumps(document))
    return path
