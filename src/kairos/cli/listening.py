"""Where `serve` and `up` listen, and with how many processes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kairos.clock import ReplayClock
from kairos.errors import UsageError

if TYPE_CHECKING:
    from kairos.app.project import Project
    from kairos.serving.connections.tls import Certificate

__all__ = ["Doors", "doors_of", "workers_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where clients come in."""

    host: str
    port: int
    grpc_port: int | None = None
    """``None``: gRPC is not spoken."""
    cert: Path | None = None
    """``None``: TLS is not spoken."""
    key: Path | None = None

    def certificate(self) -> Certificate | None:
        """What TLS is spoken with.

        Raises:
            UsageError: a file is missing or is not what it should be.
        """
        if self.cert is None:
            return None
        from kairos.serving.connections.tls import Certificate

        return Certificate(self.cert, self.key or self.cert)


def doors_of(args: Namespace, project: Project) -> Doors:
    """Those that the command or else the settings name.

    Raises:
        UsageError: a port that is none, or a key without its certificate.
    """
    settings, home = project.settings, getattr(args, "home", None)
    port = settings.port if args.port is None else args.port
    grpc_port = settings.grpc_port if args.grpc_port is None else args.grpc_port
    if isinstance(project.clock, ReplayClock):
        grpc_port = None  # what is replayed comes in one order, over HTTP
    for each in (port, grpc_port or 0):
        if not 0 <= each <= 65535:
            raise UsageError("A port cannot be used.", given=each, accepted="0 to 65535")
    cert = args.tls_cert or (settings.tls_cert and project.root / settings.tls_cert)
    key = args.tls_key or (settings.tls_key and project.root / settings.tls_key)
    if key and not cert:
        raise UsageError(
            "There is a key for TLS, and no certificate.",
            given=str(key),
            hint="Add --tls-cert FILE, or server.tls_cert.",
        )
    if home or isinstance(project.clock, ReplayClock):
        cert = key = None  # the client is Kairos itself, on this machine
    host = args.host or settings.host
    return Doors(host=host, port=port, grpc_port=grpc_port, cert=cert or None, key=key or None)


_MOST_WORKERS = 4
"""More are started only if somebody asks for them."""


def workers_of(args: Namespace) -> int:
    """How many processes are to answer. With the loop beside it one is enough for a laptop; who wants more says so."""
    if args.workers is not None and args.workers < 1:
        raise UsageError("A number of workers cannot be used.", given=args.workers, accepted="1 or more")
    if args.execute == "serving:serve" and (args.replay or args.home):
        return 1
    if args.workers is None:
        from kairos.serving.workers import usable_cores

        return 1 if args.execute == "serving:up" else min(usable_cores(), _MOST_WORKERS)
    return int(args.workers)
