"""A run reuses what is unchanged, keeps what is finished, and says what it did."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kairos.errors import GraphError, NotFound, UsageError
from kairos.pipeline.artifacts import decode
from kairos.pipeline.result import StepEvent
from kairos.pipeline.run import RunResult
from kairos.values import Window, canonical_json
from tests.pipeline.projects import WINDOW, Finisher, Place, statuses

CHAIN = """
    class Split(NamedTuple):
        train: int
        holdout: int

    @source(settles_after="1d")
    def rentals(window: Window) -> int: return 10
    @step
    def features(rentals: int, *, lag: int = 1, by: tuple = (1,)) -> int: return rentals + lag + by[0]
    @step
    def split(features: int) -> Split: return Split(features - 2, 2)
    @model(target="users")
    def demand(train: int, *, depth: int = 3, seed: int = 7) -> str: return f"{train} {depth} {seed}"
"""
ALL_RAN = dict.fromkeys(["rentals", "features", "split", "demand"], "ran")


def test_a_run_gives_artifacts_and_packages(place: Place, tmp_path: Path) -> None:
    """Outputs are found by name; a model's is the package that the finisher wrote, with the steps behind it."""
    result = place.run(CHAIN)
    assert result.ok
    assert statuses(result) == ALL_RAN
    assert decode(place.store, result.artifact("split.holdout"), workdir=tmp_path) == 2
    package = place.store.listing(result.models["demand"])
    assert place.store.get_bytes(package["model.txt"]) == b"10 3 7 users "
    assert place.store.get_bytes(package["lineage.txt"]) == b"demand features rentals split"
    with pytest.raises(NotFound, match=r"no artifact 'split.trian'.*Did you mean 'split.train'\?"):
        result.artifact("split.trian")


def test_what_is_unchanged_is_reused(place: Place) -> None:
    """The second run starts nothing, and has the same outputs and the same name, as the clock stands still."""
    first, second = place.run(CHAIN), place.run()
    assert set(statuses(second).values()) == {"reused"}
    assert [event.what for event in place.events] == ["reused"] * 4
    assert second.models == first.models
    assert second.id == first.id


def test_comments_and_docstrings_change_nothing(place: Place) -> None:
    """Only what a step computes with counts."""
    place.run(CHAIN)
    edited = CHAIN.replace("@step\n    def features", "# better\n    @step\n    def features")
    assert set(statuses(place.run(edited)).values()) == {"reused"}


def test_a_changed_step_runs_and_cuts_off_what_gets_equal_inputs(place: Place) -> None:
    """Steps after a change run only if their inputs differ; why a step ran names the change."""
    place.run(CHAIN)
    result = place.run(CHAIN.replace("rentals + lag + by[0]", "by[0] + lag + rentals"))
    assert statuses(result) == {"rentals": "reused", "features": "ran", "split": "reused", "demand": "reused"}
    assert place.why("features") == ("code of pipeline.features: changed",)
    result = place.run(params={"features": {"lag": 2}})
    assert statuses(result) == {"rentals": "reused", "features": "ran", "split": "ran", "demand": "ran"}
    assert place.why("features") == ("param lag: 1 -> 2",)
    assert place.why("demand")[0].startswith("input train: json:")


def test_why_compares_with_the_last_run(place: Place) -> None:
    """A result that was reused in between is the last one, not the one that was made last."""
    for lag in (1, 2, 1, 3):
        place.run(CHAIN, params={"features": {"lag": lag}})
    assert place.why("features") == ("param lag: 1 -> 3",)


def test_why_of_a_first_run(place: Place) -> None:
    """There is nothing to compare with."""
    place.run(CHAIN)
    assert place.why("split") == ("it has not run before",)


def test_types_of_params_count(place: Place) -> None:
    """``1`` is not ``True``, and a list is not a tuple."""
    place.run(CHAIN)
    for value in (True, 1.0):
        assert statuses(place.run(params={"features": {"lag": value}}))["features"] == "ran"
    assert statuses(place.run(params={"features": {"by": [1]}}))["features"] == "ran"
    assert statuses(place.run(params={"features": {"by": (1,)}}))["features"] == "reused"


def test_seed_and_finishing_count(place: Place) -> None:
    """A model is made again for another seed, and for other settings of its packaging."""
    place.run(CHAIN)
    assert statuses(place.run(params={"demand": {"seed": 8}}))["demand"] == "ran"
    assert place.why("demand") == ("seed: 7 -> 8",)
    result = place.run(finisher=Finisher(note="clipped"))
    assert statuses(result)["demand"] == "ran"
    package = place.store.listing(result.models["demand"])
    assert place.store.get_bytes(package["model.txt"]) == b"10 3 7 users clipped"


