"""What the server counts, for Prometheus. Only counts and sums: they add up over instances and time.

Workers of one server count into files that they map into memory, in the folder ``PROMETHEUS_MULTIPROC_DIR``; whichever
is asked gives the sums, with what workers that died had counted.
"""

from __future__ import annotations

import os
from collections import Counter as Tallied
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from kairos.serving.deployment import Deployment
from kairos.serving.outcomes import Outcomes, Request
from kairos.serving.roster import Place, State
from kairos.serving.workers import COUNTS_FOLDER

__all__ = ["CUT_OFF_REASONS", "ServerMetrics"]

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


CUT_OFF_REASONS = ("crowded", "flood", "malformed", "slow")
"""Too many at once; too much that asks for nothing; not HTTP, or too large a head; too slow in sending or reading."""


class ServerMetrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "kairos_requests", "Prediction requests by HTTP status.", ["model", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "kairos_request_seconds",
            "Time from a whole request to its answer.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._predictions = Counter(
            "kairos_predictions",
            "Rows predicted; answered says whether the user got it.",
            ["model", "version", "role", "answered"],
            registry=self.registry,
        )
        self._violations = Counter(
            "kairos_violations",
            "Outputs outside the model's range, and what was done.",
            ["model", "version", "violation", "action"],
            registry=self.registry,
        )
        self._errors = Counter(
            "kairos_version_errors",
            "Rows that a version failed on.",
            ["model", "version", "error"],
            registry=self.registry,
        )
        self._shadow = Counter(
            "kairos_shadow_rows",
            "Rows owed by versions that did not answer: done, or skipped because too many waited.",
            ["model", "state"],
            registry=self.registry,
        )
        self._not_captured = Counter(
            "kairos_not_captured",
            "Rows predicted that could not be written to the log.",
            ["answered"],
            registry=self.registry,
        )
        for answered in ("false", "true"):
            self._not_captured.labels(answered)  # so that 0 is shown
        self._cut_off = Counter(
            "kairos_clients_cut_off",
            "Connections and requests that were ended or turned away because of what the client did, or how many came.",
            ["reason"],
            registry=self.registry,
        )
        for reason in CUT_OFF_REASONS:
            self._cut_off.labels(reason)
        self.labels = Counter("kairos_labels", "Labels that arrived.", registry=self.registry)
        self.swaps = Counter("kairos_swaps", "Changes of what is deployed.", registry=self.registry)
        self.load_failures = Counter(
            "kairos_load_failures", "Packages that could not be loaded.", registry=self.registry
        )
        self.follow_errors = Counter(
            "kairos_follow_errors", "Times the ledger could not be read.", registry=self.registry
        )
        self._deployment: Deployment | None = None
        self._watched: list[tuple[str, str, Callable[[], bool]]] = []
        self._places: Callable[[], Sequence[Place]] = tuple
        self._series: dict[tuple[object, tuple[str, ...]], Any] = {}

    def request(self, model: str, status: int, seconds: float) -> None:
        """Counts one prediction request; ``model`` has to be a known one, so that strangers add no series."""
        self._of(self._requests, model, str(status)).inc()
        self._of(self._seconds, model).observe(seconds)

    def outcomes(self, request: Request, outcomes: Sequence[Outcomes]) -> None:
        """Counts what versions gave."""
        model = request.route.model
        for each in outcomes:
            number = str(each.version.ref.number)
            for answered, count in Tallied(each.answered).items():
                self._of(self._predictions, model, number, each.role, _word(answered)).inc(count)
            if each.error is not None:
                self._of(self._errors, model, number, each.error).inc(len(each))
            elif each.violations.count(None) < len(each):
                for violation, action in zip(each.violations, each.actions, strict=True):
                    if violation is not None:
                        self._of(self._violations, model, number, violation, action or "none").inc()

    def cut_off(self, reason: str) -> None:
        """Counts a client that was not served to the end; one of ``CUT_OFF_REASONS``."""
        self._of(self._cut_off, reason).inc()

    def _of(self, metric: Any, *labels: str) -> Any:
        """The series of these labels; it is looked up in the library once."""
        known = self._series.get((metric, labels))
        if known is None:
            known = self._series[metric, labels] = metric.labels(*labels)
        return known

    def not_captured(self, outcomes: Sequence[Outcomes]) -> None:
        """Counts what is in no log."""
        for each in outcomes:
            for answered, count in Tallied(each.answered).items():
                self._not_captured.labels(_word(answered)).inc(count)

    def shadow(self, model: str, rows: int, *, done: bool) -> None:
        """Counts owed rows that were predicted, or skipped."""
        self._shadow.labels(model, "done" if done else "skipped").inc(rows)

    def deployed(self, deployment: Deployment) -> None:
        """Shows what is deployed."""
        self._deployment = deployment

    def watch(self, name: str, meaning: str, is_so: Callable[[], bool]) -> None:
        """Shows 1 under that name as long as it is so, else 0."""
        self._watched.append((name, meaning, is_so))

    def watch_workers(self, places: Callable[[], Sequence[Place]]) -> None:
        """Shows who of several workers answers."""
        self._places = places

    def text(self) -> str:
        """All of it in Prometheus' text format; the same counts give the same text, whichever came first."""
        counted: Collector = self.registry
        if folder := os.environ.get(COUNTS_FOLDER):
            counted = MultiProcessCollector(CollectorRegistry(), path=folder)  # type: ignore[no-untyped-call]
        shown = _Sorted(counted, _Deployed(self._deployment), _Watched(self._watched), _Workers(self._places()))
        return generate_latest(shown).decode()


