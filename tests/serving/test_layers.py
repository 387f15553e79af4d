"""Live, shadow and canary, the guard, and the rescue by other versions, as users and the log see them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kairos.clock import ReplayClock
from kairos.models.signature import Column, OutputSpec, Signature
from kairos.privacy.capture import CapturePolicy
from kairos.serving.faults import QUIET_S
from kairos.serving.guard import GuardAction, OutputGuard
from kairos.serving.layers import Shadow, stack
from kairos.serving.outcomes import Reply, Request
from kairos.serving.sticky import is_in_share
from kairos.store.predictions import Prediction, PredictionLog
from kairos.store.records import DROPPED
from kairos.values import Window
from tests.serving.toys import (
    FullDisk,
    NowAndThenFull,
    Registry,
    Rule,
    ToySpec,
    adds,
    fails,
    gives,
    live,
    route,
    serving,
)

CANARY: dict[str, Any] = {"challenger": 2, "stage": "canary"}
EVER = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
NUMBERS = st.sampled_from([0.0, -1.0, 5.0, 10.0, 11.0, 1e300, math.nan, math.inf, -math.inf])


def faces(rows: Sequence[Prediction]) -> list[tuple[str, int, bool, float | None, float | None]]:
    """The parts of log rows that say who did what."""
    return [(row.role, row.version, row.answered, row.raw, row.output) for row in rows]


def test_the_champion_answers_and_is_on_record(tmp_path: Path) -> None:
    """Without a challenger there is one row: id, inputs, routing key, output."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path) as served:
        answer = served.predict(20.5, entity="ann")
        (row,) = served.rows(answer)
    assert (row.id, row.version, row.role, row.answered) == (answer["prediction_id"], 1, "champion", True)
    assert (row.raw, row.output, row.key, row.share) == (1020.5, 1020.5, "ann", 0.0)
    assert row.inputs == {"temperature": 20.5, "hour": None, "weather": None, "holiday": None, "note": None}
    assert row.error is row.violation is row.action is None


def test_by_default_nothing_of_a_user_is_kept(tmp_path: Path) -> None:
    """A model without a policy has its outputs on record, and neither inputs nor whom they were about."""
    nothing = CapturePolicy(keep=frozenset(), entity="drop")
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path, capture=nothing) as served:
        (row,) = served.rows(served.predict(20.5, entity="ann"))
        (nobody,) = served.rows(served.predict(20.5))
    assert (row.inputs, row.key, row.output) == ({}, DROPPED, 1020.5)
    assert nobody.key is None, "that there was somebody is told, for the split of users"


def test_a_shadow_predicts_everything_and_answers_nothing(tmp_path: Path) -> None:
    """In shadow the champion answers; the challenger's prediction of the same id follows in the log."""
    with serving(Registry({1: adds(1000), 2: adds(2000)}, route(1, challenger=2, stage="shadow")), tmp_path) as served:
        answers = [served.predict(float(n)) for n in range(20)]
    assert [(a["prediction"], a["version"]) for a in answers] == [(1000.0 + n, 1) for n in range(20)]
    for n, answer in enumerate(answers):
        assert faces(served.rows(answer)) == [
            ("challenger", 2, False, 2000.0 + n, 2000.0 + n),
            ("champion", 1, True, 1000.0 + n, 1000.0 + n),
        ]


@pytest.mark.parametrize("rule", [fails, lambda columns: columns["temperature"] * math.nan, lambda columns: "nonsense"])
def test_a_broken_shadow_never_touches_the_answer(tmp_path: Path, rule: Rule) -> None:
    """The challenger fails, and the user sees nothing of it; the log and the metrics do."""
    registry = Registry({1: adds(1000), 2: adds(0)}, route(1, challenger=2, stage="shadow"))
    with serving(registry, tmp_path) as served:
        challenger = served.server.follower.deployment.route("demand").challenger
        assert challenger is not None
        challenger.runner.rule = rule  # type: ignore[attr-defined]
        answers = [served.predict(20.5) for _ in range(3)]
        metrics = served.client.get("/metrics").text
    assert {answer["prediction"] for answer in answers} == {1020.5}
    assert all("guard" not in answer for answer in answers)
    for answer in answers:
        broken, fine = served.rows(answer)
        assert (broken.output, broken.answered, fine.output, fine.answered) == (None, False, 1020.5, True)
        assert broken.error in ("RuntimeError", "PackageError") or broken.violation == "not_finite"
    assert 'kairos_predictions_total{answered="true",model="demand",role="champion",version="1"} 3.0' in metrics


