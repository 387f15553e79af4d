"""How patiently a resource's HTTP client asks, and what the errors of dlt and its clients mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.exceptions import DltException
from dlt.extract import DltResource
from dlt.extract.incremental.exceptions import (
    IncrementalCursorInvalidCoercion,
    IncrementalCursorPathHasValueNone,
    IncrementalCursorPathMissing,
)
from dlt.sources.helpers.rest_client import RESTClient
from requests.adapters import HTTPAdapter

from kairos.errors import AdapterError, DataRefused, KairosError, UsageError
from kairos.pipeline.origins.patience import Patience
from kairos.pipeline.origins.watching import allow_silence
from kairos.values import without_secrets

__all__ = ["arguments_of", "told_errors", "with_patience"]


class _Paced(HTTPAdapter):
    """Sends requests at a rate, each with its time-out; what a resource's own client sets does not count."""

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        """One request, also when dlt tries it again."""
        self._patience.pace()
        answer = super().send(request, *args, **{**options, "timeout": self._patience.timeout_s})
        allow_silence(_wait_s(answer))  # dlt waits for so long
        return answer


def with_patience(resource: DltResource, patience: Patience) -> DltResource:
    """The same resource, whose client of ``rest_api`` keeps to the origin's time-out and rate.

    Raises:
        UsageError: a rate is to be kept by a resource whose client is not known.
    """
    clients = [each for each in arguments_of(resource).values() if isinstance(each, RESTClient)]
    if patience.rate_per_s is not None and not clients:
        raise UsageError(
            f"The resource {resource.name!r} of dlt has no client of rest_api, so its rate cannot be kept.",
            given=f"rate={patience.rate_per_s}",
            hint="Leave out rate=, and wait in the resource.",
        )
    for client in clients:
        for scheme in ("http://", "https://"):
            client.session.mount(scheme, _Paced(patience))
    return resource


def arguments_of(resource: DltResource) -> Mapping[str, Any]:
    """What a resource's function was given, by parameter; none if it takes its defaults."""
    return resource.explicit_args or {} if resource.args_bound else {}


@contextmanager
def told_errors() -> Iterator[None]:
    """Errors of dlt as ours; one that may pass says so; what the project's own code raised stays what it is."""
    try:
        yield
    except KairosError:
        raise
    except ConfigFieldMissingException as error:
        raise _lacking(error) from None
    except (DltException, requests.RequestException) as error:
        causes = list(_causes(error))
        for cause in causes:
            if (known := _known(cause)) is not None:
                raise known from None
        last = causes[-1]
        if not isinstance(last, DltException):
            raise last from None
        raise AdapterError("A resource of dlt cannot be read.", given=f"{type(last).__name__}: {last}") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _known(error: BaseException) -> KairosError | None:
    if isinstance(error, KairosError):
        return error
    if isinstance(error, ConfigFieldMissingException):
        return _lacking(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        answer = error.response
        status = answer.status_code
        return AdapterError(
            "An interface refused a request of a resource of dlt.",
            given=f"{without_secrets(str(answer.url))}: HTTP {status}",
            passing=status in (408, 425, 429) or status >= 500,
            wait_s=_wait_s(answer),
        )
    if isinstance(error, requests.RequestException):
        passing = isinstance(
            error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError
        )
        request = getattr(error, "request", None)
        at = f"{without_secrets(str(request.url))}: " if request is not None else ""
        return AdapterError(
            "An interface did not answer a resource of dlt.", given=f"{at}{type(error).__name__}", passing=passing
        )
    if isinstance(error, IncrementalCursorPathMissing | IncrementalCursorPathHasValueNone):
        return DataRefused(
            "Items of a resource of dlt have no time in their cursor, so no window is theirs.",
            hint="Leave them out: dlt.sources.incremental(..., on_cursor_value_missing='exclude').",
        )
    if isinstance(error, IncrementalCursorInvalidCoercion):
        return DataRefused(
            "The cursor of a resource of dlt has another type than its window.",
            given=str(error).splitlines()[0],
            accepted="aware, naive, text, date, epoch",
            hint="Say it: Dlt(..., times='epoch').",
        )
    return None


def _lacking(error: ConfigFieldMissingException) -> UsageError:
    names = sorted({trace.key for traces in error.traces.values() for trace in traces if trace.key.isupper()})
    return UsageError(
        "The environment lacks what a resource of dlt asks for.",
        given=", ".join(error.fields),
        accepted=" or ".join(names) or None,
        hint=f"Type: export {names[0]}=..." if names else None,
    )


def _wait_s(answer: requests.Response) -> float:
    try:
        return float(answer.headers.get("Retry-After", "0"))
    except ValueError:  # a date: our own waits do
        return 0.0
