"""One model server without its protocol: bytes of a request in, an answer and what is left to do out."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import get_args

from msgspec.structs import replace

from kairos.clock import Clock, ReplayClock
from kairos.errors import StoreError, Unavailable, UsageError
from kairos.serving.answering import answers_of, intake_of, named, only
from kairos.serving.asks import Answer, Ask, Given, not_captured, together
from kairos.serving.backlog import Backlog
from kairos.serving.body import read_json
from kairos.serving.capture import Capture, Recorder, settle, unkept
from kairos.serving.deployment import Role
from kairos.serving.event_body import read_events
from kairos.serving.follow import Follower
from kairos.serving.guarding import Guard
from kairos.serving.label_body import read_labels, refuse_untrue
from kairos.serving.label_kept import kept_labels
from kairos.serving.layers import Canary, Layer, Live, Named, Shadow, stack
from kairos.serving.metrics import ServerMetrics
from kairos.serving.outcomes import Outcomes, Reply, Request
from kairos.serving.peers import NOBODY, Peers
from kairos.serving.ports import CountSink, LimitSource, Loader, PolicySource, PredictionSink, RouteSource
from kairos.serving.protocols import Plain
from kairos.serving.rows import Answers, Codec, Rows, Written
from kairos.serving.sticky import prediction_id
from kairos.serving.tally import Nowhere, Tally
from kairos.values import parse_moment

__all__ = ["ModelServer"]

_PLAIN = Plain()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_CAPTURE_TROUBLE = "1 while predictions cannot be put on record."
_FOLLOWS_LEDGER = "0 while the ledger cannot be read."

MOST_WAITING = 1_000
"""Requests whose shadow predictions may wait; what comes on top is skipped and counted."""


class ModelServer:
    """Answers prediction requests with what the ledger says is live. Safe to call from several threads.

    Args:
        source: Routes from the ledger.
        load: Opens packages.
        policy: What may leave and what may be kept, for each model.
        sink: Takes predictions and labels.
        counts: Takes what versions on trial did; ``None``: nobody does, and nothing can be decided about them.
        limits: What is too slow, for each comparison.
        clock: Tells the time of a prediction. With a ``ReplayClock`` requests move it, ids repeat, and nothing is left
            for after the answer, so that a replay is the same each time.
        seed: Of the ids of a replay.
        peers: The other workers that answer at the same address.
    """

    def __init__(
        self,
        source: RouteSource,
        *,
        load: Loader,
        policy: PolicySource,
        sink: PredictionSink,
        counts: CountSink | None = None,
        limits: LimitSource = lambda comparison: {},
        clock: Clock,
        seed: int = 0,
        peers: Peers = NOBODY,
    ) -> None:
        self.clock = clock
        self.is_replay = isinstance(clock, ReplayClock)
        """Whether requests move the clock."""
        self.metrics = ServerMetrics()
        self._tally = Tally(counts or Nowhere(), limits=limits, clock=clock, at_once=self.is_replay)
        self.follower = Follower(
            source,
            load=load,
            policy=policy,
            metrics=self.metrics,
            expect=self._tally.expect,
            loaded=self._tally.loaded,
        )
        self.peers = peers
        self._seed = seed
        self._sink = sink
        self.metrics.watch("kairos_capture_trouble", _CAPTURE_TROUBLE, lambda: sink.trouble is not None)
        self.metrics.watch("kairos_follows_ledger", _FOLLOWS_LEDGER, lambda: self.follower.is_following)
        self.metrics.watch_workers(peers.places)
        self._recorder = Recorder(sink, on_loss=self.metrics.not_captured)
        self._unnamed = itertools.count()
        self._handle = stack(
            [
                lambda following: Capture(following, recorder=self._recorder),
                lambda following: Guard(following, clock=clock),
                Shadow,
                lambda following: Canary(following, clock=clock),
            ],
            Live(clock),
        )
        self._handle_named = {role: self._stack_of(role) for role in get_args(Role)}
        self._backlog = Backlog(self._settle, on_skip=self._skip, most_waiting=MOST_WAITING, clock=clock)

    def _stack_of(self, role: Role) -> Layer:
        """What a request goes through that names the version which is to answer."""
        return stack(
            [
                lambda following: Capture(following, recorder=self._recorder),
                lambda following: Guard(following, clock=self.clock),
            ],
            Named(self.clock, role),
        )

    def start(self) -> None:
        """Loads what is live, then follows the ledger."""
        self.follower.poll()
        self.follower.start()

    def close(self) -> None:
        """Finishes what is owed and stops following."""
        self.follower.close()
        self._backlog.close()
        self._tally.close()
        self._sink.close()

    @property
    def is_ready(self) -> bool:
        """Whether every live model is in memory and has predicted, and answers may leave."""
        deployment = self.follower.deployment
        if self.is_durable and self.sink_trouble is not None:  # each request would be refused
            return False
        return self.follower.has_followed and bool(deployment.wanted) and deployment.wanted <= deployment.routes.keys()

    @property
    def is_durable(self) -> bool:
        """Whether answers wait for the disk."""
        return self._sink.is_durable

    @property
    def sink_trouble(self) -> str | None:
        """Why predictions cannot be put on record at the moment; ``None``: nothing is known to be wrong."""
        return self._sink.trouble

    def move_clock(self, moment: str | None) -> None:
        """In a replay: moves the clock. Else nothing happens: nobody outside may tell a server the time.

        Raises:
            UsageError: the moment cannot be read, and this is a replay.
        """
        if moment is None or not isinstance(self.clock, ReplayClock):
            return
        try:
            self.clock.move_to(parse_moment(moment))
        except (UsageError, OverflowError):  # the year 1 in a zone is before any year in UTC
            raise UsageError(
                "The time in the header 'kairos-at' cannot be read.",
                given=repr(moment[:40]),
                accepted="an ISO date or time, as in '2012-03-03T14:00Z'",
                field="kairos-at",
            ) from None

    def predict(
        self,
        model: str,
        data: bytes,
        *,
        codec: Codec = _PLAIN,
        headers: Mapping[str, str] = _NO_HEADERS,
        version: int | None = None,
    ) -> Answer:
        """Answers one request.

        Args:
            model: Its name.
            data: The body, not compressed.
            codec: The protocol that it is written in.
            headers: Of the request, with names in lower case.
            version: The number of a loaded version that is to answer alone; ``None``: whoever the ledger says. It is
                logged in its role; nothing is compared with it, and no other version predicts the rows.

        Raises:
            NotFound: no such model is live, or no such version is loaded.
            UsageError: the request cannot be read, or does not fit the model.
            Unavailable: no version gave an answer that may leave.
        """
        ask = self.read(model, data, codec=codec, headers=headers, version=version)
        given = self.answer([ask])
        try:
            written = self.write(ask, given.ended()[0])
        except Unavailable:  # the others predict all the same, or only requests that went well would be compared
            if given.after is not None:
                given.after()
            raise
        return Answer(written=written, after=given.after)

    def read(
        self,
        model: str,
        data: bytes,
        *,
        codec: Codec = _PLAIN,
        headers: Mapping[str, str] = _NO_HEADERS,
        version: int | None = None,
    ) -> Ask:
        """Reads one request; takes the arguments of ``predict`` and raises what that does, but for ``Unavailable``."""
        start_s = self.clock.elapsed_s()
        route, role = self.follower.deployment.route(model), None
        try:
            if version is not None:
                role, chosen = named(route, version)
                route = only(route, chosen)
            rows = codec.decode(headers, data, intake_of(route.champion))
        except Exception as error:
            status = getattr(error, "http_status", 500)
            self.metrics.request(model, status, self.clock.elapsed_s() - start_s)
            raise
        return Ask(route=route, role=role, rows=rows, codec=codec, start_s=start_s)

    def answer(self, asks: Sequence[Ask]) -> Given:
        """Answers asks that go with each other, in one call of the model; all of it is on record before this returns.

        Args:
            asks: At least one.
        """
        first = asks[0]
        ids = [self._ids(first.route.model, ask.rows) for ask in asks]
        request = together(asks, ids, at=self.clock.now())
        handle = self._handle if first.role is None else self._handle_named[first.role]
        reply = handle(request, range(len(request.ids)))
        answers: Sequence[Answers | Unavailable]
        if reply.captured or not self._sink.is_durable:
            answers = answers_of(request, reply)
        else:
            answers = [not_captured() for _ in asks]
            reply = replace(reply, outcomes=unkept(reply.outcomes))
        if reply.commit is None:
            self.metrics.outcomes(request, reply.outcomes)
        return Given(
            answers=answers,
            after=self._rest_of(request, reply),
            slowest_us=reply.slowest_us,
            commit=reply.commit,
            settle=None if reply.commit is None else partial(self._committed, request, reply.outcomes),
        )

    def _committed(self, request: Request, outcomes: Sequence[Outcomes], error: StoreError | None) -> None:
        """Counts outcomes whose commit has ended."""
        if error is not None:
            outcomes = unkept(outcomes)
            self._recorder.lost(outcomes)
        self.metrics.outcomes(request, outcomes)

    def write(self, ask: Ask, answers: Answers | Unavailable) -> Written:
        """Writes an answer as its client reads it.

        Raises:
            Unavailable: that is the answer.
        """
        status = 500
        try:
            if isinstance(answers, Unavailable):
                status = answers.http_status
                raise answers
            written = ask.codec.encode(ask.rows, answers)
            status = written.status
        finally:
            self.metrics.request(ask.route.model, status, self.clock.elapsed_s() - ask.start_s)
        return written

    def lost(self, ask: Ask, error: Exception) -> None:
        """Counts a request that was read and is not answered: too many wait, it took too long, or a fault of ours."""
        status = getattr(error, "http_status", 500)
        self.metrics.request(ask.route.model, status, self.clock.elapsed_s() - ask.start_s)

    def _rest_of(self, request: Request, reply: Reply) -> Callable[[], None] | None:
        """What is left to do once a request is answered; in a replay, and if nobody owes anything, it is done now."""
        if not reply.owed:
            self._tally.count(request, reply.outcomes)
            return None
        if self.is_replay:
            self._settle(request, reply)
            return None
        return lambda: self._backlog.add(request, reply)

    def take_labels(self, data: bytes) -> int:
        """Keeps late truths and returns how many.

        Which predictions a label by entity and time is about is found when the log is read.

        Raises:
            UsageError: the request is not JSON, or a label is malformed or cannot be true; none was kept.
            NotFound: no version of the model that a label names is live; none was kept.
            StoreError: they could not be kept; none was.
        """
        now, found = self.clock.now(), read_labels(read_json(data))
        deployment = self.follower.deployment
        by_id, by_entity = kept_labels(found, deployment, at=now)
        refuse_untrue(found, deployment.truths, is_all=deployment.wanted <= deployment.routes.keys())
        self._sink.append_labels(by_id)
        self._sink.append_entity_labels(by_entity)
        self.metrics.labels.inc(len(found))
        return len(found)

    def take_events(self, data: bytes, *, is_from_peer: bool = False) -> tuple[int, int, list[int]]:
        """Counts what happened to users, here or where their requests were looked at.

        Args:
            data: The body.
            is_from_peer: Whether another worker asks, which will ask the others itself.

        Returns:
            How many events came, how many counted for what is on trial, and the positions of those of users whom this
            worker has not met.

        Raises:
            UsageError: the request is not JSON, or an event is malformed, or none that is counted; none was.
        """
        policies = [route.champion.policy for route in self.follower.deployment.routes.values()]
        known = frozenset[str]().union(*(policy.events for policy in policies))
        valued = frozenset[str]().union(*(policy.values for policy in policies))
        body = read_json(data)
        events = read_events(body, known=known, valued=valued)
        counted, unknown = self._tally.note(events)
        if unknown and self.peers and not is_from_peer:
            counted += self.peers.note([body["events"][row] for row in unknown])
        return len(events), counted, unknown

    def _ids(self, model: str, rows: Rows) -> list[str]:
        if not self.is_replay:
            digits = secrets.token_bytes(16 * rows.count).hex(" ", 16)
            return f"p{digits}".replace(" ", " p").split(" ")
        name = rows.request_id if rows.request_id is not None else f"#{next(self._unnamed)}"
        names = [name] if rows.count == 1 else [f"{name}/{row}" for row in range(rows.count)]
        return [prediction_id(str(self._seed), model, each) for each in names]

    def _settle(self, request: Request, reply: Reply) -> None:
        done = list(reply.outcomes)
        for debt in reply.owed:
            outcomes = settle(request, debt, clock=self.clock, recorder=self._recorder)
            self.metrics.outcomes(request, outcomes)
            self.metrics.shadow(request.route.model, len(debt.rows), done=True)
            done += outcomes
        self._tally.count(request, done)

    def _skip(self, request: Request, reply: Reply) -> None:
        self.metrics.shadow(request.route.model, sum(len(debt.rows) for debt in reply.owed), done=False)
        self._tally.count(request, reply.outcomes)
