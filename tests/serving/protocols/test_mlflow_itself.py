"""MLflow's own scoring server on the same package: the same bodies, the same answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving.protocols.scoring_bodies import Packages, bodies_of, finished
from tests.serving.toys import serving

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]


def _post(app: Any, content: bytes, kind: str) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlflow") as client:
            return await client.post("/invocations", content=content, headers={"content-type": kind})

    return asyncio.run(post())


def test_every_body_is_answered_as_mlflow_answers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application that ``mlflow models serve`` runs, and ours; right bodies and wrong ones."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("__MLFLOW_IS_IN_SERVING_ENVIRONMENT__", "true")
    mlflow = pytest.importorskip("mlflow")
    server = pytest.importorskip("mlflow.pyfunc.scoring_server")
    folder = finished(tmp_path / "made")
    real = server.init(mlflow.pyfunc.load_model(str(folder)))
    with serving(Packages(folder), tmp_path / "log") as served:
        for content, kind in bodies_of(folder):
            theirs = _post(real, content, kind)
            ours = served.client.post("/invocations", content=content, headers={"content-type": kind})
            assert ours.status_code == theirs.status_code, (content, theirs.text, ours.text)
            if theirs.status_code == 200:
                assert set(ours.json()) == set(theirs.json())
                np.testing.assert_allclose(ours.json()["predictions"], theirs.json()["predictions"], rtol=1e-12)
            elif theirs.status_code == 400:
                assert {"error_code", "message"} <= set(theirs.json())
                assert ours.json()["error_code"] == "BAD_REQUEST"
