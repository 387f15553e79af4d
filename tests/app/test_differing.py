"""Two runs side by side: what differs, and whether their metrics do by more than chance makes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kairos.app.differing import Judged, Side, differ
from kairos.app.differing_rows import judge_answers
from kairos.cli.differing import judged_line
from kairos.errors import NotFound
from kairos.experiments.finding import find_run
from kairos.gates.policy import GatePolicy
from kairos.gates.rows import GateRows
from kairos.store.tables import write_table
from kairos.values import Digest, Json
from tests.app.worlds import DAY, SETTINGS, START, Stock, World, hourly

RUNS = 400
UNTIMED = SETTINGS.replace('time = "hour"\n', "")


def judged(world: World, first: str, second: str) -> Judged:
    found = differ(world.project, first, second)
    assert found.not_judged == ()
    (one,) = found.judged
    return one


def test_a_difference_is_told_from_chance(world: World) -> None:
    """Bad is worse than good by more than chance; good and about as good are not told apart."""
    for level in (200.0, 260.0, 205.0):
        world.register(level)
    worse = judged(world, "demand@1", "demand@2")
    assert worse.verdict == "worse"
    assert 0 < worse.lower < worse.difference < worse.upper
    assert (worse.level, worse.n) == (0.95, 336)
    better = judged(world, "demand@2", "demand@1")
    assert better.verdict == "better"
    assert (better.lower, better.upper) == pytest.approx((-worse.upper, -worse.lower))
    same = judged(world, "demand@1", "demand@3")
    assert same.verdict == "no difference"
    assert "no difference that chance would not make (interval" in judged_line(same)
    assert "95 %; 336 rows of split.holdout of" in judged_line(same)


def test_only_rows_that_neither_has_seen_are_asked(world: World) -> None:
    """A holdout that one of them was trained on is refused, and in part left out."""
    world.register(200.0)
    older = write_table(world.project.store, hourly(START - 24 * DAY, 20))  # trained until 14 days before the start
    world.register(260.0, holdout=older)
    assert judged(world, "demand@1", "demand@2").on.startswith("240 of 480 rows")
    past = write_table(world.project.store, hourly(START - 42 * DAY, 20))
    world.register(260.0, holdout=past)
    found = differ(world.project, "demand@1", "demand@3")
    (why,) = found.not_judged
    assert "trained on all rows of split.holdout of demand@3" in why.reason
    assert differ(world.project, "demand@1", "demand@3", on="first").judged[0].verdict == "worse"


def test_without_a_time_only_rows_that_both_held_out_are_asked(tmp_path: Path, stock: Stock) -> None:
    """Half of each other's; none in common is refused."""
    world = World(tmp_path / "toy", stock, UNTIMED)
    table = hourly(START - 14 * DAY, 14, seed=1)
    ends = [write_table(world.project.store, part) for part in (table.head(200), table.tail(236), table.tail(100))]
    for level, holdout in zip((200.0, 260.0, 205.0), ends, strict=True):
        world.register(level, holdout=holdout)
    assert judged(world, "demand@1", "demand@2").on.startswith("100 of 236 rows")
    (why,) = differ(world.project, "demand@1", "demand@3").not_judged
    assert "no rows in common" in why.reason
    assert judged(world, "demand@2", "demand@3").n == 100