def test_a_canary_answers_its_share_of_entities_and_sticks(tmp_path: Path) -> None:
    """An entity meets the same version every time, whatever she asks; the share is that of ``is_in_share``."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1, **CANARY, share=0.3))
    with serving(registry, tmp_path) as served:
        for entity in (f"user-{n}" for n in range(60)):
            versions = {served.predict(temperature, entity)["version"] for temperature in (1.0, 2.0)}
            assert versions == ({2} if is_in_share("salt", entity, 0.3) else {1})
        answer = served.predict(1.0, "user-1")
    assert {row.version for row in served.rows(answer)} == {1, 2}, "both arms predict every row"
    assert sum(row.answered for row in served.rows(answer)) == 1
    assert {row.share for row in served.rows(answer)} == {0.3}


def test_rows_of_one_request_are_routed_one_by_one(tmp_path: Path) -> None:
    """A list about several entities is answered by several versions, in the order of the rows."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1, **CANARY, share=0.5))
    rows = [{"temperature": float(n), "station": n} for n in range(100)]
    with serving(registry, tmp_path) as served:
        answers = served.client.post("/predict/demand", json=rows).json()["predictions"]
    for n, answer in enumerate(answers):
        version = 2 if is_in_share("salt", str(n), 0.5) else 1
        assert (answer["version"], answer["prediction"]) == (version, version * 1000.0 + n)
    assert {answer["version"] for answer in answers} == {1, 2}


def test_without_an_entity_the_request_id_routes(tmp_path: Path) -> None:
    """A request that is sent again with its id meets the same version."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1, **CANARY, share=0.5))
    with serving(registry, tmp_path) as served:
        for name in (f"order-{n}" for n in range(30)):
            body = {"inputs": {"temperature": 1}, "id": name}
            versions = {served.client.post("/predict/demand", json=body).json()["version"] for _ in range(2)}
            assert versions == ({2} if is_in_share("salt", name, 0.5) else {1})


def test_the_previous_version_stays_beside_a_new_champion(tmp_path: Path) -> None:
    """While a champion bakes, the one before predicts every request too, for comparison and for rescue."""
    with serving(Registry({1: adds(1000), 2: adds(2000)}, route(2, previous=1)), tmp_path) as served:
        answer = served.predict(1.0)
    assert faces(served.rows(answer)) == [
        ("champion", 2, True, 2001.0, 2001.0),
        ("previous", 1, False, 1001.0, 1001.0),
    ]


@pytest.mark.parametrize(
    ("action", "status", "output"), [("clip", 200, 0.0), ("flag", 200, -5.0), ("refuse", 503, None)]
)
def test_the_guard_acts_and_says_so(tmp_path: Path, action: GuardAction, status: int, output: float | None) -> None:
    """A value out of range is clipped, passed on with a flag, or refused; the log keeps the model's own value."""
    guard = OutputGuard(lower=0.0, on_violation=action)
    with serving(Registry({1: gives(-5.0)}, route(1)), tmp_path, guard=guard) as served:
        response = served.client.post("/predict/demand", json={"temperature": 1})
        metrics = served.client.get("/metrics").text
    assert response.status_code == status
    violation = f'kairos_violations_total{{action="{action}",model="demand",version="1",violation="below"}} 1.0'
    assert violation in metrics
    if status == 200:
        answer = response.json()
        assert (answer["prediction"], answer["guard"]) == (output, action)
        (row,) = served.rows(answer)
        assert (row.raw, row.output, row.violation, row.action) == (-5.0, output, "below", action)
    else:
        assert response.json()["error"]["row"] == 0
        assert response.headers["retry-after"]