class _Deployed(Collector):
    """What this process has deployed."""

    def __init__(self, deployment: Deployment | None) -> None:
        self._deployment = deployment

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        seq = GaugeMetricFamily("kairos_followed_seq", "The ledger entry that is followed.")
        live = GaugeMetricFamily("kairos_live_version", "Number of the version in each role.", labels=["model", "role"])
        diverged = GaugeMetricFamily(
            "kairos_champion_diverged",
            "1 while another version answers than the ledger says is live.",
            labels=["model"],
        )
        found = self._deployment
        seq.add_metric([], 0 if found is None else found.seq)
        if found is not None:
            for route in found.routes.values():
                for role, version in route.versions:
                    live.add_metric([route.model, role], version.ref.number)
            elsewhere = {each.model for each in found.diverged}
            for model in found.wanted:
                diverged.add_metric([model], int(model in elsewhere))
        yield from (seq, live, diverged)


class _Watched(Collector):
    """What is so at this moment in this process, or not."""

    def __init__(self, watched: Sequence[tuple[str, str, Callable[[], bool]]]) -> None:
        self._watched = watched

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        for name, meaning, is_so in self._watched:
            gauge = GaugeMetricFamily(name, meaning)
            gauge.add_metric([], int(is_so()))
            yield gauge


class _Workers(Collector):
    """Who of several workers answers; nothing where there is one alone."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        if not self._places:
            return
        workers = GaugeMetricFamily("kairos_workers", "Workers by state.", labels=["state"])
        for state in get_args(State):
            workers.add_metric([state], sum(place.state == state for place in self._places))
        restarts = CounterMetricFamily("kairos_worker_restarts", "Times that a worker took the place of another.")
        restarts.add_metric([], sum(place.restarts for place in self._places))
        yield from (workers, restarts)


class _Sorted(Collector):
    """What collectors have, sorted by labels, without the times at which series were made."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        """The metrics, in the order of their declaration, or by name where that is not known."""
        for metric in (metric for collector in self._collectors for metric in collector.collect()):
            metric.samples = sorted((s for s in metric.samples if not s.name.endswith("_created")), key=_labels)
            yield metric


def _labels(sample: Sample) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in sample.labels.items() if name != "le")  # buckets stay as they are


def _word(answered: bool) -> str:
    return "true" if answered else "false"