def test_forced_steps_run(place: Place) -> None:
    """What comes after them is still cut off by equal data."""
    place.run(CHAIN)
    result = place.run(force=["features"])
    assert statuses(result) == {"rentals": "reused", "features": "ran", "split": "reused", "demand": "reused"}


def test_targets_need_only_what_is_before_them(place: Place) -> None:
    """A target is a step or an artifact."""
    assert list(statuses(place.run(CHAIN, targets=["features"]))) == ["rentals", "features"]
    assert list(statuses(place.run(targets=["split.train"]))) == ["rentals", "features", "split"]


def test_a_result_that_is_gone_is_made_again(place: Place) -> None:
    """The cache is believed only as far as the store still has the bytes."""
    first = place.run(CHAIN)
    shutil.rmtree(place.store.root)
    second = place.run()
    assert statuses(second) == ALL_RAN
    assert second.models == first.models


def test_a_param_that_may_be_text_takes_text(place: Place) -> None:
    """Its annotation says so; and a whole number is a number."""
    text = "@step\ndef a(*, n: int | str = 1, x: float = 0.5, y=None): return [n, x, y]"
    assert place.run(text, params={"a": {"n": "all", "x": 1, "y": "z"}}).ok


MISTAKES = [
    ({"params": {"featurs": {"lag": 1}}}, UsageError, r"no step 'featurs'.*Did you mean 'features'\?"),
    ({"params": {"features": {"lags": 1}}}, UsageError, r"'features' has no param 'lags'. Accepted: lag, by.*'lag'\?"),
    ({"params": {"split": {"x": 1}}}, UsageError, r"'split' has no param 'x'. Accepted: it has none"),
    ({"params": {"features": {"lag": object()}}}, UsageError, r"A param of step 'features' cannot be written down"),
    ({"params": {"demand": {"seed": "x"}}}, UsageError, r"The seed of step 'demand' is no whole number. Given: x"),
    ({"params": {"features": {"lag": "3"}}}, UsageError, r"'lag' of step 'features' is a whole number. Given: 3. Acc"),
    (
        {"text": "@step\ndef a(*, n: bool = True): return n", "params": {"a": {"n": "False"}}},
        UsageError,
        "true or false",
    ),
    (
        {"text": "@step\ndef a(*, n=True): return n", "params": {"a": {"n": 0}}},
        UsageError,
        "is a truth value. Given: 0",
    ),
    ({"targets": ["demnd"]}, UsageError, r"'demnd' names no artifact.*Did you mean 'demand'\?"),
    ({"force": ["rental"]}, UsageError, r"no step 'rental'.*Did you mean 'rentals'\?"),
    ({"text": "@step\ndef a(*, n): return n"}, UsageError, r"Step 'a' needs a value for 'n'. Type: -p a.n=VALUE"),
    ({"text": "@step\ndef a(b): return b\n@step\ndef b(a): return a"}, GraphError, r"circle. Given: a -> b -> a"),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES)
def test_mistakes_stop_the_run_before_it_starts(
    place: Place, call: dict[str, object], kind: type[Exception], message: str
) -> None:
    """Nothing runs, and the nearest right name is in the message."""
    with pytest.raises(kind, match=message):
        place.run(**{"text": CHAIN, **call})  # type: ignore[arg-type]
    assert not place.events


def test_a_failed_step_leaves_everything_before_it(place: Place) -> None:
    """The failure is told with the user's own traceback; the next run continues where this one stopped."""
    broken = CHAIN.replace("return Split(features - 2, 2)", "return Split(features / 0, 2)")
    result = place.run(broken)
    assert not result.ok
    assert statuses(result) == {"rentals": "ran", "features": "ran", "split": "failed", "demand": "not_run"}
    assert result.failure is not None
    assert (result.failure.step, result.failure.type) == ("split", "ZeroDivisionError")
    assert result.failure.message == "Step 'split' failed (pipeline.py, line 15): ZeroDivisionError: division by zero"
    assert "return Split(features / 0, 2)" in result.failure.traceback
    assert "worker.py" not in result.failure.traceback
    again = place.run(CHAIN)
    assert again.ok
    assert statuses(again) == {"rentals": "reused", "features": "reused", "split": "ran", "demand": "ran"}


def test_steps_beside_a_failed_one_are_finished_and_kept(place: Place) -> None:
    """The failed step fails only when its neighbour is at work; the neighbour's result is not thrown away."""
    text = """
        import time
        from pathlib import Path
        def until(name):
            while not Path(name).exists(): time.sleep(0.01)
        @step
        def fails() -> int:
            until("working")
            raise ValueError("no")
        @step
        def works() -> int:
            Path("working").touch()
            until("failed")
            return 1
        @step
        def after(works: int) -> int: return works
    """

    def tell(event: StepEvent) -> None:
        if event.what == "failed":
            (place.root / "failed").touch()

    result = place.run(text, on_event=tell)
    assert statuses(result) == {"fails": "failed", "works": "ran", "after": "not_run"}
    assert statuses(place.run())["works"] == "reused"


