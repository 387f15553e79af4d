"""Rows of JSON interfaces, page by page, through httpx."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from kairos.adapters.httpx.rows import PagedRows
from kairos.errors import AdapterError, DataRefused
from kairos.pipeline.origins.declared import Http
from kairos.pipeline.origins.secrets import filled, filled_values
from kairos.pipeline.ports import Mark
from kairos.values import Json, Window, canonical_json, without_secrets

__all__ = ["open_reader"]

_MOST_PAGES = 100_000
_HEADERS = ("etag", "last-modified")


def open_reader(origin: Http, root: Path) -> HttpReader:
    """Reads one interface."""
    return HttpReader(origin, root)


class HttpReader:
    """Asks one interface, with patience for each page."""

    def __init__(self, origin: Http, root: Path) -> None:
        self._origin = origin
        self._patience = origin.patience(root)

    def marks(self, windows: Sequence[Window]) -> list[Mark | None]:
        """What the first answer for each window tells; ``None`` if nothing was declared."""
        name = self._origin.watermark
        if name is None:
            return [None] * len(windows)
        found: list[Mark | None] = []
        with self._client() as client:
            for window in windows:
                answer = self._get(client, *self._first(window))
                value = answer.headers.get(name) if name in _HEADERS else _at(_body(answer), name)
                if value is None:
                    raise DataRefused(f"An answer has no watermark {name!r}.", given=_shown(answer))
                found.append(Mark(text=f"{name} {canonical_json(value).decode()}"))
        return found

    def batches(self, window: Window, pin: Json) -> Iterator[pl.DataFrame]:
        """Rows page by page."""
        origin = self._origin
        paged = PagedRows(origin.types)
        is_empty = True
        with self._client() as client:
            for rows in self._pages(client, window):
                if rows:
                    is_empty = False
                    yield paged.table(rows)
        if is_empty and origin.types:
            yield paged.empty()

    def _pages(self, client: httpx.Client, window: Window) -> Iterator[list[Any]]:
        origin = self._origin
        url, params = self._first(window)
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            answer = self._get(client, url, params)
            body = _body(answer)
            rows = _at(body, origin.rows)
            if not isinstance(rows, list):
                raise DataRefused(f"An answer has no list of rows at {origin.rows!r}.", given=_shown(answer))
            yield rows
            after = self._next(answer, body)
            if after is None:
                return
            if after in seen:  # an interface that goes round would fill the disk
                raise DataRefused("An interface gives the same next page twice.", given=_shown(answer))
            seen.add(after)
            if origin.cursor is not None:
                params = {**params, origin.cursor: after}
            else:
                url, params = str(answer.url.join(after)), {}
        raise DataRefused("An interface has too many pages for one window.", accepted=f"{_MOST_PAGES} pages")

    def _next(self, answer: httpx.Response, body: Json) -> str | None:
        name = self._origin.next
        if name == "link":
            return answer.links.get("next", {}).get("url")
        value = None if name is None else _at(body, name)
        return None if value in (None, "", False) else str(value)

    def _first(self, window: Window) -> tuple[str, dict[str, str]]:
        start, end = str(window).split("..")

        def told(text: str) -> str:
            return text.replace("{start}", start).replace("{end}", end)

        params = {name: told(str(value)) for name, value in self._origin.params.items()}
        return filled(told(self._origin.url)), filled_values(params)

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=self._patience.timeout_s, headers=filled_values(self._origin.headers), follow_redirects=False
        )

    def _get(self, client: httpx.Client, url: str, params: Mapping[str, str]) -> httpx.Response:
        def get() -> httpx.Response:
            if httpx.URL(url).host != httpx.URL(filled(self._origin.url)).host:  # the headers hold a token
                raise DataRefused("The next page of an interface is at another host.", given=without_secrets(url))
            try:
                answer = client.get(url, params=dict(params)) if params else client.get(url)
            except httpx.TransportError as error:
                raise AdapterError(
                    "An interface did not answer a source.",
                    given=f"{without_secrets(url)}: {type(error).__name__}: {error}",
                    passing=True,
                ) from None
            if answer.is_success:
                return answer
            status = answer.status_code
            raise AdapterError(
                "An interface refused a source's request.",
                given=_shown(answer),
                passing=status in (408, 425, 429) or status >= 500,
                wait_s=_wait_s(answer),
            )

        return self._patience.call(get)


def _body(answer: httpx.Response) -> Json:
    try:
        return answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise DataRefused("An answer of an interface is no JSON.", given=_shown(answer)) from None


def _at(body: Json, path: str) -> Json:
    for name in path.split(".") if path else ():
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _wait_s(answer: httpx.Response) -> float:
    try:
        return float(answer.headers.get("retry-after", "0"))
    except ValueError:  # a date: our own waits do
        return 0.0


def _shown(answer: httpx.Response) -> str:
    return f"{without_secrets(str(answer.url))}: HTTP {answer.status_code}"
