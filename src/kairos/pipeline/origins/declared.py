"""What a project declares about the origin of a source: values that are compared, written down and opened."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kairos.errors import GraphError
from kairos.pipeline.origins.loading import opener
from kairos.pipeline.origins.patience import Patience
from kairos.pipeline.origins.places import has_time
from kairos.pipeline.origins.secrets import check_place, check_values
from kairos.pipeline.ports import Reader
from kairos.values import Json, parse_duration

__all__ = ["Delta", "Files", "Http", "Iceberg", "Origin", "Sql"]

Format = Literal["csv", "jsonl", "parquet", "arrow"]
_FORMATS = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_PATIENCE = ("tries", "timeout", "rate")


@dataclass(frozen=True, slots=True)
class Origin(ABC):
    """Common to all: how patiently it is asked."""

    kind: ClassVar[str]
    tries: int = field(default=4, kw_only=True)
    """How often what may pass is tried."""
    timeout: str = field(default="60s", kw_only=True)
    """How long one call may take."""
    rate: float | None = field(default=None, kw_only=True)
    """Calls a second, at most, of all workers of this machine together that ask the same host for the project."""

    def __post_init__(self) -> None:
        self.patience()

    def patience(self, root: Path | None = None) -> Patience:
        """A new one; with the project's folder it keeps to the rate together with all others of this origin."""
        turns = None
        if root is not None and self.rate is not None:
            name = hashlib.sha256(f"{self.kind} {self.asked()}".encode()).hexdigest()[:32]
            turns = root / ".kairos" / "rates" / name
        return Patience(self.tries, parse_duration(self.timeout).total_seconds(), self.rate, turns)

    @abstractmethod
    def asked(self) -> str:
        """Who is asked, as it is declared: origins that say the same share a rate."""

    def facts(self) -> dict[str, Json]:
        """All that the data depend on, for a fingerprint; variables of the environment by name only."""
        names = [each.name for each in dataclasses.fields(self) if each.name not in _PATIENCE]
        return {"kind": self.kind, **{name: _told(getattr(self, name)) for name in names}}

    @property
    def is_windowed(self) -> bool:
        """Whether rows of different windows can be told apart."""
        return True

    def reader(self, root: Path) -> Reader:
        """Opens it; connections are made when it is asked.

        Raises:
            AdapterMissing: its library is not installed.
            UsageError: the environment lacks a variable that it names.
        """
        return opener(self.backend())(self, root)

    @abstractmethod
    def backend(self) -> str:
        """What opens it: the name of an adapter."""


