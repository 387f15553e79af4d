"""What opens an origin, found by name when it is first used: an adapter's library may not be installed."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kairos.errors import AdapterMissing

if TYPE_CHECKING:
    from kairos.pipeline.ports import Reader

__all__ = ["GROUP", "opener"]

GROUP = "kairos.origins"
"""The entry points by which an outsider's package adds an origin."""
_OURS = {
    "local files": ("kairos.pipeline.origins.local", None),
    "remote files": ("kairos.adapters.fsspec.files", "http"),
    "sql": ("kairos.adapters.sqlalchemy", None),
    "duckdb": ("kairos.adapters.duckdb", "duckdb"),
    "http": ("kairos.adapters.httpx", "api"),
    "delta": ("kairos.adapters.deltalake", "delta"),
    "iceberg": ("kairos.adapters.pyiceberg", "iceberg"),
    "dlt": ("kairos.adapters.dlt", "dlt"),
}
"""Module with ``open_reader``, and the extra that installs what it needs."""


def opener(name: str) -> Callable[[Any, Any], Reader]:
    """The function that makes a reader of an origin and the project's folder.

    Raises:
        AdapterMissing: nothing has that name, or its library is not installed.
    """
    if name in _OURS:
        module, extra = _OURS[name]
        try:
            found: Callable[[Any, Any], Reader] = importlib.import_module(module).open_reader
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kairos"):
                raise
            raise AdapterMissing(
                f"A source reads {name}, and {error.name} is not installed.",
                hint=f"Type: pip install 'kairos-ml[{extra}]'",
            ) from None
        return found
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        loaded: Callable[[Any, Any], Reader] = entry.load()
        return loaded
    raise AdapterMissing(f"Nothing that is installed opens {name!r}.", accepted=", ".join(_OURS))
