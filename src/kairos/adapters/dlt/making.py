"""What a project declared as a resource that can be read: made by its function, copied, or built of a configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.extract import DltResource, DltSource
from dlt.sources.rest_api import rest_api_source

from kairos.errors import UsageError
from kairos.pipeline.origins.resources import filled_all
from kairos.pipeline.origins.secrets import note_environment

__all__ = ["made", "secrets_from_environment_only"]

_lock = threading.Lock()
"""Keeps the providers of the process: contexts are entered by several threads."""
_held = threading.Lock()
"""Of resources and sources that the project's module holds: one window at a time."""
_HELD_S = 600.0


@contextmanager
def made(of: Any, name: str | None) -> Iterator[DltResource]:
    """A resource that nobody else reads meanwhile.

    Args:
        of: A configuration of ``rest_api``, a resource, a source, or what makes one of these.
        name: Which resource of a source; ``None``: the only one.

    Raises:
        UsageError: it is none of these, or the source has no such resource.
    """
    if isinstance(of, Mapping):
        of = rest_api_source(filled_all(of))
    elif callable(of) and not isinstance(of, DltResource | DltSource):
        of = of()
    elif isinstance(of, DltResource) and not of.args_bound:
        of = of.with_name(of.name)  # a copy of its own
    else:  # dlt makes no whole copy of it, and a window is set in it
        if not _held.acquire(timeout=_HELD_S):
            raise UsageError(
                "A resource of dlt is read for two windows at once.",
                hint="Give a function that makes it: Dlt(lambda: ...).",
            )
        try:
            yield _chosen(of, name)
        finally:
            _held.release()
        return
    yield _chosen(of, name)


def _chosen(of: Any, name: str | None) -> DltResource:
    if isinstance(of, DltSource):
        return _one_of(of, name)
    if not isinstance(of, DltResource):
        raise UsageError(
            "Dlt(...) is given what is no resource of dlt.",
            given=type(of).__name__,
            accepted="a configuration of rest_api, a resource, a source, or a function that returns one of these",
        )
    if name is not None and name != of.name:
        raise UsageError("Dlt(...) names a resource that is not the one it is given.", given=name, accepted=of.name)
    return of


def _one_of(source: DltSource, name: str | None) -> DltResource:
    names = list(source.resources)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        raise UsageError(
            "Dlt(...) does not say which resource of a source it reads."
            if name is None
            else "A source of dlt has no such resource.",
            given=name,
            accepted=", ".join(names),
            hint=f"Write Dlt(..., resource={names[0]!r})." if names else None,
        )
    found: DltResource = source.resources[name]
    return found


@contextmanager
def secrets_from_environment_only() -> Iterator[None]:
    """Takes dlt's other stores of secrets (``.dlt/secrets.toml``, vaults) away from this process, for good.

    What the environment holds under names of secrets is taken out of every message from here on.
    """
    note_environment()
    context = Container()[PluggableRunContext]
    with _lock:
        providers = context.providers.providers
        kept = [each for each in providers if isinstance(each, EnvironProvider) or not each.supports_secrets]
        if len(kept) < len(providers):
            context.providers = ConfigProvidersContainer(kept)
    yield
