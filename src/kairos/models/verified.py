"""The files of a package, none of which is believed before it is compared with its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from kairos.errors import PackageError
from kairos.values import Json, canonical_json, unplain

__all__ = ["FILES", "Verified", "read_json", "sha256_of"]

FILES = "kairos/files.json"
"""SHA-256 of every other file of a package."""


class Verified:
    """Reads files, and gives none that is not as it was written.

    Args:
        read: Returns a file's bytes by its relative path.
        locate: Returns where a file lies on this machine, ``None`` if nowhere.
        listed: Returns the paths of all files that are there.
        rewritten: Files that another tool may have changed, which nothing is read from.
        hint: What to type if a file is not as it was written.
    """

    def __init__(
        self,
        read: Callable[[str], bytes],
        locate: Callable[[str], Path | None],
        *,
        listed: Callable[[], Iterable[str]] = tuple,
        rewritten: Collection[str] = (),
        hint: str | None = None,
    ) -> None:
        self._read = read
        self._listed = listed
        self._rewritten = frozenset(rewritten)
        self._hint = hint
        self._is_checked = False
        self._locate = locate
        data = read(FILES)
        self._expected = read_json(lambda name: data, FILES)
        if canonical_json(self._expected) != data:
            raise self._changed(FILES)
        self.names = frozenset(self._expected)

    def __call__(self, name: str) -> bytes:
        data = self._read(name)
        self._check(name, sha256_of(data))
        return data

    def locate(self, name: str) -> Path | None:
        """Where the file lies, if it does so on this machine; read once, as it is compared."""
        path = self._locate(name)
        if path is None or not path.is_file():
            return None
        with path.open("rb") as file:
            self._check(name, hashlib.file_digest(file, "sha256").hexdigest())
        return path

    def check(self) -> None:
        """Compares every file, once: those that nobody reads here are read by others.

        Raises:
            PackageError: one is missing, not as it was written, or was added.
        """
        if self._is_checked:
            return
        for name in sorted(self.names - self._rewritten):
            if self.locate(name) is None:
                self(name)
        for name in self._listed():
            if name not in self.names and name != FILES:
                raise PackageError(f"The file {name!r} is none of a model package: it was added.", file=name)
        self._is_checked = True

    def _check(self, name: str, found: str) -> None:
        if found != self._expected.get(name):
            listed = str(self._expected.get(name))
            raise self._changed(name, f"SHA-256 {found[:12]}…, and {FILES!r} says {listed[:12]}…")

    def _changed(self, name: str, given: str | None = None) -> PackageError:
        what = f"The file {name!r} of a model package is not as it was written."
        return PackageError(what, given=given, hint=self._hint, file=name)


def sha256_of(data: bytes) -> str:
    """As it is written in the list of files."""
    return hashlib.sha256(data).hexdigest()


def read_json(read: Callable[[str], bytes], name: str) -> dict[str, Json]:
    """Reads one of a package's files as a JSON object.

    Raises:
        PackageError: it is none.
    """
    try:
        value = unplain(json.loads(read(name)))
    except ValueError as error:
        raise PackageError(f"{name!r} in a model package is not JSON.", given=str(error)) from error
    if not isinstance(value, dict):
        raise PackageError(f"{name!r} in a model package is not a JSON object.", given=type(value).__name__)
    return value
