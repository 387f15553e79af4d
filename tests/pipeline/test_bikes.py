"""The shipped example runs here as it does for a user: real data, real packages."""

from __future__ import annotations

from pathlib import Path

from kairos.examples import copy_example
from kairos.models.finish import FinishModel, ModelOptions
from kairos.models.package import open_package
from kairos.pipeline.frames import decode_frame
from kairos.pipeline.project import PipelineSource
from kairos.pipeline.run import RunResult, run
from kairos.values import Json, Window
from tests.pipeline.projects import Place, statuses

OPTIONS = ModelOptions(target="users", time="hour", lower=0, upper=5000)


def run_bikes(place: Place, window: str, params: dict[str, dict[str, Json]] | None = None) -> RunResult:
    """A run of the example."""
    place.events.clear()
    return run(
        PipelineSource(root=place.root / "bikes"),
        store=place.store,
        cache=place.cache,
        engine=place.engine,
        window=Window.parse(window),
        params={"demand": {"max_iter": 20}, **(params or {})},
        clock=place.clock,
        finish_model=FinishModel(settings={"demand": OPTIONS}),
        on_event=place.events.append,
    )


def test_the_bikes_example_runs_and_is_retrained(place: Place, tmp_path: Path) -> None:
    """A week later one partition is new; a model that would see its answer is refused, and all before it is kept."""
    copy_example("bikes", place.root / "bikes")
    first = run_bikes(place, "2011-01-03..2011-02-27")
    assert first.ok, first.failure
    assert len(decode_frame(place.store, first.artifact("split.holdout"))) > 300
    place.store.checkout(first.models["demand"], tmp_path / "package")
    assert open_package(tmp_path / "package").lineage["fingerprint"] == first.steps[-1].fingerprint

    assert set(statuses(run_bikes(place, "2011-01-03..2011-02-27")).values()) == {"reused"}

    later = run_bikes(place, "2011-01-10..2011-03-06")
    assert later.models != first.models
    assert later.ok, later.failure
    assert [event.parts for event in place.events if event.what == "ran"] == [1, 0, 0, 0]

    told = run_bikes(place, "2011-01-10..2011-03-06", {"features": {"keep_parts": True}})
    assert told.failure is not None
    assert (told.failure.step, told.failure.type) == ("demand", "DataRefused")
    assert statuses(told) == {"rentals": "reused", "features": "ran", "split": "ran", "demand": "failed"}
