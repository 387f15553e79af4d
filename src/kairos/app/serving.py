"""The model server of a project: what it loads, which rules it keeps, and where its predictions go."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kairos.app.capturing import capture_policy
from kairos.app.packages import open_allowed
from kairos.app.project import Project
from kairos.app.settings.serving import ServingSettings
from kairos.app.settings.values import CaptureMode, Pickles
from kairos.app.truths import truths_by
from kairos.clock import ReplayClock
from kairos.delivery.state import Live, Route
from kairos.errors import LedgerError
from kairos.models.package import Package
from kairos.models.signature import Signature
from kairos.monitor.latency import latency_limits
from kairos.serving.peers import NOBODY, Peers
from kairos.serving.ports import ModelPolicy
from kairos.serving.server import ModelServer
from kairos.store.counts import PARTS, Comparison, CountWriter, FailedLoad, Sheet, range_names
from kairos.store.durable import open_writer
from kairos.values import Digest

__all__ = ["make_server"]

_STRICTEST_FIRST: tuple[Pickles, ...] = (False, "signed", True)


def make_server(project: Project, *, peers: Peers = NOBODY, capture: CaptureMode | None = None) -> ModelServer:
    """Wires a server; its clock is the project's, so a replay's stands still until requests move it.

    Args:
        project: Whose models are served.
        peers: The other workers that answer at the same address.
        capture: What an answer waits for; ``None``: what the settings say. A replay waits for nothing.
    """
    wiring = _Wiring(project)
    is_durable = (capture or project.settings.capture) == "durable" and not isinstance(project.clock, ReplayClock)
    return ModelServer(
        wiring.routes,
        load=wiring.load,
        policy=wiring.policy,
        sink=open_writer(project.home / "predictions", f"server-{os.getpid()}", is_durable=is_durable, is_patient=True),
        counts=_LateCounts(project),
        limits=wiring.limits,
        clock=project.clock,
        seed=project.settings.seed,
        peers=peers,
    )


class _LateCounts:
    """Counts of this process, in a file that is opened by the first write that can: a full disk stops no server."""

    def __init__(self, project: Project) -> None:
        self._log, self._name, self._now = project.counts, f"server-{os.getpid()}", project.clock.now()
        self._opened: CountWriter | None = None

    def write(
        self,
        sheets: Sequence[Sheet],
        *,
        failed_loads: Sequence[FailedLoad] = (),
        now: datetime,
        has_ended: bool = False,
    ) -> None:
        """Replaces what was written before; raises ``StoreError`` while nothing can be written."""
        if self._opened is None:
            self._opened = self._log.writer(self._name, now=self._now)
        self._opened.write(sheets, failed_loads=failed_loads, now=now, has_ended=has_ended)

    def close(self) -> None:
        """Lets go of the file."""
        if self._opened is not None:
            self._opened.close()


class _Wiring:
    """What a server asks a project for; called from the server's own threads."""

    def __init__(self, project: Project) -> None:
        self._project = project
        project.settings  # noqa: B018 - read now, so that an error in it stops the start
        project.store  # noqa: B018

    def routes(self, after: int) -> list[Route] | None:
        """The routes as of the ledger's head, or ``None`` if it has not grown."""
        head = self._project.ledger.head()
        if head < after:  # another file has been put in its place, or a copy from before
            raise LedgerError("The ledger is shorter than it was.", given=f"{head} entries, {after} are followed")
        state = self._project.state()
        if state.seq == after and after > 0:
            return None
        return [replace(route, seq=state.seq) for route in state.routes()]

    def load(self, digest: Digest) -> Package:
        """Opens a package; a pickle in it only as the models that have it as a version allow."""
        known = self._project.settings.models
        owners = {
            model.model
            for model in self._project.state().models.values()
            if any(version.package == digest for version in model.versions.values())
        }
        allowed = {known[name].allow_pickle if name in known else False for name in owners} or {False}
        strictest = next(each for each in _STRICTEST_FIRST if each in allowed)
        return open_allowed(self._project, digest, strictest)

    def limits(self, comparison: Comparison) -> dict[str, int]:
        """What is too slow beside that champion, in microseconds, by its own past and as the settings say; ranges of
        values, in parts."""
        known = self._project.settings.models.get(comparison.model)
        if known is None:
            return {}
        stated = {rule.kind: rule.limit_us for rule in known.delivery.guards if rule.limit_us is not None}
        timeout_us = round(known.delivery.timeout.total_seconds() * 1e6)
        past = latency_limits(
            lambda: self._project.predictions, comparison.model, comparison.base, before=comparison.since
        )
        ranges = {
            name: round(end * PARTS)
            for rule in known.delivery.values
            if rule.range is not None
            for name, end in zip(range_names(rule.kind), rule.range, strict=True)
        }
        return {"timeouts": timeout_us, **past, **stated, **ranges}

    def policy(self, live: Live, signature: Signature) -> ModelPolicy:
        """What may leave and what may be kept of a version, as it was deployed.

        Of a version whose deployment tells nothing, what ``kairos.toml`` says; if that does not know the model either,
        nothing is kept. What ``kairos.toml`` no longer lets be kept is not kept again because an older version is back.
        """
        known = self._project.settings.models.get(live.ref.model)
        now = None if known is None else ServingSettings.of(known)
        then = now if live.serving is None else ServingSettings.from_plain(json.loads(live.serving))
        truths = truths_by(known, signature)
        if then is None:
            return ModelPolicy(truths=truths)
        capture = capture_policy(self._project, then.privacy, signature)
        if now is not None:
            capture = capture.narrowed(capture_policy(self._project, now.privacy, signature))
        tolerance = timedelta(0) if known is None else known.monitor.label_tolerance
        rules = () if known is None else known.delivery.events
        worth = () if known is None else known.delivery.values
        return ModelPolicy(
            guard=then.output,
            capture=capture,
            events=frozenset(rule.name for rule in rules),
            values=frozenset(rule.name for rule in worth),
            truths=truths,
            timeout=None if known is None else known.delivery.timeout,
            label_tolerance=tolerance,
        )