def test_all_steps_that_failed_side_by_side_are_told(place: Place) -> None:
    """The first one stops the run, and the other's error is not lost: in the result and in the fact."""
    text = """
        import time
        from pathlib import Path
        def until(name):
            while not Path(name).exists(): time.sleep(0.01)
        @step
        def one() -> int:
            Path("one").touch()
            until("two")
            raise ValueError("no")
        @step
        def two() -> int:
            Path("two").touch()
            until("one")
            raise KeyError("neither")
    """
    result = place.run(text)
    assert result.failure is not None
    [other] = result.also_failed
    assert {result.failure.step, other.step} == {"one", "two"}
    assert "raise" in other.traceback
    assert result.plain()["also_failed"] == [other.plain()]


def test_the_plain_form_is_a_fact(place: Place) -> None:
    """No duration, no path of this machine, no chance: equal runs in two folders at one time are equal bytes."""
    plain = place.run(CHAIN).plain()
    assert str(place.root) not in json.dumps(plain)
    other = Place(place.root / "elsewhere", place.engine)
    other.root.mkdir(exist_ok=True)
    assert canonical_json(other.run(CHAIN).plain()) == canonical_json(plain)
    other.cache.close()
    assert plain["steps"][2]["inputs"] == {"features": plain["steps"][1]["outputs"][0]["digest"]}
    assert plain["steps"][1]["params"] == {"lag": 1, "by": {"$tuple": [1]}}


def test_a_path_in_a_message_is_told_from_the_project_on(place: Place) -> None:
    """Failures are facts too."""
    result = place.run("from pathlib import Path\n@step\ndef a() -> str: return Path('x.csv').absolute().read_text()")
    assert result.failure is not None
    assert "No such file or directory: 'x.csv'" in result.failure.message


def test_a_later_run_has_another_name(place: Place) -> None:
    """A run's name comes from what it computed and when it began."""
    first = place.run(CHAIN)
    place.clock.move_to(datetime(2011, 3, 1, tzinfo=UTC))
    second = place.run()
    assert second.id != first.id
    assert replace(second, started_at=first.started_at).id == first.id


def test_a_result_that_cannot_be_stored_fails_its_step(place: Place) -> None:
    """With the step's name; the user's code did nothing wrong, so there is no traceback of hers."""
    result = place.run("@step\ndef a(): return {1, object()}")
    assert result.failure is not None
    assert result.failure.type == "OutputError"
    assert "What step 'a' returned cannot be stored." in result.failure.message
    assert result.failure.traceback == ""


def test_a_window_is_asked_for_as_a_whole_without_every(place: Place) -> None:
    """A source is given the run's window; another window is another computation."""
    text = "@source(settles_after='1d')\ndef a(window: Window) -> str: return str(window)"
    result = place.run(text)
    assert decode(place.store, result.artifact("a"), workdir=place.root) == str(WINDOW)
    place.run(window=Window.parse("2011-01-03..2011-01-09"))
    assert place.why("a") == (f"window: {WINDOW} -> 2011-01-03T00:00:00Z..2011-01-10T00:00:00Z",)


def test_a_model_may_ask_for_more_than_its_inputs(place: Place) -> None:
    """The artifact that its finisher names is made first, reaches ``prepare``, and is part of the model's name."""
    text = """
        @step
        def late() -> str: return "+late"
        @step
        def early() -> str: return "early"
        @model(target="y")
        def a(early: str) -> str: return early
    """
    plain = place.run(text)
    more = place.run(finisher=Finisher(beside=("late",)))
    assert read_model(place, plain) == "early y "
    assert read_model(place, more) == "early+late y "
    assert statuses(place.run(finisher=Finisher(beside=("late",)))) == {
        "late": "reused",
        "early": "reused",
        "a": "reused",
    }


def read_model(place: Place, result: RunResult) -> str:
    """The text that was packaged."""
    folder = place.root / "out"
    place.store.checkout(result.models["a"], folder)
    found = (folder / "model.txt").read_text()
    shutil.rmtree(folder)
    return found


def test_what_a_run_gave_is_on_the_disk_before_it_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps do not wait for the disk to have the names of what they gave; the run does, once, and a failed one too."""
    synced, real = set[str](), os.fsync

    def fsync(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    result = place.run(
        """
        @step
        def a() -> int: return 1
        @step
        def b(a: int) -> str: return "two"
        @step
        def c(b: str) -> int: raise ValueError
        """
    )
    assert statuses(result) == {"a": "ran", "b": "ran", "c": "failed"}
    assert {str(place.store.path(result.artifact(name).digest).parent) for name in ("a", "b")} <= synced
