"""Workers of one server, as they ask each other: over a Unix socket of each one, in the same HTTP.

A client's connection ends at any of them. What only one of them knows, such as which version a user was given, or
whether *all* of them follow the ledger, is asked here.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from kairos.serving.roster import Place, Roster
from kairos.values import Json

__all__ = ["FROM_PEER", "NOBODY", "Peers"]

FROM_PEER = "kairos-peer"
"""The header of a request that a worker sends to another, which asks nobody else then."""

_PATIENCE_S = 10.0


class Peers:
    """The other workers; safe from several threads.

    Args:
        doors: The Unix sockets of the others. One at which nobody listens is left out: its worker is being started
            anew, and follows the ledger to its end before it answers.
    """

    def __init__(self, doors: Sequence[Path] = ()) -> None:
        self._doors = tuple(doors)
        self._roster = Roster(self._doors[0].parent) if self._doors else None

    def places(self) -> tuple[Place, ...]:
        """Who of all workers answers; nothing where there is one alone."""
        return () if self._roster is None else self._roster.read()

    def __bool__(self) -> bool:
        return bool(self._doors)

    def note(self, events: Sequence[Json]) -> int:
        """Lets others count events of users whom this worker has not met; returns how many they counted."""
        counted = 0
        for door in self._doors:
            if not events:
                break
            told = _call(door, "POST", "/events", {"events": list(events)})
            if told is not None:
                counted += told["counted"]
                events = [events[at] for at in told["unknown"]]
        return counted

    def states(self, query: Mapping[str, str]) -> list[Mapping[str, Json]]:
        """What ``/state`` says of each that answers."""
        told = [_call(door, "GET", f"/state?{urlencode(query)}", None) for door in self._doors]
        return [each for each in told if each is not None]


NOBODY = Peers()


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, door: Path) -> None:
        super().__init__("peer", timeout=_PATIENCE_S)
        self._door = door

    def connect(self) -> None:
        """Opens the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE_S)
        self.sock.connect(str(self._door))


def _call(door: Path, method: str, path: str, body: Json) -> Json:
    """The body of an answer; ``None``: there was none, or a refusal."""
    connection = _Connection(door)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {FROM_PEER: "1"})
        response = connection.getresponse()
        text = response.read()
        return json.loads(text) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
