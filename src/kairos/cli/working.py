"""A worker of ``serve`` and ``up``: what it loads, and what it says of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from kairos.app.project import Project
from kairos.app.serving import make_server
from kairos.app.settings.values import CaptureMode
from kairos.cli.listening import Doors
from kairos.cli.logs import log_to_stderr
from kairos.errors import KairosError, Unavailable
from kairos.serving.peers import NOBODY, Peers
from kairos.serving.process import work as answer
from kairos.serving.server import ModelServer
from kairos.serving.workers import Seat, Told

__all__ = ["opened", "pages_of", "told_of", "work"]


def work(seat: Seat, *, root: Path, needs_one: bool, doors: Doors, capture: CaptureMode | None) -> None:
    """Serves a project as one of several workers."""
    log_to_stderr()
    grpc_at = None if doors.grpc_port is None else (doors.host, doors.grpc_port)
    with Project(root, may_make_ledger=False) as project:  # the supervisor has seen it
        others = [door for number, door in enumerate(seat.doors) if number != seat.number]
        try:
            needs_one = needs_one and not seat.is_last
            server = opened(project, needs_one=needs_one, peers=Peers(others), capture=capture)
            answer(
                server,
                seat,
                pages=pages_of(project),
                grpc_at=grpc_at,
                certificate=doors.certificate(),
                limits=project.settings.limits,
                told=lambda: told_of(server),
            )
        except KairosError as error:
            seat.fail(error)


def pages_of(project: Project) -> dict[str, Callable[[], str]]:
    """The pages of a project's server; what they need is loaded by the first visit."""

    def status() -> str:
        from kairos.web.live import status_page

        return status_page(project)

    return {"/": status, "/status": status}


def opened(
    project: Project, *, needs_one: bool, peers: Peers = NOBODY, capture: CaptureMode | None = None
) -> ModelServer:
    """A project's server, which has looked at the ledger if it has to have something to serve.

    Raises:
        Unavailable: something is live, and nothing of it can be loaded, so every request would be refused.
    """
    server = make_server(project, peers=peers, capture=capture)
    if not needs_one:
        return server
    log = logging.getLogger("kairos.serving")
    log.disabled, was = True, log.disabled  # what cannot be loaded is told below, or in the announcement
    try:
        server.follower.poll()
    finally:
        log.disabled = was
    deployment, unread = server.follower.deployment, server.follower.trouble
    if unread is not None:
        server.close()
        raise Unavailable("Nothing is served: the ledger cannot be read.", given=unread)
    if deployment.diverged and not deployment.routes:
        server.close()
        lost = deployment.diverged[0]
        raise Unavailable(
            f"Nothing is served: {lost.ledger} is live, but cannot be loaded.",
            given=lost.reason,
            hint=f"Type: kairos store verify, or go back: kairos rollback {lost.model}",
        )
    return server


def told_of(server: ModelServer) -> Told:
    """What answers: versions with their packages, and where the ledger says something else."""
    deployment = server.follower.deployment
    champions = [route.champion for route in deployment.routes.values()]
    diverged = [
        {"ledger": str(lost.ledger), "answers": lost.answers and str(lost.answers), "reason": lost.reason}
        for lost in deployment.diverged
    ]
    return {"answering": {str(one.ref): str(one.package) for one in champions}, "diverged": diverged}
