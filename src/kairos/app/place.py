"""Finding the project around a folder."""

from __future__ import annotations

from pathlib import Path

from kairos.errors import UsageError

__all__ = ["SETTINGS_FILE", "find_root"]

SETTINGS_FILE = "kairos.toml"
"""What makes a folder a project."""


def find_root(start: Path) -> Path:
    """The project's folder: ``start`` or the nearest folder above it that holds ``kairos.toml``.

    Raises:
        UsageError: there is none.
    """
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise UsageError(
        "This is not a Kairos project.",
        given=str(start),
        accepted=f"a folder with {SETTINGS_FILE}, or one below it",
        hint="Type: kairos init NAME",
    )