@pytest.mark.parametrize("action", ["refuse", "clip", "flag", "fallback"])
def test_a_list_that_is_refused_was_answered_in_no_row(tmp_path: Path, action: GuardAction) -> None:
    """One row of a list has no answer that may leave: the user gets none, and log and metrics say of no row she did."""
    rows = [{"temperature": each, "station": n} for n, each in enumerate([5.0, 500.0, 20.0, math.pi, -20.0])]
    registry = Registry(
        {1: lambda columns: np.where(columns["temperature"] == math.pi, math.nan, columns["temperature"]), 2: adds(0)},
        route(1, **CANARY, share=0.5),
    )
    with serving(registry, tmp_path, guard=OutputGuard(lower=-10, upper=100, on_violation=action)) as served:
        rows[3]["station"] = next(n for n in range(100, 200) if not is_in_share("salt", str(n), 0.5))
        response = served.client.post("/predict/demand", json=rows)
        metrics = served.client.get("/metrics").text
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    log = served.log.predictions("demand", EVER)
    assert not log["answered"].any()
    assert 'answered="true",model="demand"' not in metrics
    for n, row in enumerate(rows):
        key = str(row["station"])
        version = 2 if is_in_share("salt", key, 0.5) else 1
        (first,) = log.filter((pl.col("key") == key) & (pl.col("version") == version)).to_dicts()
        was_clipped = action == "clip" and n in (1, 4)
        assert first["action"] == ("clip" if was_clipped else "refuse"), "the split can still be counted"


def test_fallback_asks_champion_and_previous_in_turn(tmp_path: Path) -> None:
    """A canary out of range is replaced by the champion, a champion out of range by the version before."""
    guard = OutputGuard(lower=0.0, upper=1e6, on_violation="fallback")
    rules = {1: adds(1000), 2: gives(-1.0), 3: gives(-1.0)}
    registry = Registry(rules, route(2, challenger=3, stage="canary", share=1.0, previous=1))
    with serving(registry, tmp_path, guard=guard) as served:
        answer = served.predict(1.0)
    assert (answer["prediction"], answer["version"]) == (1001.0, 1)
    assert faces(served.rows(answer)) == [
        ("challenger", 3, False, -1.0, None),
        ("champion", 2, False, -1.0, None),
        ("previous", 1, True, 1001.0, 1001.0),
    ]


