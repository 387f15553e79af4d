"""Projects whose models are of several kinds, trained and live; and the same models as files for a server by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.serving.peer_servers import described, exported
from benchmarks.serving.servers import ROOT
from benchmarks.side_by_side import Setting
from kairos.app.packages import open_stored
from kairos.app.project import Project
from kairos.examples import copy_example
from kairos.models.package import Package

__all__ = ["ESTIMATORS", "Missing", "Zoo", "estimators", "network", "python_with_torch"]

ZOO = ROOT / "benchmarks" / "serving" / "zoo"
ESTIMATORS = {
    "boosting": "histogram boosting",
    "ridge": "ridge, scaled",
    "lightgbm": "LightGBM",
    "onehot": "ridge, one-hot of texts",
}
WINDOW, SHORT = "2011-01-01..2011-06-30", "2011-01-01..2011-03-31"


class Missing(Exception):
    """Why there is no network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoo:
    """A project with live models."""

    root: Path
    packages: Mapping[str, Package]
    peers: Mapping[str, Mapping[str, Any]]
    """What a server by hand is told of each."""


def estimators(setting: Setting) -> Zoo:
    """Four models of scikit-learn and LightGBM."""
    root = _project(setting, "estimators", [*ESTIMATORS], sys.executable)
    packages = _packages(root, ESTIMATORS)
    peers = {name: described(name, package, exported(setting, name, package)) for name, package in packages.items()}
    return Zoo(root=root, packages=packages, peers=peers)


def python_with_torch() -> str:
    """The interpreter that has PyTorch: this one, or that of ``make test-all``.

    Raises:
        Missing: none has.
    """
    if find_spec("torch") is not None:
        return sys.executable
    beside = Path(sys.executable).parent.parent.with_name(".venv-torch") / "bin" / "python"
    if beside.is_file():
        return str(beside)
    raise Missing(f"PyTorch is installed neither here nor in {beside.parent.parent}")


def network(setting: Setting) -> Zoo:
    """A small network of PyTorch.

    Raises:
        Missing: there is no PyTorch, or Kairos cannot package it.
    """
    python = python_with_torch()
    root = _project(setting, "network", ["network"], python)
    file = setting.folder / "network.torchscript"
    shutil.copy(ZOO / "export_network.py", root)
    _run(setting, [python, "export_network.py", _window(setting), str(file)], root)
    package = _packages(root, ["network"])["network"]
    told = described("network", package, file)
    beside = _run(
        setting, [python, "-c", "import torch, pathlib; print(pathlib.Path(torch.__file__).parents[1])"], root
    )
    return Zoo(root=root, packages={"network": package}, peers={"network": {**told, "torch_in": beside.strip()}})


def _project(setting: Setting, pipeline: str, models: Sequence[str], python: str) -> Path:
    root = setting.folder / pipeline
    example = copy_example("bikes", setting.folder / f"{pipeline}-data")
    shutil.copytree(example / "data", root / "data")
    for name in ("rows", pipeline):
        shutil.copy(ZOO / f"{name}.py", root)
    text = f'[project]\nname = "{pipeline}"\npipeline = "{pipeline}.py"\n'
    for model in models:
        text += (
            f'\n[model.{model}]\nstep = "{model}"\nholdout = "split.holdout"\ntarget = "users"\ntime = "hour"\n'
            'loss = "absolute_error"\n'
        )
    (root / "kairos.toml").write_text(text)
    _run(setting, [python, "-m", "benchmarks.serving.zoo_training", _window(setting), *models], root)
    return root


def _window(setting: Setting) -> str:
    return SHORT if setting.quick else WINDOW


def _run(setting: Setting, words: Sequence[str], folder: Path) -> str:
    path = os.pathsep.join(map(str, (ROOT, ROOT / "src", folder)))
    done = subprocess.run(
        words, cwd=folder, env={**setting.environment, "PYTHONPATH": path}, capture_output=True, text=True
    )
    if done.returncode:
        raise Missing(f"{' '.join(words[-3:])} ended with {done.returncode}: {(done.stderr or done.stdout)[-900:]}")
    return done.stdout


def _packages(root: Path, names: Sequence[str] | Mapping[str, str]) -> dict[str, Package]:
    with Project(root) as project:
        state = project.state()
        return {name: open_stored(project.store, state.model(name).version(1).package) for name in names}
