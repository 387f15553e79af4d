"""What a project declares about a resource of dlt that a source reads; dlt itself is loaded when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from kairos.errors import GraphError
from kairos.pipeline.origins.origin import Origin, zone_of
from kairos.pipeline.origins.secrets import check_place, check_values, filled, filled_values
from kairos.values import Json

__all__ = ["Dlt", "filled_all"]


@dataclass(frozen=True, slots=True)
class Dlt(Origin):
    """Items of a resource of dlt: ``Dlt(trips, cursor="updated_at")``.

    The window becomes the range of the resource's own ``dlt.sources.incremental``, so exactly its items are asked for,
    and no state of dlt is read or written.

    Args:
        of: A configuration of ``rest_api``, with ``"$TOKEN"`` where a secret goes; a resource; a source; or a function
            of the project without parameters that returns one of these. Its code counts for the fingerprint.
        resource: Which one of a source that has several.
        cursor: Field with each item's time, where the resource has no ``dlt.sources.incremental`` of its own.
        times: How the cursor keeps times: ``aware``, ``naive``, ``text`` (ISO 8601), ``date`` or ``epoch`` (seconds).
            Default: as its annotation or initial value says; else ``text``.
        zone: Of times that have none.
        watermark: What tells whether items of a window changed, in a few items of its own: the name of another resource
            of the same source, or whatever ``of`` may be.
        types: Types of columns, such as ``{"users": pl.Int64}``.
    """

    kind: ClassVar[str] = "dlt"
    of: Any
    resource: str | None = field(default=None, kw_only=True)
    cursor: str | None = field(default=None, kw_only=True)
    times: Literal["aware", "naive", "text", "date", "epoch"] | None = field(default=None, kw_only=True)
    zone: str = field(default="UTC", kw_only=True)
    watermark: Any = field(default=None, kw_only=True)
    types: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        Origin.__post_init__(self)
        zone_of(self.zone)
        for given in (self.of, self.watermark):
            if isinstance(given, Mapping):
                _check_all(given)
        if isinstance(self.of, str) or not (
            isinstance(self.of, Mapping) or callable(self.of) or hasattr(self.of, "resources")
        ):
            raise GraphError(
                "Dlt(...) is given what is no resource of dlt.",
                given=type(self.of).__name__,
                accepted="a configuration of rest_api, a resource, a source, or a function that returns one of these",
            )

    def facts(self) -> dict[str, Json]:
        """All that the data depend on, but code: what ``of`` reaches counts with the source's own."""
        told = Origin.facts(self)
        return told | {name: _kind(getattr(self, name)) for name in ("of", "watermark")}

    def asked(self) -> str:
        if isinstance(self.of, Mapping):
            return str(self.of.get("client", {}).get("base_url"))
        return str(getattr(self.of, "__qualname__", getattr(self.of, "name", "")))

    def backend(self) -> str:
        return "dlt"


def filled_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the variables of the environment that it names filled in, however deep they are.

    Raises:
        UsageError: the environment has no such variable.
    """
    done = {name: _deeper(value, filled_all) for name, value in values.items()}
    texts = {name: value for name, value in done.items() if isinstance(value, str)}
    places = {name: filled(value) for name, value in texts.items() if "://" in value}  # only their secrets are secret
    return done | filled_values({name: value for name, value in texts.items() if name not in places}) | places


def _check_all(values: Mapping[str, Any]) -> None:
    """Refuses secrets that are written out, however deep they are."""
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    check_values("Dlt(...)", texts)
    for value in texts.values():
        check_place("Dlt(...)", value)
    for name, value in values.items():
        if name not in texts:
            _deeper(value, _check_all)


def _deeper(value: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    if isinstance(value, Mapping):
        return change(value)
    if isinstance(value, list | tuple):
        return [_deeper(each, change) for each in value]
    return value


def _kind(value: Any) -> Json:
    """A configuration or a name as it is; of code that it is there."""
    if value is None or isinstance(value, str):
        return value
    return _told(value) if isinstance(value, Mapping) else "code"


def _told(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(name): _told(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_told(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return getattr(value, "__qualname__", type(value).__qualname__)
