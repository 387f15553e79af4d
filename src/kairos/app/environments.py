"""An environment made from a run's lock, as far as its distributions can be had."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kairos
from kairos.app.project import Project
from kairos.app.rebuilding import body_of, run_of
from kairos.errors import KairosError, NotFound
from kairos.pipeline.environment import Environment
from kairos.values import Digest

__all__ = ["MadeEnvironment", "make_environment"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEnvironment:
    """Where it is, and what is not as it was."""

    python: Path
    """Its interpreter."""
    modules: Path
    """Put on ``PYTHONPATH``, it makes this Kairos importable there."""
    missing: Mapping[str, str]
    """Distribution that could not be had to the reason, in the installer's own last words."""


def make_environment(project: Project, name: str) -> MadeEnvironment:
    """Makes, or finds, an environment with the distributions that a run's steps reached, in the versions of then.

    What they need themselves comes in the versions of the lock as well; what no step needed is left out. Kairos is this
    one. Installed with ``uv`` if it is there, else with ``pip``.

    Args:
        project: Whose run.
        name: Its id, or ``MODEL@N``.

    Raises:
        NotFound: there is no such run, or its environment was not kept.
        KairosError: there is no environment in which Kairos could run.
    """
    body = body_of(project, run_of(project, name))
    if "kept" not in body:
        raise NotFound(f"The environment of the run {body['id']} was not kept.")
    digest = Digest(body["kept"]["environment"])
    lock = Environment.from_plain(json.loads(project.store.get_bytes(digest, verify=True)))
    folder = project.home / "environments" / digest
    reached = [
        each for each, version in body["libraries"].items() if each in lock.distributions and version != "unknown"
    ]
    install = _Installer(folder, lock)
    missing = install.all(sorted({*reached, *_own_needs(lock)} - {"kairos-ml"}), reached)
    modules = folder / "kairos-modules"
    modules.mkdir(exist_ok=True)
    link = modules / "kairos"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(kairos.__file__).parent)
    return MadeEnvironment(python=install.python, modules=modules, missing=missing)


class _Installer:
    """Puts distributions into a folder."""

    def __init__(self, folder: Path, lock: Environment) -> None:
        self._folder = folder
        self._lock = lock
        self._uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        self.python = folder / "bin" / "python"
        self._constraints = folder / "constraints.txt"

    def all(self, names: Sequence[str], reached: Sequence[str]) -> dict[str, str]:
        """Installs distributions; where all of them cannot be had together, one after the other.

        Returns:
            What could not be had, with the reason.
        """
        self._make()
        said = self._install(names)
        if said is None:
            return {}
        missing = {}
        for name in sorted(
            names, key=lambda each: each in reached
        ):  # what Kairos needs first: without it there is none
            reason = self._install([name])
            if reason is not None:
                missing[name] = reason
                if name not in reached and self._run("install", name, constrained=False) is not None:
                    raise KairosError(f"No environment can be made: Kairos needs {name!r} there.", given=reason)
        return missing

    def _make(self) -> None:
        if self.python.exists():
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        minor = ".".join(self._lock.python.split(".")[:2])
        said = "uv is not there" if self._uv is None else self._call(self._uv, "venv", "--python", minor, self._folder)
        if said is not None:
            if minor != f"{sys.version_info.major}.{sys.version_info.minor}":
                raise KairosError(f"No environment can be made: there is no Python {minor}.", given=said)
            said = self._call(sys.executable, "-m", "venv", self._folder)
            if said is not None:
                raise KairosError("No environment can be made.", given=said)
        lines = [f"{name}=={version}" for name, version in self._lock.distributions.items() if name != "kairos-ml"]
        self._constraints.write_text("\n".join(lines) + "\n")

    def _install(self, names: Sequence[str]) -> str | None:
        return self._run("install", *(f"{name}=={self._lock.distributions[name]}" for name in names), constrained=True)

    def _run(self, *words: str, constrained: bool) -> str | None:
        bound = ["--constraint", str(self._constraints)] if constrained else []
        if self._uv is not None:
            return self._call(self._uv, "pip", *words, "--quiet", "--python", self.python, *bound)
        return self._call(self.python, "-m", "pip", *words, "--quiet", *bound)

    def _call(self, *words: str | Path) -> str | None:
        """What a command complains of; ``None`` if it did what it was to do."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return None if done.returncode == 0 else " ".join(said[-3:]) or f"exit code {done.returncode}"


def _own_needs(lock: Environment) -> set[str]:
    """What Kairos needs itself, as far as the lock has it."""
    needs = importlib.metadata.requires("kairos-ml") or []
    names = (match[0] for line in needs if "extra" not in line and (match := _NAME.match(line)))
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names} & lock.distributions.keys()
