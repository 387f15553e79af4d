"""A plan says what a run would do, and is right about it; a run from, until or with a step forced does as told."""

from __future__ import annotations

import pytest

from kairos.errors import UsageError
from kairos.pipeline.planning import Planned, plan_run
from kairos.pipeline.project import PipelineSource
from kairos.values import Window
from tests.pipeline.projects import WINDOW, Finisher, Place, statuses

CHAIN = """
    @step
    def a() -> int: return 1
    @step
    def b(a: int, *, k: int = 2) -> int: return min(a * k, 2)
    @step
    def c(b: int) -> int: return b
    @step
    def d(c: int) -> int: return c
"""


def planned(place: Place, window: Window = WINDOW, **options: object) -> dict[str, Planned]:
    """The plan by step."""
    found = plan_run(
        PipelineSource(root=place.root),
        store=place.store,
        cache=place.cache,
        window=window,
        clock=place.clock,
        finish_model=Finisher(),
        **{"params": {}, **options},  # type: ignore[arg-type]
    )
    return {one.step: one for one in found}


def whats(plan: dict[str, Planned]) -> list[str]:
    """What would become of each step."""
    return [one.what for one in plan.values()]


def test_a_plan_says_what_would_run_and_why(place: Place) -> None:
    """What only perhaps runs is told apart; nothing runs and nothing is kept."""
    place.write(CHAIN)
    first = planned(place)
    assert whats(first) == ["run"] * 4
    assert first["a"].why == ("it has not run before",)
    place.run()
    assert whats(planned(place)) == ["reuse"] * 4
    changed = planned(place, params={"b": {"k": 3}})
    assert whats(changed) == ["reuse", "run", "depends", "depends"]
    assert (changed["b"].why, changed["c"].why) == (("param k: 2 -> 3",), ("on what b gives",))
    assert whats(planned(place)) == ["reuse"] * 4
    place.write(CHAIN.replace("return c", "return c + 1"))
    assert whats(planned(place, force=["b"])) == ["reuse", "run", "depends", "run"]
    assert planned(place, force=["b"])["d"].why == ("code of pipeline.d: changed",)
    assert whats(planned(place, targets=["b"])) == ["reuse", "reuse"]


def test_a_plan_counts_partitions(place: Place) -> None:
    """A window that moves by a week pulls one."""
    text = """
        import polars as pl
        @source(every="7d", settles_after="1d")
        def rentals(window: Window) -> pl.DataFrame: return pl.DataFrame({"at": [window.start]})
    """
    place.write(text)
    assert planned(place)["rentals"].parts == 3
    assert place.run().ok
    assert planned(place)["rentals"].what == "reuse"
    assert planned(place, Window.parse("2011-01-10..2011-01-30"))["rentals"].parts == 1


def test_from_a_step_on_all_runs_anew(place: Place) -> None:
    """What is before it is reused; a step that does not exist is named."""
    place.write(CHAIN)
    place.run()
    result = place.run(since=["c"])
    assert list(statuses(result).values()) == ["reused", "reused", "ran", "ran"]
    assert place.why("d") == ("it is forced",)
    assert list(statuses(place.run(since=["b"], targets=["c"])).values()) == ["reused", "ran", "ran"]
    with pytest.raises(UsageError, match="There is no step 'e'"):
        place.run(since=["e"])
