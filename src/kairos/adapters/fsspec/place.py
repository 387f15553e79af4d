"""A place of blobs that an engine of fsspec reaches."""

from __future__ import annotations

import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from kairos.errors import without_addresses
from kairos.pipeline.origins.watching import Silent, Watch
from kairos.store.places import UNKNOWN, PlaceRefused, name_of
from kairos.values import Digest

__all__ = ["FsspecPlace"]

Answer = TypeVar("Answer")

_SAYS_NO = (
    "Credential",
    "Auth",
    "Permission",
    "Forbidden",
    "HostKey",
    "ProfileNotFound",
    "ParamValidation",
    "KeyImport",
)
"""Parts of the names of errors, of many libraries, after which it is of no use to ask again."""
_SECRET_NAMES = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING|CREDENTIAL", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]+@|([?&][\w.-]*(?:sig|key|token|secret|credential|password)[\w.-]*=)[^&\s'\"]+", re.I)


class FsspecPlace:
    """A place of blobs that an engine of fsspec reaches; connected when it is first asked.

    Args:
        connect: Makes the engine.
        root: The path of the place for it.
        prefix: The folder of the blobs in it.
        renames: Whether a file that is sent gets its name by being renamed when it is whole. Where not, the engine
            shows no part of one by itself.
        lists: Whether it can say what is there.
        send_options: Of the engine's ``put_file``.
        environment: Where credentials come from; told where they are refused.
        silent_s: After how long without a byte a try is given up.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        root: str,
        *,
        prefix: str = "files/md5",
        renames: bool = False,
        lists: bool = True,
        send_options: Mapping[str, Any] | None = None,
        environment: str = "",
        silent_s: float = 60.0,
    ) -> None:
        self.lists = lists
        self._connect = connect
        self._root = root.rstrip("/")
        self._prefix = prefix
        self._renames = renames
        self._send_options = dict(send_options or {})
        self._environment = environment
        self._watch = Watch(silent_s)
        self._lock = threading.Lock()
        self._connected: Any = None
        self._folders: set[str] = set()

    def sizes(self, shard: str) -> Mapping[Digest, int]:
        """See ``Place``."""
        return self._watched(lambda: self._sizes(shard))

    def size(self, digest: Digest) -> int | None:
        """See ``Place``."""
        return self._watched(lambda: self._size(digest))

    def send(self, source: Path, digest: Digest) -> None:
        """See ``Place``."""
        self._watched(lambda: self._send(source, digest))

    def fetch(self, digest: Digest, target: Path) -> None:
        """See ``Place``."""
        self._watched(lambda: self._fetch(digest, target))

    def abandon(self) -> None:
        """See ``Place``."""
        self._watch.abandon()

    def _watched(self, ask: Callable[[], Answer]) -> Answer:
        """What the engine answers, unless it goes silent; then the next try connects anew."""
        try:
            return self._watch.call(ask)
        except Silent:  # who is still stuck may hold the lock: both are left to it
            self._lock, self._connected = threading.Lock(), None
            raise

    @property
    def _engine(self) -> Any:
        with self._lock:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected

    def _sizes(self, shard: str) -> Mapping[Digest, int]:
        with self._translated():
            try:
                entries = self._engine.ls("/".join(filter(None, (self._root, self._prefix, shard))), detail=True)
            except FileNotFoundError:
                return {}
            return {Digest(shard + _last(entry["name"])): _size(entry) for entry in entries if entry["type"] == "file"}

    def _size(self, digest: Digest) -> int | None:
        with self._translated():
            try:
                return _size(self._engine.info(self._path(digest)))
            except FileNotFoundError:
                return None

    def _send(self, source: Path, digest: Digest) -> None:
        with self._translated():
            engine, path = self._engine, self._path(digest)
            if not self._renames:
                engine.put_file(str(source), path, **self._send_options)
                return
            self._make_folder(path.rsplit("/", 1)[0])
            self._make_folder(f"{self._root}/tmp")
            temporary = f"{self._root}/tmp/kairos-{uuid.uuid4().hex}"
            try:
                engine.put_file(str(source), temporary, **self._send_options)
                self._rename(temporary, path)
            except BaseException:
                with suppress(Exception):  # what is told is why the send failed
                    engine.rm_file(temporary)
                raise

    def _fetch(self, digest: Digest, target: Path) -> None:
        with self._translated():
            try:
                self._engine.get_file(self._path(digest), str(target))
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def _path(self, digest: Digest) -> str:
        return f"{self._root}/{name_of(digest, self._prefix)}".lstrip("/" if not self._root else "")

    def _make_folder(self, folder: str) -> None:
        if folder not in self._folders:
            self._engine.makedirs(folder, exist_ok=True)
            self._folders.add(folder)

    def _rename(self, temporary: str, path: str) -> None:
        """In place of a part that is there, too, though not every server renames over a file."""
        try:
            self._engine.mv(temporary, path)
        except FileNotFoundError:
            raise
        except Exception:
            if not self._engine.exists(path):
                raise
            self._engine.rm_file(path)
            self._engine.mv(temporary, path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The engine's errors as ``Place`` promises them, and without what nobody is to see."""
        try:
            yield
        except (FileNotFoundError, PlaceRefused):
            raise
        except Exception as error:
            told = _told(error)
            if _is_refusal(error):
                raise PlaceRefused(f"{told}. {self._environment}".strip()) from None
            raise OSError(getattr(error, "errno", None) or 0, told) from None


def _is_refusal(error: BaseException) -> bool:
    if getattr(error, "status", getattr(error, "status_code", None)) in (401, 403, 405):
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    if any(part in name for name in names for part in _SAYS_NO):
        return True
    return isinstance(error, (TypeError, ValueError, ImportError, NotImplementedError)) and not isinstance(
        error, OSError
    )


def _told(error: BaseException) -> str:
    """What an error says, without addresses, users, and values of the environment that look like secrets."""
    text = without_addresses(str(error)).strip().splitlines()
    said = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    for name, value in os.environ.items():
        if len(value) >= 4 and _SECRET_NAMES.search(name):
            said = said.replace(value, "…")
    return _USER.sub(lambda found: (found[1] or found[2]) + "…", said).rstrip(".")


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1]


def _size(entry: Mapping[str, Any]) -> int:
    size = entry.get("size")
    return UNKNOWN if size is None else int(size)
