"""What the protocols tell of the versions that are loaded, whichever way it leaves."""

from __future__ import annotations

from collections.abc import Sequence

from kairos.errors import KairosError, NotFound, TransitionRefused
from kairos.serving.answering import intake_of, named
from kairos.serving.deployment import Deployment, LoadedRoute
from kairos.serving.protocols.inference import metadata
from kairos.values import Json

__all__ = ["EXTENSIONS", "cannot_unload", "index", "metadata_of", "numbers", "read_number"]

EXTENSIONS = ("binary_tensor_data", "model_repository")
"""What the server speaks of the protocol beyond its core, by the names that other servers use."""


def numbers(route: LoadedRoute) -> Sequence[int]:
    """The numbers of a model's loaded versions, each once, the lowest first."""
    return sorted({version.ref.number for _, version in route.versions})


def metadata_of(route: LoadedRoute, number: int | None) -> Json:
    """A model's tensors, as its champion or the version of that number takes them.

    Raises:
        NotFound: no such version is loaded.
    """
    version = route.champion if number is None else named(route, number)[1]
    return metadata(route.model, numbers(route), intake_of(version))


def index(deployment: Deployment, *, only_ready: bool = False) -> list[dict[str, str]]:
    """Every version that the server has, or should have and cannot load, with why."""
    found = [
        {"name": name, "version": str(number), "state": "READY", "reason": ""}
        for name in sorted(deployment.routes)
        for number in numbers(deployment.routes[name])
    ]
    if not only_ready:
        found += [
            {
                "name": trouble.ref.model,
                "version": str(trouble.ref.number),
                "state": "UNAVAILABLE",
                "reason": trouble.reason,
            }
            for trouble in deployment.troubles
        ]
    return found


def read_number(text: str | None) -> int | None:
    """A version's number as a client writes it; ``None``: whoever the ledger says.

    Raises:
        NotFound: no version can be called so.
    """
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise NotFound("A version is named by its number.", given=repr(text[:40]), accepted="a number such as 3")
    return int(text)


def cannot_unload(route: LoadedRoute) -> KairosError:
    """The refusal to take a model from its users."""
    return TransitionRefused(
        f"The ledger says that {route.model!r} is live; a request cannot unload it.",
        hint="Who may decide types: kairos rollback, or kairos deploy",
    )
