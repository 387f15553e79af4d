"""What the server counts of versions on trial: by request, once per entity, and nothing that an answer waits for."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kairos.clock import ReplayClock
from kairos.errors import StoreError
from kairos.serving.guard import OutputGuard
from kairos.serving.sticky import is_in_share
from kairos.serving.tally import FLUSH_S
from kairos.store.counts import Comparison, CountLog, FailedLoad, Sheet, merged
from tests.serving.toys import Columns, Registry, Rule, Served, adds, fails, gives, route, serving

SINCE = datetime(2012, 1, 1, tzinfo=UTC)
COMPARISON = Comparison(model="demand", base=1, test=2, since=SINCE)
SHADOW: dict[str, Any] = {"challenger": 2, "stage": "shadow", "trial_since": SINCE}
CANARY: dict[str, Any] = {"challenger": 2, "stage": "canary", "share": 0.5, "trial_since": SINCE}


@contextmanager
def counting(folder: Path, registry: Registry, **options: Any) -> Iterator[Served]:
    """A server in a replay, which writes each count at once."""
    counts = CountLog(folder / "counts").writer("toy", now=SINCE)
    with serving(registry, folder / "log", clock=ReplayClock(SINCE), counts=counts, **options) as served:
        yield served


def counted(folder: Path, comparison: Comparison = COMPARISON) -> dict[float, dict[str, int]]:
    """What is written by now, without what is zero."""
    found = merged(CountLog(folder / "counts").processes(), comparison)
    return {share: {name: n for name, n in counts.items() if n} for share, counts in found.items()}


def mine(entity: str) -> bool:
    """Whether the challenger answers that entity."""
    return is_in_share("salt", entity, 0.5)


def broken(rule: Rule, registry: Registry) -> Registry:
    """The same, with a challenger that behaves so once it is warm."""
    calls = iter([True])
    fine = registry.rules[2]
    registry.rules[2] = lambda columns: fine(columns) if next(calls, False) else rule(columns)
    return registry


def test_in_shadow_both_predict_and_nobody_is_asked_first(tmp_path: Path) -> None:
    """Requests are pairs; the challenger predicts aside."""
    with counting(tmp_path, Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW))) as served:
        for _ in range(7):
            served.predict()
        found = counted(tmp_path)
    assert found == {0.0: {"requests": 7, "predicted": 7, "paired": 7, "aside": 7}}


def test_in_canary_the_version_that_was_asked_first_is_counted(tmp_path: Path) -> None:
    """Half of the entities are the challenger's; both versions predict all."""
    entities = [f"u{n}" for n in range(40)]
    with counting(tmp_path, Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY))) as served:
        for entity in entities:
            served.predict(entity=entity)
        found = counted(tmp_path)[0.5]
    own = sum(map(mine, entities))
    assert (found["asked.test"], found["asked.base"]) == (own, 40 - own)
    assert (found["path"], found["aside"], found["paired"]) == (own, 40 - own, 40)


def test_without_a_trial_nothing_is_counted(tmp_path: Path) -> None:
    """A champion alone costs nothing."""
    with counting(tmp_path, Registry({1: adds(1)}, route(1))) as served:
        served.predict()
        assert CountLog(tmp_path / "counts").processes()[0].sheets == ()


def test_a_failing_challenger_is_counted_by_pairs_and_by_shares(tmp_path: Path) -> None:
    """The champion saves every request; what counts is who was asked first, and who failed."""
    registry = broken(fails, Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY)))
    entities = [f"u{n}" for n in range(40)]
    with counting(tmp_path, registry) as served:
        assert {served.predict(entity=entity)["version"] for entity in entities} == {1}
        found = counted(tmp_path)[0.5]
    own = sum(map(mine, entities))
    assert (found["pairs.errors.test"], found["asked.errors.test"], found["own.errors"]) == (40, own, 40)
    assert "pairs.errors.base" not in found
    assert "hard.schema" not in found, "an error of the model's own is left to the statistics"


