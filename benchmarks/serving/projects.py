"""Projects with something live in them, for the servers to serve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side_by_side import Setting
from kairos.app.deploying import deploy
from kairos.app.judging import judge
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.app.starting import start_project
from kairos.app.training import train
from kairos.models.package import Package
from kairos.values import VersionRef, Window

__all__ = ["MANY", "Bikes", "bikes", "bodies"]

MANY = 64
"""Rows of a large request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bikes:
    """The bikes example with a live model."""

    root: Path
    folder: Path
    """The model's package, as files."""
    package: Package
    ref: VersionRef
    row: Mapping[str, object]
    """To ask about."""


def bikes(setting: Setting, *, name: str = "project") -> Bikes:
    """The bikes example, trained, judged and deployed."""
    window = Window.parse("2011-01-01..2011-02-28" if setting.quick else "2011-01-01..2011-06-30")
    with Project(start_project("bikes", setting.folder / name)) as project:
        ref = trained(project, window)
        judge(project, ref)
        deploy(project, ref)
        digest = project.state().model(ref.model).version(ref.number).package
        folder = setting.folder / f"{name}-package"
        project.store.checkout(digest, folder)
        package = open_stored(project.store, digest)
        return Bikes(root=project.root, folder=folder, package=package, ref=ref, row=package.example)


def trained(project: Project, window: Window) -> VersionRef:
    """The one version that a run over a window gives."""
    done = train(project, window=window)
    if not done.result.ok:
        raise SystemExit("error: the run failed")
    (ref,) = done.versions
    return ref


def bodies(row: Mapping[str, object]) -> dict[str, object]:
    """What Kairos and FastAPI are asked."""
    return {"one row": dict(row), "64 rows": [dict(row)] * MANY}


def values(row: Mapping[str, object]) -> list[object]:
    """The row without its names."""
    return [*json.loads(json.dumps(dict(row))).values()]
