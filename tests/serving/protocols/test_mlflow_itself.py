"""MLflow's own scoring server on the same package: the same bodies, the same answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kairos.models.package import open_package
from tests.models.trainings import OPTIONS, finish, hours
from tests.serving.toys import Registry, route, serving

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]


class _Packages(Registry):
    """One real package, live as version 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, route(1))
        self.folder = folder

    def load(self, digest: Any) -> Any:
        """The package, whatever is asked for."""
        return open_package(self.folder)


def _post(app: Any, content: bytes, kind: str) -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlflow") as client:
            return await client.post("/invocations", content=content, headers={"content-type": kind})

    return asyncio.run(post())


def test_every_body_is_answered_as_mlflow_answers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application that ``mlflow models serve`` runs, and ours; right bodies and wrong ones."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("__MLFLOW_IS_IN_SERVING_ENVIRONMENT__", "true")
    mlflow = pytest.importorskip("mlflow")
    server = pytest.importorskip("mlflow.pyfunc.scoring_server")
    folder = finish(tmp_path / "made", HistGradientBoostingRegressor(max_iter=5), OPTIONS, train=hours())
    real = server.init(mlflow.pyfunc.load_model(str(folder)))
    names = list(open_package(folder).spec.signature.names)
    rows: list[dict[str, Any]] = [{**dict.fromkeys(names, 1.0 + n), "holiday": n > 0} for n in range(3)]
    by_name = {name: [row[name] for row in rows] for name in names}
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    right: list[Any] = [
        {"dataframe_split": split},
        {"dataframe_records": rows},
        {"inputs": by_name},
    ]
    wrong: list[Any] = [
        [],
        {},
        {"instances": rows, "inputs": by_name},
        {"dataframe_records": [{names[0]: 1.0}]},
        {"dataframe_records": [dict.fromkeys(names, "warm")]},
    ]
    bodies = [(json.dumps(body).encode(), "application/json") for body in [*right, *wrong]]
    bodies += [("\n".join(lines).encode(), "text/csv"), (b"{", "application/json"), (b"x", "text/html")]
    with serving(_Packages(folder), tmp_path / "log") as served:
        for content, kind in bodies:
            theirs = _post(real, content, kind)
            ours = served.client.post("/invocations", content=content, headers={"content-type": kind})
            assert ours.status_code == theirs.status_code, (content, theirs.text, ours.text)
            if theirs.status_code == 200:
                assert set(ours.json()) == set(theirs.json())
                np.testing.assert_allclose(ours.json()["predictions"], theirs.json()["predictions"], rtol=1e-12)
            elif theirs.status_code == 400:
                assert {"error_code", "message"} <= set(theirs.json())
                assert ours.json()["error_code"] == "BAD_REQUEST"