def test_an_entity_counts_once_and_what_names_nobody_counts_each_time(tmp_path: Path) -> None:
    """A busy entity that always meets the same version says nothing new the second time."""
    registry = broken(fails, Registry({1: adds(1), 2: adds(2)}, route(1, **CANARY)))
    with counting(tmp_path, registry) as served:
        for _ in range(5):
            for entity in ("ann", "bob", None):
                served.predict(entity=entity)
        found = counted(tmp_path)[0.5]
    assert found["pairs.errors.test"] == 2 + 5
    assert found["own.errors"] == found["requests"] == 15, "a rate is one of requests"


def test_of_a_batch_one_row_counts(tmp_path: Path) -> None:
    """A model fails on all rows of a call at once: that is one event, and one request."""
    registry = broken(fails, Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW)))
    with counting(tmp_path, registry) as served:
        rows = [{"temperature": 20.5, "station": f"u{n}"} for n in range(100)]
        assert served.client.post("/predict/demand", json=rows).status_code == 200
        assert counted(tmp_path)[0.0] == {
            "requests": 1, "predicted": 1, "paired": 1, "aside": 1, "pairs.errors.test": 1, "own.errors": 1,
        }  # fmt: skip


def test_what_both_do_alike_is_no_pair_and_what_is_clipped_is_fine(tmp_path: Path) -> None:
    """Both give an impossible value on the same requests; a value that its owner lets be mended is none."""
    for action, expected in (("flag", {"own.impossible": 3}), ("clip", {})):
        folder, guard = tmp_path / action, OutputGuard(lower=0.0, on_violation=action)  # type: ignore[arg-type]
        with counting(folder, Registry({1: gives(-1.0), 2: gives(-2.0)}, route(1, **SHADOW)), guard=guard) as served:
            for _ in range(3):
                served.predict()
            found = counted(folder)[0.0]
        usual = {"requests": 3, "predicted": 3, "paired": 3, "aside": 3}
        assert found == usual | expected


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (lambda columns: columns["temperature"] * math.nan, "not_finite"),
        (lambda columns: "nonsense", "schema"),
        (lambda columns: np.zeros(7), "schema"),
    ],
)
def test_what_needs_no_statistics_is_told_apart(tmp_path: Path, rule: Rule, kind: str) -> None:
    """NaN, or no number a row, where the champion gave a good one; in any row of a batch."""
    registry = broken(rule, Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW)))
    with counting(tmp_path, registry) as served:
        assert served.client.post("/predict/demand", json=[{"temperature": 1.5}] * 3).status_code == 200
        assert counted(tmp_path)[0.0][f"hard.{kind}"] == 1


def test_what_breaks_both_is_not_the_challengers_fault(tmp_path: Path) -> None:
    """A request on which the champion gives NaN too is hard for both; nothing leaves, and both are compared on it."""
    nan: Rule = lambda columns: columns["temperature"] * math.nan  # noqa: E731
    registry = Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW))
    with counting(tmp_path, registry) as served:
        deployed = served.server.follower.deployment.route("demand")
        for version in (deployed.champion, deployed.challenger):
            assert version is not None
            version.runner.rule = nan  # type: ignore[attr-defined]
        assert served.client.post("/predict/demand", json={"temperature": 1.5}).status_code == 503
        assert counted(tmp_path)[0.0] == {"requests": 1, "predicted": 1, "paired": 1, "aside": 1, "own.impossible": 1}


def slow(by_s: float) -> Rule:
    """A model that takes its time."""

    def rule(columns: Columns) -> Any:
        time.sleep(by_s)
        return columns["temperature"]

    return rule


def test_slowness_is_counted_on_the_way_and_aside(tmp_path: Path) -> None:
    """Against each limit; the way of a request and another thread are told apart."""
    counts, entities = CountLog(tmp_path / "counts").writer("toy", now=SINCE), [f"u{n}" for n in range(8)]
    registry = Registry({1: adds(1), 2: slow(0.02)}, route(1, **CANARY))
    limits = {"slow_p95": 10_000, "timeouts": 10_000_000}
    with serving(registry, tmp_path / "log", counts=counts, limits=limits) as served:
        for entity in entities:
            served.predict(entity=entity)
    found, own = counted(tmp_path)[0.5], sum(map(mine, entities))
    assert 0 < own < 8
    assert (found["path.slow_p95"], found["asked.slow_p95.test"], found["aside.slow_p95"]) == (own, own, 8 - own)
    assert not [name for name in found if "timeouts" in name or name.endswith("slow_p95.base")]
    [sheet] = CountLog(tmp_path / "counts").processes()[0].sheets
    assert sheet.limits == limits


