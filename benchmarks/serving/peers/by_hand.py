"""scikit-learn behind FastAPI, as one writes it by hand: typed rows, one array, ``predict``.

``MODELS`` names a JSON file: for each model the file of its estimator, its columns with Python's types, and whether it
takes a table. ``uvicorn by_hand:app --workers 2``.
"""

import json
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import create_model

TYPES = {"float": float, "int": int, "str": str, "bool": bool}

app = FastAPI()


def add(name: str, described: dict[str, Any]) -> None:
    """Two paths for a model: one row, and many."""
    columns = described["columns"]
    row_type = create_model("Row", **{column: (TYPES[kind], ...) for column, kind in columns.items()})
    model = joblib.load(described["file"])

    if described["takes_table"]:
        import polars as pl  # only for who needs it: it takes a moment to load

        def predict(rows: list[Any]) -> list[float]:
            return model.predict(pl.DataFrame([row.__dict__ for row in rows])).tolist()

    else:

        def predict(rows: list[Any]) -> list[float]:
            return model.predict(np.array([[getattr(row, column) for column in columns] for row in rows])).tolist()

    @app.post(f"/{name}/one")
    async def one(row: row_type) -> dict[str, float]:  # in the event loop: a thread for each call is slower
        return {"prediction": predict([row])[0]}

    @app.post(f"/{name}/many")
    async def many(rows: list[row_type]) -> dict[str, list[float]]:
        return {"predictions": predict(rows)}


for each, told in json.loads(Path(os.environ["MODELS"]).read_text()).items():
    add(each, told)
