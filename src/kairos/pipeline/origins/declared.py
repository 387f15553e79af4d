"""What a project declares about the origin of a source: values that are compared, written down and opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from kairos.errors import GraphError
from kairos.pipeline.origins.origin import Origin, host_of, zone_of
from kairos.pipeline.origins.places import has_time
from kairos.pipeline.origins.resources import Dlt
from kairos.pipeline.origins.secrets import check_place, check_values

__all__ = ["Delta", "Dlt", "Files", "Http", "Iceberg", "Origin", "Sql", "zone_of"]

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


@dataclass(frozen=True, slots=True)
class Files(Origin):
    """Files by a pattern: ``Files("s3://bucket/rentals/{date}.csv", time="hour", zone="Europe/Berlin")``.

    Args:
        place: Path relative to the project, or address of a file system that fsspec knows. ``{date}``, ``{year}``,
            ``{month}``, ``{day}``, ``{hour}`` are the times that a file is about; ``*`` is any name.
        time: Column with each row's time; rows outside the window are left out.
        zone: Of times in names, and of a column that has no zone itself.
        types: Types of columns that the files do not tell, such as ``{"users": pl.Int64}``; a file has to have them.
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
        return host_of(self.place)

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
        return host_of(self.url)

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
        types: Types of columns, such as ``{"users": pl.Int64}``; those of the others the first page settles.
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
        return host_of(self.url)

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
        return host_of(self.place)

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