def test_a_bake_goes_on_with_the_counts_of_the_trial(tmp_path: Path) -> None:
    """The new champion answers all; the former one predicts beside it, in the same comparison."""
    bake = route(2, previous=1, bake_since=SINCE)
    with counting(tmp_path, Registry({1: adds(1), 2: adds(2)}, bake)) as served:
        for _ in range(3):
            served.predict()
        assert counted(tmp_path) == {1.0: {"requests": 3, "predicted": 3, "paired": 3, "path": 3}}


def test_what_cannot_be_loaded_is_told_for_as_long_as_that_is_so(tmp_path: Path) -> None:
    """Version 9 is damaged; the next entry of the ledger ends it."""
    registry = Registry({1: adds(1)}, route(1, challenger=9, stage="shadow", trial_since=SINCE))
    log = CountLog(tmp_path / "counts")
    with counting(tmp_path, registry) as served:
        [failed] = log.processes()[0].failed_loads
        assert (failed.model, failed.version, failed.package) == ("demand", 9, f"{9:032x}")
        assert "The package is damaged." in failed.reason
        registry.routes = [route(1, seq=2)]
        served.server.follower.poll()
        assert log.processes()[0].failed_loads == ()


def test_a_version_is_on_record_before_it_is_loaded(tmp_path: Path) -> None:
    """If loading it kills the process, its file still says what was being loaded."""
    log = CountLog(tmp_path / "counts")
    seen: list[Sequence[Sheet]] = []

    class Watched(Registry):
        def load(self, digest: Any) -> Any:
            if int(digest, 16) == 2:
                seen.append(log.processes()[0].sheets)
            return super().load(digest)

    with counting(tmp_path, Watched({1: adds(1), 2: adds(2)}, route(1, **SHADOW))):
        assert [sheet.comparison for sheet in seen[0]] == [COMPARISON]


@dataclass
class Sink:
    """A sink that can be full, and remembers."""

    is_full: bool = False
    totals: list[tuple[int, bool]] = field(default_factory=list)

    def write(
        self,
        sheets: Sequence[Sheet],
        *,
        failed_loads: Sequence[FailedLoad] = (),
        now: datetime,
        has_ended: bool = False,
    ) -> None:
        """Remembers how many requests there were."""
        if self.is_full:
            raise StoreError("The disk is full.")
        self.totals.append((sum(sheet.counts.get("requests", 0) for sheet in sheets), has_ended))

    def close(self) -> None:
        """Nothing to end."""


def test_counts_are_written_every_second_and_at_the_end(tmp_path: Path) -> None:
    """Not with each request: an answer waits for no count."""
    sink = Sink()
    with serving(Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW)), tmp_path, counts=sink) as served:
        for _ in range(20):
            served.predict()
        until = time.monotonic() + 10 * FLUSH_S
        while sink.totals[-1][0] < 20 and time.monotonic() < until:
            time.sleep(0.01)
        writes = len(sink.totals)
        assert sink.totals[-1] == (20, False)
    assert writes < 20
    assert sink.totals[-1] == (20, True)


def test_counts_that_cannot_be_kept_cost_no_answer_and_are_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once; the totals are written as soon as they can be."""
    sink = Sink()
    registry = Registry({1: adds(1), 2: adds(2)}, route(1, **SHADOW))
    with serving(registry, tmp_path, clock=ReplayClock(SINCE), counts=sink) as served:
        sink.is_full = True
        with caplog.at_level(logging.ERROR, "kairos.serving"):
            assert [served.predict()["version"] for _ in range(3)] == [1, 1, 1]
        sink.is_full = False
        served.predict()
        assert sink.totals[-1] == (4, False)
    assert [record.message for record in caplog.records] == ["What is on trial is not counted: The disk is full."]
