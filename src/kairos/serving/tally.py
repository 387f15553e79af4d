"""Counts what two versions did on the same requests, for whoever decides about them: see ``count`` for what is counted.

What is counted of a request is settled before anybody knows how it went, or a count would be no evidence: one row of
it, drawn by its id, and of an entity each kind of bad event once.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

from kairos.clock import Clock
from kairos.delivery.state import Route
from kairos.errors import StoreError
from kairos.serving.deployment import Compared, Deployment, compared
from kairos.serving.event_body import EventBody
from kairos.serving.outcomes import Outcome, Outcomes, Request, each_row
from kairos.serving.ports import CountSink, LimitSource
from kairos.serving.recent import Asked, Recent
from kairos.store.counts import PARTS, Comparison, FailedLoad, Sheet, range_names

__all__ = ["FLUSH_S", "Nowhere", "Tally"]

_log = logging.getLogger("kairos.serving")

FLUSH_S = 1.0
"""The longest time for which a count is only in memory."""

_VALUE = "value:"
"""How the names of what is counted of values begin."""

_SCHEMA = ("InputRefused", "PackageError")
"""Errors that say that a version and the requests do not fit each other."""


class Nowhere:
    """A sink that keeps nothing."""

    def write(self, *args: object, **kwargs: object) -> None:
        """Keeps nothing."""

    def close(self) -> None:
        """Nothing to end."""


class Tally:
    """The counts of one server process; safe from several threads.

    Args:
        sink: Keeps them.
        limits: What is too slow, in microseconds by name, for each comparison; asked once, when it begins.
        clock: Tells the time.
        at_once: Whether each count is written before ``count`` returns, as a replay needs it.
    """

    def __init__(self, sink: CountSink, *, limits: LimitSource, clock: Clock, at_once: bool) -> None:
        self._sink, self._ask_limits, self._clock, self._at_once = sink, limits, clock, at_once
        self._lock = threading.Lock()  # protects what follows
        self._sheets: dict[Compared, Counter[str]] = {}
        self._limits: dict[Comparison, Mapping[str, int]] = {}
        self._slow: dict[Comparison, Mapping[str, int]] = {}
        """Of the limits those of time, in microseconds."""
        self._recent = Recent()
        self._failed: tuple[FailedLoad, ...] = ()
        self._is_told = True
        """Whether all counts are written."""
        self._is_failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_flushing, name="kairos-tally", daemon=True)
        self._thread.start()

    def expect(self, routes: Sequence[Route]) -> None:
        """Gets ready for routes that are about to be loaded, and writes them down: a version may kill its server."""
        expected = [each for route in routes for each in compared(route)]
        for each in expected:
            if each.comparison not in self._limits:
                limits = self._ask_limits(each.comparison)
                self._limits[each.comparison] = limits
                self._slow[each.comparison] = {k: v for k, v in limits.items() if not k.startswith(_VALUE)}
        with self._lock:
            for each in expected:
                self._sheets.setdefault(each, Counter())
            self._recent.expect({each.comparison for each in expected})
            self._is_told = False
        self.flush()

    def loaded(self, deployment: Deployment) -> None:
        """Notes what could not be loaded, for as long as that is so."""
        failed = tuple(
            FailedLoad(model=each.ref.model, version=each.ref.number, package=each.package, reason=each.reason)
            for each in deployment.troubles
        )
        with self._lock:
            self._is_told = self._is_told and failed == self._failed
            self._failed = failed
        self.flush()

    def count(self, request: Request, outcomes: Sequence[Outcomes]) -> None:
        """Counts the requests of clients, once all versions that will predict them have done so.

        For each comparison of its route and its present share:

        ========================  ==========================================================================
        ``requests``              requests; one row of each is looked at
        ``predicted``, ``paired`` of them, predicted by the test version, and by both
        ``asked.ARM``             of them, while both answer users: which version was asked first
        ``path``, ``aside``       predictions of the test version on a request's way, and after the answer
        ``pairs.KIND.ARM``        bad events that only this one of the two had
        ``asked.KIND.ARM``        bad events of the version that was asked first, while both answer users
        ``own.KIND``              bad events of the test version among ``predicted``
        ``path.KIND``             bad events among ``path``; ``aside.KIND`` those among ``aside``
        ``hard.KIND``             the test version gave NaN, or does not fit the request, and the base version is fine
        ========================  ==========================================================================

        ``ARM`` is ``base`` or ``test``. Kinds: ``errors``, ``impossible``, and the names of the limits. Of an entity,
        ``pairs.KIND`` and ``asked.KIND`` count the first bad event.
        """
        if not request.route.compared:
            return
        broken = (
            [outcome for outcome in each_row(outcomes) if _hard(outcome)] if any(map(_may_be_hard, outcomes)) else []
        )
        with self._lock:
            for span in request.spans:
                self._count_one(request, span, outcomes)
                if broken:
                    self._count_hard(request, span, broken, outcomes)
            self._is_told = False
        if self._at_once:
            self.flush()

    def _count_one(self, request: Request, span: range, outcomes: Sequence[Outcomes]) -> None:
        """Counts one row of one client's request, drawn by its id."""
        row = span.start + zlib.crc32(request.ids[span.start].encode()) % len(span)
        mine = [found for each in outcomes if (found := each.of_row(row)) is not None]
        for each in request.route.compared:
            sheet = self._sheets.setdefault(each, Counter())
            limits = self._slow.get(each.comparison, {})
            arm = self._count_row(sheet, each, limits, request.entities[row], mine)
            if arm is not None:
                self._recent.remember(Asked(each, arm, request.ids[row], request.entities[row]))

    def _count_hard(
        self, request: Request, span: range, broken: Sequence[Outcome], outcomes: Sequence[Outcomes]
    ) -> None:
        """Counts what needs no statistics, in any row: the test version broke on what the base version took."""
        mine = [outcome for outcome in broken if outcome.row in span]
        for each in request.route.compared:
            comparison = each.comparison
            kinds = {
                _hard(outcome)
                for outcome in mine
                if outcome.version.ref.number == comparison.test and _is_fine(comparison.base, outcome.row, outcomes)
            }
            for kind in kinds:
                self._sheets[each][f"hard.{kind}"] += 1

    def note(self, events: Sequence[EventBody]) -> tuple[int, list[int]]:
        """Counts events of users for the version that was asked on their behalf.

        Returns how many were counted, and the positions of those whose request this process has not looked at.

        ``asked.event:NAME.ARM`` is the number of entities, or of requests without one, to whom it happened at all. An
        event counts while both versions answer users, and if its request was looked at not too long ago. Of those with
        a value, the first of an entity or of such a request counts:

        ===========================  =======================================================================
        ``value:NAME.events.ARM``    how many they are
        ``value:NAME.total.ARM``     their sum in parts (``PARTS``), each of them kept in the range of its kind
        ``value:NAME.size.ARM``      the same without their signs
        ``value:NAME.squares.ARM``   the sum of their squares, in parts of parts
        ``value:NAME.clipped``       how many lay outside of the range
        ===========================  =======================================================================
        """
        counted, unknown = 0, []
        with self._lock:
            for row, event in enumerate(events):
                asked = self._recent.find(event)
                if asked is None:
                    unknown.append(row)
                    continue
                is_new = self._recent.is_first(asked, f"event:{event.name}")
                if is_new:
                    self._sheets[asked.compared][f"asked.event:{event.name}.{asked.arm}"] += 1
                kind = f"{_VALUE}{event.name}"
                if event.value is not None and self._recent.is_first(asked, kind):
                    is_new = True
                    self._count_value(asked.compared, kind, asked.arm, event.value)
                counted += is_new
            self._is_told = self._is_told and not counted
        if self._at_once:
            self.flush()
        return counted, unknown

    def flush(self, *, has_ended: bool = False) -> None:
        """Writes what is not written yet. If it cannot be kept, that is logged once and tried again."""
        with self._lock:
            if self._is_told and not has_ended:
                return
            sheets = [
                Sheet(
                    comparison=each.comparison,
                    share=each.share,
                    counts=dict(counts),
                    limits=self._limits.get(each.comparison, {}),
                )
                for each, counts in self._sheets.items()
            ]
            failed = self._failed
            self._is_told = True
        try:
            self._sink.write(sheets, failed_loads=failed, now=self._clock.now(), has_ended=has_ended)
            self._is_failing = False
        except StoreError as error:
            self._is_told = False
            if not self._is_failing:
                _log.error("What is on trial is not counted: %s", error)
            self._is_failing = True

    def close(self) -> None:
        """Writes everything down and says goodbye."""
        self._stop.set()
        self._thread.join()
        self.flush(has_ended=True)
        self._sink.close()

    def _keep_flushing(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self.flush()

    def _count_row(
        self,
        sheet: Counter[str],
        each: Compared,
        limits: Mapping[str, int],
        entity: str | None,
        outcomes: Sequence[Outcome],
    ) -> str | None:
        """Counts one row; returns which version was asked first, while both answer users."""
        comparison = each.comparison
        first = outcomes[0] if outcomes else None
        arms = {
            outcome.version.ref.number: outcome for outcome in reversed(outcomes)
        }  # of two by one version the first
        base, test = arms.get(comparison.base), arms.get(comparison.test)
        sheet["requests"] += 1
        if test is not None:
            sheet["predicted"] += 1
            way = "path" if test is first else "aside"
            sheet[way] += 1
            for kind in _bad(test):
                sheet[f"own.{kind}"] += 1
            for kind in _slow(test, limits):
                sheet[f"{way}.{kind}"] += 1
        if base is not None and test is not None:
            sheet["paired"] += 1
            for kind in _bad(test) ^ _bad(base):
                if self._recent.is_new(comparison, entity, f"pairs.{kind}"):
                    sheet[f"pairs.{kind}.{'test' if kind in _bad(test) else 'base'}"] += 1
        if not 0 < each.share < 1 or first is None or first not in (base, test):
            return None
        arm = "test" if first is test else "base"
        sheet[f"asked.{arm}"] += 1
        for kind in _bad(first) | _slow(first, limits):
            if self._recent.is_new(comparison, entity, f"asked.{kind}"):
                sheet[f"asked.{kind}.{arm}"] += 1
        return arm

    def _count_value(self, each: Compared, kind: str, arm: str, value: float) -> None:
        """Adds a value to the sums, in whole parts: so they are the same in whatever order values come."""
        limits, sheet, told = self._limits.get(each.comparison, {}), self._sheets[each], round(value * PARTS)
        lowest, highest = (limits.get(name, told) for name in range_names(kind))
        kept = min(max(told, lowest), highest)
        sheet[f"{kind}.events.{arm}"] += 1
        sheet[f"{kind}.total.{arm}"] += kept
        sheet[f"{kind}.size.{arm}"] += abs(kept)
        sheet[f"{kind}.squares.{arm}"] += kept * kept
        sheet[f"{kind}.clipped"] += kept != told


def _bad(outcome: Outcome) -> set[str]:
    """What is wrong with an outcome, speed aside. What the owner lets be clipped is mended before it leaves."""
    if outcome.error is not None or outcome.raw is None:
        return {"errors"}
    if outcome.violation is not None and outcome.action != "clip":
        return {"impossible"}
    return set()


def _slow(outcome: Outcome, limits: Mapping[str, int]) -> set[str]:
    return {name for name, limit_us in limits.items() if outcome.latency_us > limit_us}


def _may_be_hard(given: Outcomes) -> bool:
    return given.error in _SCHEMA or "not_finite" in given.violations


def _hard(outcome: Outcome) -> str | None:
    """What needs no statistics to be called bad, if the other version took the row."""
    if outcome.error in _SCHEMA:
        return "schema"
    return "not_finite" if outcome.violation == "not_finite" else None


def _is_fine(number: int, row: int, outcomes: Sequence[Outcomes]) -> bool:
    """Whether the version of that number has predicted the row and nothing is wrong with it."""
    found = (each.of_row(row) for each in outcomes if each.version.ref.number == number)
    return any(outcome is not None and not _bad(outcome) for outcome in found)
