"""Follows the ledger: loads what it says is live, and swaps the deployment in one step once it has predicted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from kairos.delivery.state import Route
from kairos.serving.deployment import Deployment, LoadedRoute, Trouble, load_route
from kairos.serving.metrics import ServerMetrics
from kairos.serving.ports import Loader, PolicySource, RouteSource

__all__ = ["Follower"]

_log = logging.getLogger("kairos.serving")

_POLLS_UNTIL_RETRY = 50


class Follower:
    """Keeps ``deployment`` up to date in a thread of its own; reading ``deployment`` needs no lock.

    Args:
        source: Asked for the routes every ``poll_s`` seconds.
        load: Opens packages.
        policy: The rules of each model.
        metrics: Where swaps and failures are counted.
        expect: Told the routes before they are loaded.
        loaded: Told the deployment once it answers.
        poll_s: Seconds between two looks at the ledger.
    """

    def __init__(
        self,
        source: RouteSource,
        *,
        load: Loader,
        policy: PolicySource,
        metrics: ServerMetrics,
        expect: Callable[[Sequence[Route]], None] = lambda routes: None,
        loaded: Callable[[Deployment], None] = lambda deployment: None,
        poll_s: float = 0.1,
    ) -> None:
        self.deployment = Deployment(routes={})
        self.has_followed = False
        """Whether the ledger was read at least once."""
        self.is_following = True
        """Whether the ledger could be read the last time."""
        self.trouble: str | None = None
        """Why the ledger could not be read the last time; ``None``: it could."""
        self._source, self._load, self._policy, self._metrics = source, load, policy, metrics
        self._expect, self._loaded = expect, loaded
        self._poll_s = poll_s
        self._lock = threading.Lock()  # protects a look at the ledger: one at a time
        self._wake = threading.Event()
        self._is_closed = False
        self._wanted: Sequence[Route] = ()
        self._polls = 0
        self._thread: threading.Thread | None = None
        self._loading: Callable[[bool], None] = lambda is_loading: None

    def watch_loading(self, told: Callable[[bool], None]) -> None:
        """Has ``told`` be called before versions are loaded, with ``True``, and afterwards, with ``False``."""
        self._loading = told

    def start(self) -> None:
        """Begins to follow."""
        self._thread = threading.Thread(target=self._run, name="kairos-follow", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Makes the next look at the ledger happen now."""
        self._wake.set()

    def close(self) -> None:
        """Stops following; what is deployed stays."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def poll(self) -> bool:
        """Looks at the ledger once; returns whether the deployment was swapped.

        Versions that could not be loaded are tried again now and then.
        """
        with self._lock:
            try:
                routes = self._source(self.deployment.seq)
            except Exception as error:  # the ledger is somebody else's: keep serving, and say so once
                self._metrics.follow_errors.inc()
                if self.is_following:
                    _log.error("The ledger cannot be followed, the deployment stays as it is: %s", error)
                self.is_following, self.trouble = False, f"{type(error).__name__}: {error}"
                return False
            self.is_following, self.trouble = True, None
            self.has_followed = self.has_followed or routes is not None
            self._polls += 1
            if routes is None:
                if not self.deployment.is_known:
                    self.deployment = replace(self.deployment, is_known=True)
                if not self.deployment.troubles or self._polls % _POLLS_UNTIL_RETRY:
                    return False
                routes = list(self._wanted)
            self._wanted = routes
            self._loading(True)
            try:
                return self._swap(routes)
            finally:
                self._loading(False)

    def _swap(self, routes: Sequence[Route]) -> bool:
        self._expect(routes)
        old = self.deployment
        loaded = [version for route in old.routes.values() for _, version in route.versions]
        found: dict[str, LoadedRoute] = {}
        troubles: list[Trouble] = []
        for route in routes:
            new, failed = load_route(
                route, loaded=loaded, before=old.routes.get(route.model), load=self._load, policy=self._policy
            )
            troubles += failed
            if new is not None:
                found[route.model] = new
        self._metrics.load_failures.inc(len(troubles))
        self.deployment = Deployment(
            routes=found,
            wanted=frozenset(route.model for route in routes if route.champion is not None),
            troubles=tuple(troubles),
            is_known=True,
            seq=max([old.seq, *(route.seq for route in routes)]),
        )
        self._metrics.deployed(self.deployment)
        self._loaded(self.deployment)
        self._tell(old)
        has_changed = {m: _face(r) for m, r in found.items()} != {m: _face(r) for m, r in old.routes.items()}
        self._metrics.swaps.inc(int(has_changed))
        return has_changed

    def _tell(self, old: Deployment) -> None:
        """Logs what could not be loaded and was not known to be so before."""
        answering = {each.ledger: each.answers or "nothing" for each in self.deployment.diverged}
        for trouble in self.deployment.troubles:
            if trouble in old.troubles:
                continue
            if trouble.role == "champion":
                text = "The ledger says that %s is live, but %s answers: it cannot be loaded: %s"
                _log.error(text, trouble.ref, answering[trouble.ref], trouble.reason)
            else:
                _log.error("%s (%s) cannot be loaded: %s", trouble.ref, trouble.role, trouble.reason)

    def _run(self) -> None:
        while not self._is_closed:
            self.poll()
            self._wake.wait(self._poll_s)
            self._wake.clear()


def _face(route: LoadedRoute) -> tuple[object, ...]:
    versions = ((role, one.ref, one.package, one.serving) for role, one in route.versions)
    return (route.share, route.salt, *versions)
