"""scikit-learn behind FastAPI, as one writes it by hand: typed rows, one array, ``predict``.

``MODELS`` names a JSON file: for each model the file of its estimator, its columns with Python's types, whether it
takes a table, and, for a network as TorchScript, where PyTorch is installed. ``uvicorn by_hand:app --workers 2``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import create_model

TYPES = {"float": float, "int": int, "str": str, "bool": bool}

app = FastAPI()


def predictor(described: dict[str, Any]) -> Callable[[list[Any]], list[float]]:
    """What predicts rows, each an object with a column's value by its name."""
    columns = described["columns"]
    if "torch_in" in described:
        sys.path.append(described["torch_in"])  # at the end: what is installed here goes before
        import torch

        torch.set_num_threads(1)
        network = torch.jit.load(described["file"]).eval()

        def by_network(rows: list[Any]) -> list[float]:
            matrix = torch.tensor([[getattr(row, column) for column in columns] for row in rows])
            with torch.inference_mode():
                return network(matrix).reshape(-1).tolist()

        return by_network
    model = joblib.load(described["file"])
    if described["takes_table"]:
        import polars as pl  # only for who needs it: it takes a moment to load

        return lambda rows: model.predict(pl.DataFrame([row.__dict__ for row in rows])).tolist()
    return lambda rows: model.predict(np.array([[getattr(row, c) for c in columns] for row in rows])).tolist()


def add(name: str, described: dict[str, Any]) -> None:
    """Two paths for a model: one row, and many."""
    columns = described["columns"]
    row_type = create_model("Row", **{column: (TYPES[kind], ...) for column, kind in columns.items()})
    predict = predictor(described)

    @app.post(f"/{name}/one")
    async def one(row: row_type) -> dict[str, float]:  # in the event loop: a thread for each call is slower
        return {"prediction": predict([row])[0]}

    @app.post(f"/{name}/many")
    async def many(rows: list[row_type]) -> dict[str, list[float]]:
        return {"predictions": predict(rows)}


for each, told in json.loads(Path(os.environ["MODELS"]).read_text()).items():
    add(each, told)
