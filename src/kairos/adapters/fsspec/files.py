"""Files on S3, GCS, Azure, SFTP, HTTP and whatever else fsspec knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import split_protocol

from kairos.errors import AdapterError, AdapterMissing, UsageError
from kairos.pipeline.origins.declared import Files
from kairos.pipeline.origins.reading import FileReader
from kairos.pipeline.origins.secrets import filled, filled_values

__all__ = ["open_reader"]

_SUMS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "generation", "VersionId", "version_id", "checksum")
"""What places tell of a file's content; the first that is there counts."""
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "modified")

_GOOGLE = frozenset({"gs", "gcs"})
_AZURE = frozenset({"abfs", "abfss", "az"})
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"} | {
    "ssh": "ssh",
    "sftp": "ssh",
    "http": "http",
    "https": "http",
}


def open_reader(origin: Files, root: Path) -> FileReader:
    """Reads files at an address.

    Raises:
        AdapterMissing: fsspec's package for such addresses is not installed.
        UsageError: nothing knows such addresses.
    """
    place = filled(origin.place)
    protocol = str(split_protocol(place)[0])
    try:
        kind = (
            import_module("gcsfs.core").GCSFileSystem if protocol in _GOOGLE else fsspec.get_filesystem_class(protocol)
        )
    except ImportError as error:
        raise AdapterMissing(
            f"A source reads files by {protocol}://, and what fsspec needs for it is not installed.",
            given=str(error),
            hint=f"Type: pip install 'kairos-ml[{_EXTRAS.get(protocol, 'http')}]'",
        ) from None
    except ValueError:
        raise UsageError(
            "A source reads files at an address that fsspec does not know.", given=f"{protocol}://"
        ) from None
    options = {**kind._get_kwargs_from_urls(place), **_limits(protocol, origin), **filled_values(origin.options)}
    return FileReader(origin, place, _Remote(lambda: kind(skip_instance_cache=True, **options)), root)


class _Remote:
    """Files of one file system of fsspec, which is made when it is first asked: some connect then."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _system(self) -> Any:
        return self._make()

    def stamps(self, patterns: Sequence[str]) -> Mapping[str, str]:
        """What the place tells of each file's content."""
        found: dict[str, str] = {}
        for pattern in patterns:
            with _named():
                self._system.invalidate_cache()
                if "*" in pattern:
                    files = {str(name): facts for name, facts in self._system.glob(pattern, detail=True).items()}
                else:
                    files = self._one(pattern)
            found |= {name: _stamp(files[name]) for name in sorted(files) if files[name].get("type") != "directory"}
        return found

    def fetch(self, name: str, folder: Path) -> Path:
        """A copy of the file; it goes from disk to disk, whatever its size."""
        target = folder / (Path(name.partition("?")[0]).name or "file")
        with _named():
            self._system.get_file(self._system._strip_protocol(name), str(target))
        return target

    def _one(self, name: str) -> dict[str, Mapping[str, Any]]:
        try:
            return {name: self._system.info(name)}
        except FileNotFoundError:
            return {}


def _stamp(facts: Mapping[str, Any]) -> str:
    for name in _SUMS:
        if facts.get(name):
            return f"{name} {facts[name]}"
    time = next((facts[name] for name in _TIMES if facts.get(name)), "")
    return f"{facts.get('size')} bytes {time}"


def _limits(protocol: str, origin: Files) -> dict[str, Any]:
    """The time-out, where the file system takes one by a name that is known."""
    timeout_s = origin.patience().timeout_s
    if protocol in ("http", "https"):
        import aiohttp  # only these need it

        return {
            "use_listings_cache": False,
            "client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)},
        }
    if protocol in ("s3", "s3a"):
        # Tried again by us alone: a rate is kept so, and each try is as long as it is said to be.
        retries = {"max_attempts": 1}
        return {
            "use_listings_cache": False,
            "config_kwargs": {"connect_timeout": timeout_s, "read_timeout": timeout_s, "retries": retries},
        }
    if protocol in ("ssh", "sftp"):  # sshfs would ask for no host's key; () is ~/.ssh/known_hosts
        return {"known_hosts": (), "connect_timeout": timeout_s, "login_timeout": timeout_s}
    if protocol in _GOOGLE:
        return {"use_listings_cache": False, "timeout": timeout_s}
    if protocol in _AZURE:
        return {"use_listings_cache": False, "connection_timeout": timeout_s, "read_timeout": timeout_s}
    return {}


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (PermissionError, NotImplementedError) as error:
        raise AdapterError("A place of files refused a source's call.", given=_text(error)) from None
    except FileNotFoundError as error:  # it was there a moment ago
        raise AdapterError("A file of a source is gone.", given=_text(error), passing=True) from None
    except Exception as error:  # each library has its own: what it is about may pass unless it says otherwise
        status = getattr(error, "status", None)
        passing = not isinstance(status, int) or status in (408, 429) or status >= 500
        raise AdapterError("A place of files did not answer a source.", given=_text(error), passing=passing) from None


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
