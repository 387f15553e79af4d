"""Trains the models of the project in this folder and puts them live.

Run: ``python -m benchmarks.serving.zoo_training WINDOW MODEL...``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kairos.app.deploying import deploy
from kairos.app.project import Project
from kairos.app.training import train
from kairos.values import VersionRef, Window


def main() -> None:
    """All of it; an error ends it."""
    window, names = Window.parse(sys.argv[1]), sys.argv[2:]
    with Project(Path.cwd()) as project:
        done = train(project, window=window)
        if not done.result.ok:
            raise SystemExit(f"error: the run failed: {done.result.failure}")
        for name in names:
            deploy(project, VersionRef(name, 1), override="a benchmark")


if __name__ == "__main__":
    main()