def test_a_champion_that_fails_is_rescued_by_the_previous(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A user never sees a model's error while another version can answer; the log keeps its name without its text."""
    with serving(Registry({1: adds(1000), 2: fails}, route(2, previous=1)), tmp_path) as served:
        answer = served.predict(1.0)
    assert (answer["prediction"], answer["version"]) == (1001.0, 1)
    failed, saved = served.rows(answer)
    assert (failed.error, failed.action, failed.answered, saved.answered) == ("RuntimeError", "fallback", False, True)
    assert "failed on a request" in caplog.text


def test_a_failure_without_rescue_is_503_and_says_nothing_of_the_cause(tmp_path: Path) -> None:
    """The cause may hold a user's data, so it stays in the server's own log; the refusal is on record."""
    with serving(Registry({1: fails}, route(1)), tmp_path) as served:
        response = served.client.post("/predict/demand", json={"temperature": 41.25})
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "unavailable"
        assert "41.25" not in response.text
        assert "secret" not in response.text
        assert 'kairos_version_errors_total{error="RuntimeError"' in served.client.get("/metrics").text
    (row,) = served.log.predictions("demand", EVER).to_dicts()
    assert (row["answered"], row["output"], row["action"], row["error"]) == (False, None, "refuse", "RuntimeError")


def test_the_log_names_a_models_error_and_quotes_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Class and place are told, of its causes too; the message, which may hold a user's values, is in no log."""

    def quotes(columns: Any) -> Any:
        if columns["temperature"][0] == 0.0:
            return columns["temperature"]
        try:
            raise KeyError(f"secret {columns['temperature'][0]}")
        except KeyError as error:
            error.add_note("secret note")
            raise RuntimeError(f"secret {columns['note'][0]}") from error

    with serving(Registry({1: quotes}, route(1)), tmp_path) as served:
        served.client.post("/predict/demand", json={"temperature": 41.25, "note": "ann@example.org"})
    assert "demand@1 failed on a request: RuntimeError" in caplog.text
    assert "KeyError" in caplog.text
    assert "test_layers.py" in caplog.text
    assert "in quotes" in caplog.text
    for said in ("secret 41.25", "ann@example.org", "secret note"):
        assert said not in caplog.text


def test_a_model_that_fails_on_each_request_is_told_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The metrics count every failure; the log tells one, and after a minute how many there were since."""
    clock = ReplayClock(datetime(2011, 1, 1, tzinfo=UTC))
    with serving(Registry({1: adds(0), 2: fails}, route(2, previous=1)), tmp_path, clock=clock) as served:
        for second in range(int(QUIET_S) + 1):
            served.predict(1.0, **{"kairos-at": f"2011-01-01T00:{second // 60:02}:{second % 60:02}Z"})
        metrics = served.client.get("/metrics").text
    first, last = [record.getMessage() for record in caplog.records if "failed on a request" in record.getMessage()]
    assert "more since" not in first
    assert "and 59 times more since that was last told" in last
    assert 'kairos_version_errors_total{error="RuntimeError",model="demand",version="2"} 61.0' in metrics


@settings(max_examples=60, deadline=None)
@given(
    values=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    action=st.sampled_from(["clip", "flag", "fallback", "refuse"]),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    bakes=st.booleans(),
)
def test_what_is_not_finite_never_leaves(
    tmp_path_factory: pytest.TempPathFactory,
    values: tuple[float, float, float],
    action: GuardAction,
    share: float,
    bakes: bool,
) -> None:
    """Whatever the versions give, an answer is a finite number, in range unless flagged; else there is none.

    Of each answered row exactly one log row is ``answered``, and its output is what the user got.
    """
    previous, champion, challenger = values
    registry = Registry(
        {1: gives(previous), 2: gives(champion), 3: gives(challenger)},
        route(2, challenger=3, stage="canary", share=share, previous=1 if bakes else None),
    )
    guard = OutputGuard(lower=0.0, upper=10.0, on_violation=action)
    with serving(registry, tmp_path_factory.mktemp("log"), guard=guard) as served:
        response = served.client.post("/predict/demand", json=[{"temperature": 1.0}] * 3)
    if response.status_code == 503:
        assert not served.log.predictions("demand", EVER)["answered"].any()
        return
    for answer in response.json()["predictions"]:
        assert math.isfinite(answer["prediction"])
        assert action == "flag" or 0 <= answer["prediction"] <= 10
        (answered,) = [row for row in served.rows(answer) if row.answered]
        assert (answered.output, answered.version) == (answer["prediction"], answer["version"])
        assert len(served.rows(answer)) == (3 if bakes else 2), "every version has one row"


def test_a_full_disk_answers_and_counts(tmp_path: Path) -> None:
    """What cannot be written down is answered, marked in the answer, and counted."""
    with serving(Registry({1: adds(1000)}, route(1)), tmp_path, sink=FullDisk()) as served:
        answers = [served.predict(1.0) for _ in range(3)]
        metrics = served.client.get("/metrics").text
    assert 'kairos_not_captured_total{answered="true"} 3.0' in metrics
    assert 'kairos_not_captured_total{answered="false"} 0.0' in metrics
    assert [answer["captured"] for answer in answers] == [False] * 3


def test_a_disk_without_room_for_another_file_fails_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log would begin a new file and cannot, users are answered, and the answers are on record."""
    monkeypatch.setattr("kairos.store.spool.LARGEST_SPOOL_BYTES", 10)
    real = os.open

    def full(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(".journal"):
            raise OSError(28, "No space left on device")
        return real(path, *args, **options)

    with serving(Registry({1: adds(1000)}, route(1)), tmp_path) as served:
        monkeypatch.setattr(os, "open", full)
        answers = [served.predict(1.0) for _ in range(3)]
        monkeypatch.setattr(os, "open", real)
        metrics = served.client.get("/metrics").text
    assert 'kairos_not_captured_total{answered="true"} 0.0' in metrics
    assert [len(served.rows(answer)) for answer in answers] == [1, 1, 1]


@settings(max_examples=30, deadline=None)
@given(full=st.lists(st.booleans(), min_size=10, max_size=10), share=st.sampled_from([0.0, 0.5]))
def test_every_answered_id_is_in_the_log_or_in_the_counter(
    tmp_path_factory: pytest.TempPathFactory, full: list[bool], share: float
) -> None:
    """However the disk comes and goes: logged or counted, nothing in between; also for the rows of other versions."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1, **CANARY, share=share))
    folder = tmp_path_factory.mktemp("log")
    with serving(registry, folder, sink=NowAndThenFull(PredictionLog(folder).writer("w"), full)) as served:
        answers = [served.predict(1.0) for _ in range(5)]
    for answer in answers:
        assert [row.answered for row in served.rows(answer)].count(True) == answer.get("captured", True)
    rows = [row for answer in answers for row in served.rows(answer)]
    for answered in (True, False):
        lost = len(answers) - sum(row.answered is answered for row in rows)
        counter = f'kairos_not_captured_total{{answered="{str(answered).lower()}"}} {lost:.1f}'
        assert counter in served.server.metrics.text()


def test_a_challenger_with_other_columns_is_given_its_own(tmp_path: Path) -> None:
    """A version that takes fewer columns than the champion predicts beside it all the same."""
    registry = Registry({1: adds(1000), 2: lambda columns: columns["hour"] + 2000.0}, route(1, **CANARY, share=0.5))
    fewer = Signature(columns=(Column(name="hour", kind="integer"),), output=OutputSpec())
    load = registry.load

    def load_own(digest: Any) -> Any:
        package = load(digest)
        if int(digest, 16) == 2:
            package.spec = ToySpec(signature=fewer)
        return package

    registry.load = load_own  # type: ignore[method-assign]
    rows = [{"temperature": 1.0, "hour": n, "station": n} for n in range(20)]
    with serving(registry, tmp_path) as served:
        answers = served.client.post("/predict/demand", json=rows).json()["predictions"]
    for n, answer in enumerate(answers):
        assert answer["prediction"] == (2000.0 + n if answer["version"] == 2 else 1001.0)
    assert {answer["version"] for answer in answers} == {1, 2}


def test_what_waits_too_long_is_skipped_and_counted(tmp_path: Path) -> None:
    """Shadow work is bounded: beyond it rows are skipped, counted, and answers are as before."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1, challenger=2, stage="shadow"))
    with serving(registry, tmp_path) as served:
        served.server._backlog.add = served.server._backlog._on_skip  # type: ignore[method-assign,assignment]
        assert served.predict(1.0)["prediction"] == 1001.0
        assert 'kairos_shadow_rows_total{model="demand",state="skipped"} 1.0' in served.client.get("/metrics").text


def test_a_damaged_package_keeps_what_was_there(tmp_path: Path) -> None:
    """A version that cannot be loaded changes no answer, and shows in readiness and metrics until it is withdrawn."""
    registry = Registry({1: adds(1000)}, route(1))
    with serving(registry, tmp_path) as served:
        registry.routes = [route(9, previous=1, seq=2)]
        assert served.client.get("/state?seq=2").json()["seq"] == 2
        assert served.predict(1.0)["version"] == 1
        ready = served.client.get("/health/ready")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        (trouble,) = ready.json()["troubles"]
        assert (trouble["version"], trouble["role"]) == ("demand@9", "champion")
        metrics = served.client.get("/metrics").text
        assert "kairos_load_failures_total 0.0" not in metrics
        assert 'kairos_live_version{model="demand",role="champion"} 1.0' in metrics
        registry.routes = [route(1, seq=3)]
        served.client.get("/state?seq=3")
        assert served.client.get("/health/ready").json()["troubles"] == []


def test_where_the_ledger_and_what_answers_differ_every_sign_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A rollback to a version whose package is damaged: the bad one goes on, and it is told wherever one looks."""
    bakery, demand = (route(2, seq=5, model=model) for model in ("bakery", "demand"))
    registry = Registry({1: adds(0), 2: adds(900)}, bakery, demand)
    with serving(registry, tmp_path) as served:
        del registry.rules[1]
        registry.routes = [bakery, route(1, seq=9)]
        state = served.client.get("/state?seq=9").json()
        differs = {"model": "demand", "ledger": "demand@1", "answers": "demand@2"}
        (told,) = state["diverged"]
        assert "damaged" in told["reason"]
        assert (state["seq"], state["reached"], told) == (9, False, {**differs, "reason": told["reason"]})
        assert served.client.get("/state?seq=9&model=demand").json()["reached"] is False
        assert served.client.get("/state?seq=9&model=bakery").json()["reached"] is True
        assert served.predict(5.0)["version"] == 2
        ready = served.client.get("/health/ready")
        assert (ready.status_code, ready.json()["ready"], ready.json()["diverged"]) == (200, True, [told])
        assert [model["diverged"] for model in served.client.get("/models").json()["models"]] == [None, told]
        metrics = served.client.get("/metrics").text
        assert 'kairos_champion_diverged{model="demand"} 1.0' in metrics
        assert 'kairos_champion_diverged{model="bakery"} 0.0' in metrics
        for _ in range(60):  # also tries again to load it
            served.server.follower.poll()
        assert caplog.text.count("The ledger says that demand@1 is live, but demand@2 answers") == 1
        registry.rules[1] = adds(0)
        registry.routes = [bakery, route(1, seq=10)]
        assert served.client.get("/state?seq=10").json() == {"seq": 10, "reached": True, "diverged": []}
        assert served.client.get("/models/demand").json()["diverged"] is None
        assert 'kairos_champion_diverged{model="demand"} 0.0' in served.client.get("/metrics").text


def test_a_model_that_cannot_make_one_prediction_is_damaged(tmp_path: Path) -> None:
    """A version goes live only after it has predicted once; one that fails on that never meets a user."""

    def never(columns: Any) -> np.ndarray[Any, Any]:
        raise MemoryError

    registry = Registry({1: adds(1000), 2: never, 3: lambda columns: np.zeros(5)}, route(1))
    with serving(registry, tmp_path) as served:
        for seq, number in ((2, 2), (3, 3)):
            registry.routes = [route(number, seq=seq)]
            served.client.get(f"/state?seq={seq}")
            assert served.predict(1.0)["version"] == 1
            assert served.client.get("/health/ready").json()["troubles"][0]["version"] == f"demand@{number}"


def test_a_ledger_that_cannot_be_read_keeps_what_was_there(tmp_path: Path) -> None:
    """The server goes on answering, says that it does not follow, and follows again when it can."""
    registry = Registry({1: adds(1000), 2: adds(2000)}, route(1))
    source = registry.source
    broken = [True]

    def now_and_then(after: int) -> Any:
        if after > 0 and broken[0]:
            raise OSError("no such ledger")
        return source(after)

    registry.source = now_and_then  # type: ignore[method-assign]
    with serving(registry, tmp_path) as served:
        registry.routes = [route(2, seq=2)]
        served.server.follower.poll()
        assert served.predict(1.0)["version"] == 1
        assert served.client.get("/health/ready").json()["follows_ledger"] is False
        broken[0] = False
        assert served.client.get("/state?seq=2").json()["reached"]
        assert served.predict(1.0)["version"] == 2
        assert served.client.get("/health/ready").json()["follows_ledger"] is True


def test_layers_are_a_list(tmp_path: Path) -> None:
    """A layer is any callable that wraps the next; ``stack`` folds a list of them, outermost first."""
    with serving(Registry({1: adds(1)}, route(1)), tmp_path) as served:
        deployed = served.server.follower.deployment.route("demand")
    order: list[str] = []

    def named(name: str) -> Any:
        def wrap(following: Any) -> Any:
            def layer(request: Request, rows: Sequence[int]) -> Any:
                order.append(name)
                return following(request, rows)

            return layer

        return wrap

    handler = stack([named("outer"), Shadow, named("inner")], lambda request, rows: Reply(outcomes=()))
    request: Any = type("Request", (), {"route": deployed})
    reply = handler(request, [0])
    assert order == ["outer", "inner"]
    assert [owed.version.ref for owed in reply.owed] == [live(1).ref]
