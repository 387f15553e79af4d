"""A real package, and bodies that MLflow's scoring protocol takes or refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sklearn.ensemble import HistGradientBoostingRegressor

from kairos.models.package import open_package
from tests.models.trainings import OPTIONS, finish, hours
from tests.serving.toys import Registry, route

__all__ = ["Packages", "bodies_of", "finished"]


def finished(folder: Path) -> Path:
    """The package, in a new folder."""
    return finish(folder, HistGradientBoostingRegressor(max_iter=5), OPTIONS, train=hours())


class Packages(Registry):
    """One real package, live as version 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, route(1))
        self.folder = folder

    def load(self, digest: Any) -> Any:
        """The package, whatever is asked for."""
        return open_package(self.folder)


def bodies_of(folder: Path) -> list[tuple[bytes, str]]:
    """Bodies with their content types: right ones in every form, then wrong ones."""
    names = list(open_package(folder).spec.signature.names)
    rows: list[dict[str, Any]] = [{**dict.fromkeys(names, 1.0 + n), "holiday": n > 0} for n in range(3)]
    by_name = {name: [row[name] for row in rows] for name in names}
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    right: list[Any] = [
        {"dataframe_split": split},
        {"dataframe_records": rows},
        {"inputs": by_name},
        {"instances": rows},
    ]
    wrong: list[Any] = [
        [],
        {},
        {"instances": rows, "inputs": by_name},
        {"dataframe_records": [{names[0]: 1.0}]},
        {"dataframe_records": [dict.fromkeys(names, "warm")]},
    ]
    bodies = [(json.dumps(body).encode(), "application/json") for body in [*right, *wrong]]
    return [*bodies, ("\n".join(lines).encode(), "text/csv"), (b"{", "application/json"), (b"x", "text/html")]