@dataclass(frozen=True, slots=True)
class Files(Origin):
    """Files by a pattern: ``Files("s3://bucket/rentals/{date}.csv", time="hour", zone="Europe/Berlin")``.

    Args:
        place: Path relative to the project, or address of a file system that fsspec knows. ``{date}``, ``{year}``,
            ``{month}``, ``{day}``, ``{hour}`` are the times that a file is about; ``*`` is any name.
        time: Column with each row's time; rows outside the window are left out.
        zone: Of times in names, and of a column that has no zone itself.
        types: Types of columns that the files do not tell, such as ``{"users": pl.Int64}``.
        format: ``csv``, ``jsonl``, ``parquet`` or ``arrow``; else by the name's end, before ``.gz`` if there is one.
        separator: Between cells of a CSV file.
        options: For fsspec, such as ``{"key": "$S3_KEY", "secret": "$S3_SECRET", "endpoint_url": "https://..."}``.
    """

    kind: ClassVar[str] = "files"
    place: str
    time: str | None = field(default=None, kw_only=True)
    zone: str = field(default="UTC", kw_only=True)
    types: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    format: Format | None = field(default=None, kw_only=True)
    separator: str = field(default=",", kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        check_place("Files(...)", self.place)
        check_values("Files(...)", self.options)
        zone_of(self.zone)
        self.read_as()

    def read_as(self) -> str:
        """The format.

        Raises:
            GraphError: it is neither given nor told by the name.
        """
        name = self.place.partition("?")[0].removesuffix(".gz")
        found = self.format or _FORMATS.get(Path(name).suffix.lower())
        if found not in set(_FORMATS.values()):
            raise GraphError(
                "Files(...) cannot tell the format of its files.",
                given=self.format or Path(name).name,
                accepted="csv, jsonl, parquet, arrow",
                hint="Write format='csv'.",
            )
        return found

    @property
    def is_windowed(self) -> bool:
        return self.time is not None or has_time(self.place)

    def asked(self) -> str:
        return _host_of(self.place)

    def backend(self) -> str:
        return "remote files" if "://" in self.place else "local files"


@dataclass(frozen=True, slots=True)
class Sql(Origin):
    """The rows of a query: ``Sql("$BIKES_DB", "SELECT ... WHERE at >= :start AND at < :end", updated="updated_at")``.

    Args:
        url: ``postgresql://``, ``mysql://``, ``mariadb://``, ``sqlite:///FILE`` or ``duckdb:///FILE``.
        query: Binds ``:start`` and ``:end``.
        updated: Column of the query with the time of a row's last change; count and latest are the watermark.
        watermark: A query that gives one row, the watermark, instead.
        times: How the database keeps times: ``aware``, ``naive``, ``text`` (``2011-01-01 00:00:00``) or ``epoch``
            (seconds). Default: ``aware``; for SQLite ``text``, for MySQL and MariaDB ``naive``.
        zone: Of times that are naive or text.
        types: Types of columns that the cursor does not tell, such as ``{"users": pl.Int64}``.
    """

    kind: ClassVar[str] = "sql"
    url: str
    query: str
    updated: str | None = field(default=None, kw_only=True)
    watermark: str | None = field(default=None, kw_only=True)
    times: Literal["aware", "naive", "text", "epoch"] | None = field(default=None, kw_only=True)
    zone: str = field(default="UTC", kw_only=True)
    types: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        check_place("Sql(...)", self.url)
        zone_of(self.zone)
        for name, query in (("query", self.query), ("watermark", self.watermark)):
            if query is not None and not (":start" in query and ":end" in query):
                raise GraphError(f"Sql(...): {name} does not bind :start and :end.", given=query)
        if self.updated is not None and self.watermark is not None:
            raise GraphError("Sql(...) has two watermarks.", given="updated and watermark", accepted="one of them")

    def asked(self) -> str:
        return _host_of(self.url)

    def backend(self) -> str:
        return "duckdb" if self.url.startswith("duckdb:") else "sql"


@dataclass(frozen=True, slots=True)
class Http(Origin):
    """Rows of a JSON interface, page by page.

    Args:
        url: Of the first page.
        rows: Where in an answer the rows are: ``"data.items"``; ``""`` is the answer itself.
        next: Where in an answer the next page is: an address, or the value of the param ``cursor``. ``"link"`` reads
            the header ``Link``. ``None``: there is one page.
        cursor: Param that ``next`` is a value of.
        params: Of the request; ``{start}`` and ``{end}`` in them are the window's, in ISO 8601.
        headers: Such as ``{"Authorization": "Bearer $TOKEN"}``.
        watermark: Where in the first answer the watermark is, such as ``"meta.updated_at"``; ``"etag"`` and
            ``"last-modified"`` are headers.
        types: Types of columns, such as ``{"users": pl.Int64}``.
    """

    kind: ClassVar[str] = "http"
    url: str
    rows: str = field(default="", kw_only=True)
    next: str | None = field(default=None, kw_only=True)
    cursor: str | None = field(default=None, kw_only=True)
    params: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    watermark: str | None = field(default=None, kw_only=True)
    types: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        check_place("Http(...)", self.url)
        check_values("Http(...)", self.headers)
        check_values("Http(...)", self.params)

    @property
    def is_windowed(self) -> bool:
        return any("{start}" in str(each) or "{end}" in str(each) for each in (self.url, *self.params.values()))

    def asked(self) -> str:
        return _host_of(self.url)

    def backend(self) -> str:
        return "http"


@dataclass(frozen=True, slots=True)
class Delta(Origin):
    """A Delta Lake table, read at the version that it has when the run begins.

    Args:
        place: Folder or address of the table.
        time: Column with each row's time.
        zone: Of that column, if it has none.
        options: For the place, such as ``{"aws_secret_access_key": "$AWS_SECRET"}``.
    """

    kind: ClassVar[str] = "delta"
    place: str
    time: str = field(kw_only=True)
    zone: str = field(default="UTC", kw_only=True)
    options: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        check_place("Delta(...)", self.place)
        check_values("Delta(...)", self.options)
        zone_of(self.zone)

    def asked(self) -> str:
        return _host_of(self.place)

    def backend(self) -> str:
        return "delta"


@dataclass(frozen=True, slots=True)
class Iceberg(Origin):
    """An Iceberg table, read at the snapshot that it has when the run begins.

    Args:
        table: ``NAMESPACE.NAME``.
        time: Column with each row's time.
        catalog: Properties of its catalog, such as ``{"type": "rest", "uri": "https://...", "token": "$TOKEN"}``.
        zone: Of that column, if it has none.
    """

    kind: ClassVar[str] = "iceberg"
    table: str
    time: str = field(kw_only=True)
    catalog: Mapping[str, str] = field(kw_only=True)
    zone: str = field(default="UTC", kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        check_values("Iceberg(...)", self.catalog)
        for value in self.catalog.values():
            check_place("Iceberg(...)", value)
        zone_of(self.zone)

    def asked(self) -> str:
        return self.catalog.get("uri", self.table)

    def backend(self) -> str:
        return "iceberg"


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        GraphError: there is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise GraphError("There is no such time zone.", given=name, accepted="a name such as 'Europe/Berlin'") from None


def _host_of(place: str) -> str:
    """Scheme, user and host of an address as it is written; a path is its own."""
    scheme, found, rest = place.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if found else place


def _told(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(name): _told(value[name]) for name in value}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