def test_what_cannot_be_compared_says_why(world: World) -> None:
    """The same package, a package that is gone, columns that are missing; the rest of the difference is told."""
    world.register(200.0)
    world.register(200.0)
    (why,) = differ(world.project, "demand@1", "demand@2").not_judged
    assert why.reason == "their packages are the same, to the byte"
    lacking = write_table(world.project.store, hourly(START - 14 * DAY, 14).drop("temperature"))
    world.register(260.0, holdout=lacking)
    found = differ(world.project, "demand@1", "demand@3")
    assert "lacks the column 'temperature'" in found.not_judged[0].reason
    assert [change.name for change in found.difference.params] == []
    run = world.run()
    assert "demand" in differ(world.project, "demand@1", run).not_judged[0].model
    with pytest.raises(NotFound):
        differ(world.project, "demand@1", "demand@9")


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_the_rate_of_false_alarms_is_below_alpha(memory: float) -> None:
    """Two models that are equally good, with errors that last for hours: at most 5 % are called different."""
    draw = np.random.default_rng(3)
    n, alarms = 336, 0
    times = np.datetime64("2012-01-01", "h") + np.arange(n)
    for _ in range(RUNS):
        noise = draw.standard_normal((n, 2))
        for i in range(1, n):
            noise[i] = memory * noise[i - 1] + math.sqrt(1 - memory**2) * noise[i]
        rows = GateRows(truth=np.zeros(n), champion=noise[:, 0], challenger=noise[:, 1], times=times, digest="d")
        (one,) = judge_answers("m", rows, GatePolicy(loss="absolute_error"), {}, on="made up")
        alarms += one.verdict != "no difference"
    assert alarms / RUNS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


def told_of_seeds(world: World, values: Mapping[int, float], *, holdout: str = "1" * 32) -> str:
    """A version, of a run that tells what these seeds gave."""
    ref = world.register(200.0)
    version = world.project.state().model("demand").version(ref.number)
    (entry,) = world.project.ledger.read(kinds=["run.finished"], subject=version.run)
    seeds: Json = [
        {"seed": seed, "package": version.package, "holdout": holdout, "metrics": {"demand.absolute_error": value}}
        for seed, value in values.items()
    ]
    models = {"demand": version.package}
    world.project.tell(
        "run.finished", subject=version.run, body={**entry.body, "models": models, "seeds": {"demand": seeds}}
    )
    return str(ref)


def test_seeds_that_are_not_shared_are_two_samples(world: World) -> None:
    """Of unlike variance; a difference that is less than what seeds make is none."""
    before = told_of_seeds(world, {0: 20.0, 1: 20.5, 2: 19.5, 3: 20.2})
    after = told_of_seeds(world, {7: 30.0, 8: 31.0, 9: 29.0})
    alike = told_of_seeds(world, {17: 20.1, 18: 19.9, 19: 20.3})
    (worse,) = differ(world.project, before, after).judged
    assert (worse.over, worse.verdict, worse.method, worse.n) == ("seeds", "worse", "Welch", 3)
    assert "over 3 seeds or more, on split.holdout, as it is" in judged_line(worse)
    assert differ(world.project, before, alike).judged[0].verdict == "no difference"


def test_seeds_that_were_measured_on_other_rows_are_not_compared(world: World) -> None:
    """Nor is a run with several compared with one that has one; each says why."""
    before = told_of_seeds(world, {0: 20.0, 1: 20.5})
    other = told_of_seeds(world, {0: 30.0, 1: 31.0}, holdout="2" * 32)
    one = told_of_seeds(world, {0: 20.0})
    for second, reason in ((other, "their seeds were measured on different rows"), (one, f"{one} has one seed")):
        reasons = [each.reason for each in differ(world.project, before, second).not_judged if each.over == "seeds"]
        assert len(reasons) == 1
        assert reasons[0].startswith(reason)


def test_a_version_of_another_model_tells_the_seeds_of_its_run(world: World) -> None:
    """Who names a version of one model is told of all that both runs made."""
    ref = told_of_seeds(world, {0: 20.0, 1: 20.5})
    version, model = world.project.state().model("demand").version(1), world.project.settings.model("demand")
    record = find_run(world.project.run_index, version.run)
    body = list(world.project.ledger.read(kinds=["run.finished"], subject=version.run))[-1].body
    own, other, recalibrated = (
        Side(name=ref, record=record, body=body, version=named)
        for named in (("demand", version.package), ("sales", Digest("3" * 32)), ("demand", Digest("3" * 32)))
    )
    assert len(own.seeds(model)) == len(other.seeds(model)) == 2
    assert recalibrated.seeds(model) == ()
