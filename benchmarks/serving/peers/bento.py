"""scikit-learn behind BentoML, with its adaptive batching. ``bentoml serve bento:Demand``."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=2, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Demand:
    """One model."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=1000, max_latency_ms=10_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """One number a row."""
        return self.model.predict(rows)
