"""One run with several seeds: what depends on a seed is made with each, and what they tell is in the run's fact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kairos.app import measuring
from kairos.app.baselines import beating
from kairos.app.carding import make_card, markdown
from kairos.app.differing import differ
from kairos.app.garbage import collect
from kairos.app.keeping import check_store
from kairos.app.rebuilding import rebuild
from kairos.app.showing import show_run
from kairos.app.training import Trained, plan, train
from kairos.cli.differing import judged_line
from kairos.clock import SystemClock
from kairos.errors import UsageError
from kairos.experiments.runs import run_called
from kairos.experiments.spread import metrics_text
from kairos.pipeline.engine.local import LocalEngine
from kairos.pipeline.logged import Logged
from kairos.pipeline.result import StepEvent
from kairos.values import Digest, Json, Window, unplain
from tests.app.worlds import HOUR, PIPELINE, SETTINGS, Stock, World

NOISY = PIPELINE.replace("import polars as pl", "import random\n\nimport polars as pl").replace(
    "DummyRegressor()", 'DummyRegressor(strategy="constant", constant=LEVEL + 20.0 * random.random())'
)
"""The model's level is drawn anew with each seed."""
SPLIT_BY_CHANCE = NOISY.replace(
    "def split(rentals: pl.DataFrame)", "def split(rentals: pl.DataFrame, *, seed=3)"
).replace('pl.col("hour") >= pl.col("hour").max() - timedelta(days=7)', 'pl.col("hour").hash(seed) % 4 == 0')
"""A seed decides which rows are held out as well."""
FAILS = NOISY.replace("def demand(train: pl.DataFrame)", "def demand(train: pl.DataFrame, *, seed=0)").replace(
    "    return Dummy", '    if seed % 2:\n        raise ValueError("odd")\n    return Dummy'
)
"""Of the seeds that follow from 0 the first is odd, and the two after it are even."""
LOGS = FAILS.replace(
    "    if seed % 2:", "    for epoch in range(3):\n        report(seed + epoch, step=epoch)\n    if seed % 2:"
).replace("from kairos import Window", "from kairos import Window, report")
"""The model says what it has learnt as it learns, before it may fail."""
WINDOW = Window.parse("2011-12-04..2011-12-31")
METRIC = "demand.absolute_error"

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, stock: Stock, engine: LocalEngine) -> Make:
    """Makes a project that can train."""

    def made(pipeline: str = NOISY, settings: str = SETTINGS) -> World:
        world = World(tmp_path / "toy", stock, settings, pipeline)
        world.project.engine = engine
        return world

    return made


def seeded(world: World, seeds: int = 4, **how: Any) -> Trained:
    """A run over four weeks, with several seeds; an hour after the last one."""
    world.clock.move_to(world.clock.now() + HOUR)
    return train(world.project, window=WINDOW, seeds=seeds, **how)


def told(world: World, trained: Trained) -> Json:
    """The body of the run's fact."""
    (entry,) = world.project.ledger.read(kinds=["run.finished"], subject=trained.result.id)
    return unplain(entry.body)


def test_only_what_depends_on_a_seed_is_made_again(make: Make) -> None:
    """The data are not pulled again, though this source is in every run; the first seed is the step's own."""
    world, events = make(), list[StepEvent]()
    trained = seeded(world, on_event=events.append)
    others = {event.step for event in events if "seed" in event.step}
    assert others == {f"demand, seed {nth} of 4" for nth in (2, 3, 4)}
    body = told(world, trained)
    seeds = body["seeds"]["demand"]
    assert (seeds[0]["seed"], seeds[0]["package"]) == (0, body["models"]["demand"])
    assert seeds[0]["metrics"][METRIC] == body["metrics"][METRIC]
    assert len({each["seed"] for each in seeds}) == len({each["package"] for each in seeds}) == 4
    assert {each["holdout"] for each in seeds} == {trained.result.artifact("split.holdout").digest}
    assert body["metrics"]["demand.seeds"] == 4
    values = [each["metrics"][METRIC] for each in seeds]
    assert body["metrics"][f"{METRIC}.mean"] == pytest.approx(sum(values) / 4)
    assert body["metrics"][f"{METRIC}.sd"] > 0
    assert "seeds_failed" not in body


