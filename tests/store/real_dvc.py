"""The real ``dvc``, run as a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["dvc"]


def dvc(project: Path, *arguments: str) -> str:
    """Runs the real command, away from the settings and caches of whoever runs the tests; returns what it printed."""
    base = project.parent
    environment = os.environ | {
        "HOME": str(base),
        "XDG_CONFIG_HOME": str(base / "config"),
        "DVC_SITE_CACHE_DIR": str(base / "site"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_TEST": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
