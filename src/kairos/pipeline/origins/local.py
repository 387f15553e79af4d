"""Files on this machine."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path

from kairos.errors import UsageError
from kairos.pipeline.files import file_digest
from kairos.pipeline.origins.declared import Files
from kairos.pipeline.origins.reading import FileReader
from kairos.pipeline.origins.secrets import filled

__all__ = ["open_reader"]


def open_reader(origin: Files, root: Path) -> FileReader:
    """Reads files below the project's folder, or by their absolute path."""
    return FileReader(origin, filled(origin.place), _Folder(root), root)


class _Folder:
    """Files below a folder; their content is their stamp."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def stamps(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """Digests of the files there are."""
        found: dict[str, str] = {}
        for pattern in patterns:
            has_pattern = "*" in pattern
            names = glob.glob(pattern, root_dir=self._root, recursive=True) if has_pattern else [pattern]
            for name in sorted(names):
                path = self._root / name
                if path.is_dir() and not has_pattern:
                    raise UsageError(f"{name!r} is a folder.", hint=f"Write '{name.rstrip('/')}/*'.")
                if path.is_file():
                    found[name] = file_digest(self._root, path)
        return found

    def fetch(self, name: str, folder: Path) -> Path:
        """The file itself."""
        return self._root / name