def test_by_how_much_baselines_are_beaten_is_told_of_the_first_seed_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others have the baselines' losses, without intervals, which nobody reads and which take longest."""
    asked: list[str] = []

    def counted(model: Any, package: Any, *rest: Any) -> Any:
        asked.append(model.name)
        return beating(model, package, *rest)

    monkeypatch.setattr(measuring, "beating", counted)
    world = make()
    body = told(world, seeded(world))
    assert asked == ["demand"]
    assert body["baselines"].keys() == {"demand"}
    names = {name for name in body["metrics"] if ".baseline" in name}
    assert f"{METRIC}.baseline.constant" in names
    assert all(names <= each["metrics"].keys() for each in body["seeds"]["demand"])


def test_one_version_is_registered_and_the_run_goes_on_as_any_other(make: Make) -> None:
    """The same again makes nothing and finds the same; it is rebuilt as a run with one seed; its packages are kept."""
    world = make()
    first = seeded(world)
    assert [str(ref) for ref in first.versions] == ["demand@1"]
    events: list[StepEvent] = []
    again = seeded(world, on_event=events.append)
    assert {event.what for event in events if event.step.startswith("demand")} == {"reused"}
    assert [str(ref) for ref in again.unchanged] == ["demand@1"]
    assert told(world, again)["seeds"] == told(world, first)["seeds"]
    (demand,) = (step for step in plan(world.project, window=WINDOW, force=["demand"]) if step.step == "demand")
    assert demand.why == ("it is forced",), "no seed is what changed last"
    assert rebuild(world.project, first.result.id).answer == "identical"
    collect(world.project)
    packages = [Digest(each["package"]) for each in told(world, first)["seeds"]["demand"]]
    assert all(map(world.project.store.has, packages))
    listing = world.project.store.path(packages[1])
    listing.unlink()
    (harmed,) = check_store(world.project).harmed
    assert harmed.needed_by[0].startswith("demand with seed ")


def test_a_plan_says_what_other_seeds_would_make(make: Make) -> None:
    """What asks for chance, and all that reads what that gives."""
    assert {step.step for step in plan(make().project, window=WINDOW) if step.varies} == {"demand"}
    world = make(SPLIT_BY_CHANCE)
    (world.root / "pipeline.py").write_text(SPLIT_BY_CHANCE)
    assert {step.step for step in plan(world.project, window=WINDOW) if step.varies} == {"split", "demand"}


def test_a_seed_may_decide_which_rows_are_held_out(make: Make) -> None:
    """Each is measured on its own, and told with them; two runs are compared by pairs of the same rows."""
    world = make(SPLIT_BY_CHANCE, SETTINGS.replace('time = "hour"\n', ""))
    first = seeded(world)
    assert len({each["holdout"] for each in told(world, first)["seeds"]["demand"]}) == 4
    (world.root / "pipeline.py").write_text(SPLIT_BY_CHANCE.replace("LEVEL + 20.0", "LEVEL + 90.0 + 20.0"))
    second = seeded(world)
    judged = {one.over: one for one in differ(world.project, first.result.id, second.result.id).judged}
    assert (judged["seeds"].verdict, judged["seeds"].method, judged["seeds"].n) == ("worse", "paired t", 4)
    assert judged["seeds"].on == "split.holdout of each seed"


def test_a_seed_that_fails_ends_nothing_else(make: Make) -> None:
    """The run is finished, its version registered; the fact names the seed, the step and the reason."""
    world = make(FAILS)
    trained = seeded(world)
    assert trained.result.ok
    assert len(trained.versions) == 1
    assert trained.seeds is not None
    (failure,) = trained.seeds.failures
    assert "in demand" in failure.traceback
    body = told(world, trained)
    assert [each["seed"] % 2 for each in body["seeds"]["demand"]] == [0, 0, 0]
    (failed,) = body["seeds_failed"]
    assert (failed["nth"], failed["step"], failed["type"]) == (failure.nth, "demand", "ValueError")
    assert failed["seeds"]["demand"] % 2 == 1
    assert body["metrics"]["demand.seeds"] == 3
    shown = show_run(world.project, trained.result.id)
    assert (len(shown.seeds["demand"]), list(shown.seeds_failed)) == (3, [failed])


