"""From the server's counters to guards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kairos.delivery.rollout import GuardRule, RolloutPolicy
from kairos.delivery.rollout.deciding import decide
from kairos.delivery.rollout.evidence import Guard, RolloutEvidence
from kairos.monitor.rollout import count
from kairos.store.counts import Comparison, FailedLoad, Process, Sheet
from tests.monitor.logs import DAY, START

COMPARISON = Comparison(model="demand", base=1, test=2, since=START)
POLICY = RolloutPolicy()
LIMITS = {"timeouts": 1_000_000, "slow_p95": 20_000, "slow_p99": 50_000}


def process(*sheets: tuple[float, dict[str, int]], limits: dict[str, int] | None = None, **more: Any) -> Process:
    """A server that counted this, by share."""
    found = [
        Sheet(comparison=COMPARISON, share=share, counts=counts, limits=LIMITS if limits is None else limits)
        for share, counts in sheets
    ]
    given = {"worker": "a", "started_at": START, "written_at": START + DAY, "sheets": tuple(found)}
    return Process(**{**given, **more})


def evidence(*processes: Process, policy: RolloutPolicy = POLICY) -> RolloutEvidence:
    blank = RolloutEvidence(as_of=START, since=START, on_trial_since=START, loss=None)
    return count(blank, processes, COMPARISON, as_of=START + DAY, policy=policy)


def guard(name: str, found: RolloutEvidence) -> Guard:
    return next(guard for guard in found.guards if guard.name == name)


def test_counts_become_guards_by_kind() -> None:
    """Pairs and shares for what is wrong, shares for what is slow; nothing that was counted gets lost."""
    shadow = {"requests": 100, "predicted": 90, "paired": 80, "aside": 90, "pairs.errors.test": 3, "own.errors": 4}
    canary = {
        "requests": 50, "predicted": 50, "paired": 50, "asked.base": 45, "asked.test": 5, "path": 5, "aside": 45,
        "pairs.errors.base": 1, "asked.errors.test": 2, "asked.errors.base": 7, "own.errors": 2,
        "asked.slow_p95.test": 1, "asked.slow_p95.base": 3, "path.slow_p95": 1, "aside.slow_p95": 9,
    }  # fmt: skip
    found = evidence(process((0.0, shadow), (0.05, canary)))
    assert (found.requests, found.pairs, found.asked, found.canary_requests) == (150, 130, {"0.05": (5, 45)}, 5)
    assert [each.name for each in found.guards] == ["errors", "impossible", "timeouts", "slow_p95", "slow_p99"]
    errors, slow = guard("errors", found), guard("slow_p95", found)
    assert (errors.pairs, errors.asked, errors.own) == ((3, 1), {"0.05": (2, 7)}, (6, 140))
    assert (slow.by, slow.asked, slow.own, slow.aside) == (("shares",), {"0.05": (1, 3)}, (1, 5), (9, 135))
    assert (errors.reference, slow.reference) == (0.0, 0.05)
    assert "20 ms" in slow.what


def test_counts_add_up_whoever_counted_them_and_in_whatever_order() -> None:
    """Eight servers, one of them started anew, give the evidence of one that saw it all."""
    whole = {"requests": 80, "predicted": 80, "asked.base": 64, "asked.test": 16, "asked.errors.test": 8}
    part = {name: number // 8 for name, number in whole.items()}
    parts = [process((0.25, part), worker=f"w{number}") for number in range(8)]
    assert evidence(*parts) == evidence(*parts[::-1]) == evidence(process((0.25, whole)))


def test_without_a_past_of_the_champion_nothing_is_called_slow() -> None:
    """A limit that is not known gives no guard; the other guards then have more of alpha."""
    found = evidence(process((0.0, {}), limits={"timeouts": 1_000_000}))
    assert [each.name for each in found.guards] == ["errors", "impossible", "timeouts"]


def test_the_owners_limits_are_guards_with_a_cap() -> None:
    """Slowness counts on a request's way only; errors wherever the version predicted."""
    rules = tuple(GuardRule.parse(text) for text in ("p99_latency < 50ms", "error_rate < 0.1%"))
    counts = {"predicted": 90, "path": 40, "aside": 50, "path.over_50000us": 2, "aside.over_50000us": 30}
    found = evidence(process((0.5, {**counts, "own.errors": 3})), policy=replace(POLICY, guards=rules))
    latency, errors = found.guards[-2:]
    assert (latency.by, latency.cap, latency.own, latency.aside) == (("cap",), 0.01, (2, 40), (30, 50))
    assert (errors.cap, errors.own) == (0.001, (3, 90))


def test_other_trials_do_not_count() -> None:
    """Of another version, or of the same one in an earlier attempt."""
    others = [replace(COMPARISON, test=3), replace(COMPARISON, since=START - DAY), replace(COMPARISON, model="other")]
    sheets = tuple(Sheet(comparison=other, share=0.0, counts={"requests": 9, "hard.schema": 1}) for other in others)
    found = evidence(process(sheets=sheets))
    assert (found.requests, found.unusable) == (0, None)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (process((0.0, {"hard.not_finite": 1})), "demand@2 gave NaN or infinity, on 1 request"),
        (process((0.0, {"hard.schema": 2})), "demand@2 does not fit requests, on 2 requests"),
        (
            process(failed_loads=(FailedLoad(model="demand", version=2, package="p", reason="PackageError: torn"),)),
            "demand@2 cannot be loaded: PackageError: torn",
        ),
    ],
)
def test_what_needs_no_statistics_takes_a_version_back_at_once(server: Process, said: str) -> None:
    """One NaN, one request that it does not fit, one server that cannot load it."""
    found = evidence(server)
    assert found.unusable is not None
    assert found.unusable.startswith(said)
    assert decide(POLICY, "shadow", 0.0, found).action == "rollback"


def test_a_failed_load_of_a_server_that_is_gone_or_of_another_version_is_none() -> None:
    """What a former process could not do, the present one perhaps can."""
    failed = FailedLoad(model="demand", version=2, package="p", reason="torn")
    gone = process(failed_loads=(failed,), is_gone=True)
    assert evidence(gone, process(failed_loads=(replace(failed, version=1),))).unusable is None


def test_a_version_that_kills_its_servers_is_noticed_at_the_third_death() -> None:
    """Two may be chance, and so is a server that was killed after a day, or that said goodbye."""
    dead = [
        process((0.05, {}), worker=f"w{n}", written_at=START + timedelta(seconds=9), is_gone=True) for n in range(3)
    ]
    found = evidence(*dead)
    assert found.unusable == "3 servers died within 5 minutes of starting with demand@2"
    late, polite = replace(dead[2], written_at=START + DAY), replace(dead[2], has_ended=True)
    assert evidence(*dead[:2]).unusable is None
    assert evidence(*dead[:2], late, polite, replace(dead[2], is_gone=False)).unusable is None