def test_each_seed_has_what_its_steps_logged(make: Make) -> None:
    """Every value, with its step; of the run's own seed, of others, and of one that failed. A seed reused brings it."""
    world = make(LOGS)
    world.project.clock = SystemClock()  # a replay keeps last values alone
    for _ in range(2):
        trained = seeded(world)
        record = run_called(world.project.ledger, trained.result.id)
        assert record is not None
        logs = {each.seed: each.logged for each in record.seeds["demand"]}
        (failed,) = record.failed_seeds["demand"]
        assert "odd" in failed.failure
        logs[failed.seed] = failed.logged
        assert len(logs) == 4
        for seed, logged in logs.items():
            assert logged.metrics == {"reported": seed + 2.0}
            (step,) = logged.steps
            (blob,) = step.logged
            (run,) = Logged.read(world.project.store, blob).runs
            assert [(point.step, point.value) for point in run.points] == [(n, float(seed + n)) for n in range(3)]
        assert record.metrics["reported"] == 2.0, "the run itself has what its own seed gave"


def test_what_is_known_when_somebody_stops_it_stays(make: Make) -> None:
    """The run is recorded with the seeds that were done, and says of the others that they were stopped."""
    world, started = make(), list[str]()

    def stop(event: StepEvent) -> None:
        if "seed" in event.step and event.what == "started":
            started.append(event.step)
        if len(started) == 3:  # which is not sent to the engine yet
            world.project.stopping.set()

    trained = seeded(world, on_event=stop)
    assert trained.seeds is not None
    assert trained.seeds.is_stopped
    body = told(world, trained)
    done, failed = body.get("seeds", {"demand": [None]})["demand"], body["seeds_failed"]
    assert {each["type"] for each in failed} == {"Stopped"}
    assert len(done) + len(failed) == 4
    assert [str(ref) for ref in trained.versions] == ["demand@1"]


def test_seeds_that_change_nothing_are_no_knowledge_of_chance(make: Make) -> None:
    """No standard deviation of 0 is told; a comparison falls back on rows, and says why."""
    world = make(PIPELINE)
    first = seeded(world, seeds=3)
    body = told(world, first)
    assert f"{METRIC}.sd" not in body["metrics"]
    assert "(all 3 seeds the same)" in metrics_text(body["metrics"])
    assert "All 3 seeds gave the same absolute error" in markdown(make_card(world.project, first.versions[0]))
    (world.root / "pipeline.py").write_text(
        PIPELINE.replace("DummyRegressor()", 'DummyRegressor(strategy="constant", constant=260.0)')
    )
    second = seeded(world, seeds=3)
    found = differ(world.project, first.result.id, second.result.id)
    assert [(one.over, one.verdict) for one in found.judged] == [("rows", "worse")]
    assert [(one.over, one.reason) for one in found.not_judged] == [
        ("seeds", "no seed changes a metric of either, so only rows can tell")
    ]


def test_two_runs_are_compared_over_the_seeds_that_both_have(make: Make) -> None:
    """A difference that seeds make as well is none; a run with one seed says what to type."""
    world = make()
    first = seeded(world)
    (world.root / "pipeline.py").write_text(NOISY.replace("LEVEL + 20.0", "LEVEL + 0.1 + 20.0"))
    alike = seeded(world)
    (world.root / "pipeline.py").write_text(NOISY.replace("LEVEL + 20.0", "LEVEL + 90.0 + 20.0"))
    worse, one = seeded(world), seeded(world, seeds=1)

    def over_seeds(before: Trained, after: Trained) -> Any:
        found = differ(world.project, before.result.id, after.result.id)
        every: list[Any] = [*found.judged, *found.not_judged]
        return next(each for each in every if each.over == "seeds")

    assert over_seeds(first, worse).verdict == "worse"
    assert "over 4 seeds that both have, on split.holdout, as it is" in judged_line(over_seeds(first, worse))
    assert "has one seed; type: kairos run --seeds 5" in over_seeds(one, first).reason
    assert over_seeds(alike, worse).lower > 0
    assert "Trained with 4 seeds, of which this is the first" in markdown(make_card(world.project, first.versions[0]))


def test_seeds_that_would_tell_nothing_are_refused(make: Make) -> None:
    """Before anything runs: where no model is measured, and where they are too many."""
    world = make()
    with pytest.raises(UsageError, match="measures no model"):
        seeded(world, targets=["split"])
    with pytest.raises(UsageError, match="1 to 1000"):
        seeded(world, seeds=1001)
    assert not world.facts()
