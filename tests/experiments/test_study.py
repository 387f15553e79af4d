"""Ranges as they are declared and typed, and what a study tries next: values to values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kairos.adapters.optuna import is_hopeless, open_searcher
from kairos.errors import UsageError
from kairos.experiments.range_of import declared_range, how_to_say, parse_range, read_param
from kairos.experiments.space import Choices, Number, Params, Space, same
from kairos.experiments.study import Plan, Trial, best_of, check_plan, next_params
from kairos.pipeline import step
from kairos.pipeline.declare import find_spec
from kairos.pipeline.ranges import Between
from kairos.pipeline.reporting import Past, Watch


class Kernel(Enum):
    RBF = "rbf"
    POLY = "poly"
    LINEAR = "linear"


@step
def fit(
    train: int,
    *,
    rate: Annotated[float, Between(1e-3, 0.3, log=True)] = 0.1,
    depth: Annotated[int | None, Between(2, 8, step=2)] = None,
    way: Literal["a", "b", "c"] = "a",
    fast: bool = False,
    lags: tuple[int, ...] = (1, 24),
    rounds: int = 100,
    share: float = 0.0,
    text: str = "1",
    anything: Any = None,
    kernel: Kernel = Kernel.POLY,
    maybe: Literal["a", "b"] | None = None,
    either: Literal[Kernel.RBF, Kernel.LINEAR] | None = None,
) -> int:
    """Every kind of param that there is."""
    return train


def of(name: str) -> Any:
    spec = find_spec(fit)
    assert spec is not None
    return read_param(spec, name)


def test_a_declaration_may_say_the_range() -> None:
    """By ``Between``, as ``Literal`` or as a truth value; other types say none, and none is guessed."""
    assert declared_range(of("rate")) == Number(low=1e-3, high=0.3, is_whole=False, log=True)
    assert declared_range(of("depth")) == Number(low=2, high=8, is_whole=True, step=2)
    assert declared_range(of("way")) == Choices(values=("a", "b", "c"))
    assert declared_range(of("kernel")) == Choices(values=("RBF", "POLY", "LINEAR"))
    assert declared_range(of("either")) == Choices(values=("RBF", "LINEAR"))
    assert declared_range(of("fast")) == Choices(values=(False, True))
    for name in ("lags", "rounds", "share", "text", "anything"):
        assert declared_range(of(name)) is None
    assert how_to_say(of("rounds")) == "--space fit.rounds=25..400"
    assert how_to_say(of("lags")) == "--space 'fit.lags=[[1, 24], …]'"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("rounds", "10..200", Number(low=10, high=200, is_whole=True)),
        ("rounds", "10..1e3", None),
        ("rate", "1e-4..1e-1:log", Number(low=1e-4, high=0.1, is_whole=False, log=True)),
        ("share", "0..1:step=0.25", Number(low=0.0, high=1.0, is_whole=False, step=0.25)),
        ("share", "-2..-1", Number(low=-2.0, high=-1.0, is_whole=False)),
        ("share", "0..1:log", None),
        ("share", "1..0", None),
        ("share", "0..1:stp=1", None),
        ("share", "1,2", Choices(values=(1.0, 2.0))),
        ("share", "1", None),
        ("share", "1,1.0", None),
        ("way", "a,c", Choices(values=("a", "c"))),
        ("way", "a,d", None),
        ("way", "1..2", None),
        ("text", "1,2", Choices(values=("1", "2"))),
        ("fast", "true,false", Choices(values=(True, False))),
        ("fast", "1,0", None),
        ("rounds", "true,false", None),
        ("lags", "[[1], [1, 24]]", Choices(values=([1], [1, 24]))),
        ("lags", "[[1], [1, 24]", None),
        ("kernel", "LINEAR,rbf", Choices(values=("LINEAR", "RBF"))),
        ("kernel", "RBF,rbf", None),
        ("kernel", "RBF,RBV", None),
        ("kernel", "1..2", None),
        ("either", "RBF,POLY", None),
        ("either", "null,RBF", Choices(values=(None, "RBF"))),
        ("maybe", "null,b", Choices(values=(None, "b"))),
        ("depth", "2,4", Choices(values=(2, 4))),
        ("depth", "null,4", Choices(values=(None, 4))),
        ("anything", "1..3", Number(low=1, high=3, is_whole=True)),
        ("anything", '[null, 1, "1"]', Choices(values=(None, 1, "1"))),
    ],
)
def test_what_is_typed_has_the_type_of_the_param(name: str, text: str, found: object) -> None:
    """Or is refused, with the param's name."""
    if found is None:
        with pytest.raises(UsageError, match=f"fit.{name}"):
            parse_range(of(name), text)
        return
    read = parse_range(of(name), text)
    assert read == found
    if isinstance(read, Choices):
        assert isinstance(found, Choices)
        assert [type(value) for value in read.values] == [type(value) for value in found.values]


LAGS = Choices(values=((1,), (1, 24), None, 1, True))
SPACE = Space(
    {
        "fit.rate": Number(low=1e-3, high=0.3, is_whole=False, log=True),
        "fit.depth": Number(low=2, high=8, is_whole=True, step=2),
        "fit.lags": LAGS,
    }
)
FINITE = Space({name: known for name, known in SPACE.ranges.items() if name != "fit.rate"})


def loss(params: Params) -> float:
    return float(
        abs(math.log(params.get("fit.rate", 0.02) / 0.02)) + abs(params["fit.depth"] - 4) + (params["fit.lags"] != (1,))
    )


def tried(plan: Plan, count: int, past: Sequence[Trial] = ()) -> list[Trial]:
    searcher, trials = open_searcher(), list(past)
    while len(trials) < count:
        params = next_params(plan, len(trials), trials, [], searcher)
        if params is None:
            break
        trials.append(Trial(number=len(trials), params=params, state="finished", value=loss(params)))
    return trials


@given(seed=some.integers(0, 2**40), stop=some.integers(0, 14), sampler=some.sampled_from(["tpe", "qmc", "random"]))
@settings(max_examples=10, deadline=None)
def test_who_goes_on_tries_what_would_have_been_tried(seed: int, stop: int, sampler: Any) -> None:
    """Wherever a search was cut off; what comes next follows from the trials alone, and all are within their ranges."""
    plan = Plan(space=SPACE, current={"fit.rate": 1.0, "fit.depth": 3, "fit.lags": ()}, sampler=sampler, seed=seed)
    whole = tried(plan, 14)
    assert tried(plan, 14, whole[:stop]) == whole
    for trial in whole[1:]:
        assert 1e-3 <= trial.params["fit.rate"] <= 0.3
        assert trial.params["fit.depth"] in (2, 4, 6, 8)
        assert any(same(trial.params["fit.lags"], value) for value in (LAGS.values))


def test_a_search_learns_from_its_trials() -> None:
    """After as many trials TPE has found better than chance, in most of ten searches."""
    better = 0
    for seed in range(10):
        current = {"fit.rate": 0.3, "fit.depth": 8, "fit.lags": None}
        both = [
            best_of(tried(Plan(space=SPACE, current=current, sampler=sampler, seed=seed), 40))
            for sampler in ("tpe", "random")
        ]
        assert both[0] is not None
        assert both[1] is not None
        better += (both[0].value or 0) < (both[1].value or 0)
    assert better >= 8


def test_nothing_is_tried_twice_until_all_was_tried() -> None:
    """Whatever the sampler; ``1`` and ``True`` are two choices."""
    for sampler in ("grid", "tpe", "qmc", "random"):
        plan = Plan(space=FINITE, current={"fit.depth": 2, "fit.lags": None}, sampler=sampler)
        check_plan(plan)
        trials = tried(plan, 100)
        assert len(trials) == 20
        assert len({repr(trial.params) for trial in trials}) == 20
    with pytest.raises(UsageError, match=r"A grid over fit\.rate has no end"):
        check_plan(Plan(space=SPACE, current={}, sampler="grid"))


def test_trials_at_once_try_different_params() -> None:
    """What is running counts as tried."""
    plan, searcher = Plan(space=FINITE, current={"fit.depth": 2, "fit.lags": None}, seed=1), open_searcher()
    past = tried(plan, 12)
    running: list[Params] = []
    for number in range(12, 20):
        found = next_params(plan, number, past, running, searcher)
        assert found is not None
        running.append(found)
    assert len({repr(params) for params in running}) == 8
    assert next_params(plan, 20, past, running, searcher) is None


def test_the_best_is_the_lowest_and_of_equals_the_first() -> None:
    """Of trials that came to their end; a loss that is no number is none."""

    def trial(number: int, value: float, state: Any = "finished") -> Trial:
        return Trial(number=number, params={}, state=state, value=value)

    assert best_of([trial(0, 2.0), trial(1, 1.0), trial(2, 1.0), trial(3, 0.1, "pruned")]) == trial(1, 1.0)
    assert best_of([trial(0, math.inf)]) is None


def test_who_is_worse_than_most_has_no_hope() -> None:
    """From the fifth trial on, at a step that others reached; the best value so far counts."""
    watch = Watch(judge="", way="median")
    past = [Past(number, [(0, 1.0), (1, 0.5)]) for number in range(5)]
    assert is_hopeless(watch, past, [(0, 1.1)])
    assert not is_hopeless(watch, past, [(0, 0.9)])
    assert not is_hopeless(watch, past, [(0, 0.4), (1, 0.9)])
    assert not is_hopeless(watch, past[:4], [(0, 1.1)])
    assert not is_hopeless(watch, past, [(7, 9.0)])


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random", "grid"])
@pytest.mark.parametrize(
    ("known", "values"),
    [
        (Number(low=0.2, high=1.0, is_whole=False, step=0.2), [0.2, 0.4, 0.6, 0.8, 1.0]),
        (Number(low=0.0, high=1.0, is_whole=False, step=0.3), [0.0, 0.3, 0.6, 0.9]),
        (Number(low=1, high=10, is_whole=True, step=4), [1, 5, 9]),
        (Number(low=1, high=3, is_whole=True, log=True), [1, 2, 3]),
    ],
)
def test_steps_are_the_same_numbers_whoever_proposes_them(sampler: Any, known: Number, values: list[float]) -> None:
    """To the last digit, so none is tried twice; a range need not end with a step, and nobody complains of it."""
    plan = Plan(space=Space({"fit.depth": known}), current={"fit.depth": values[0]}, sampler=sampler, seed=1)
    searcher, past = open_searcher(), list[Trial]()
    while (params := next_params(plan, len(past), past, [], searcher)) is not None:
        past.append(Trial(number=len(past), params=params, state="finished", value=1.0))
    assert sorted(trial.params["fit.depth"] for trial in past) == values
    assert all(known.place(value) == place for place, value in enumerate(values))
    assert known.place(values[0] + 0.1) is known.place(values[-1] + 5) is known.place(True) is None


def test_what_failed_is_not_sought_again() -> None:
    """A search that forgets failed trials, as Optuna does, goes on proposing their like."""
    space = Space({"fit.rate": SPACE.ranges["fit.rate"], "fit.way": Choices(values=("fine", "broken"))})
    past = [
        Trial(number=0, params={"fit.rate": 0.02, "fit.way": "fine"}, state="finished", value=1.0),
        *(
            Trial(number=n, params={"fit.rate": 0.02 + n / 1000, "fit.way": "broken"}, state="failed", why="it broke")
            for n in range(1, 16)
        ),
        Trial(number=16, params={"fit.rate": 0.1, "fit.way": "fine"}, state="finished", value=2.0),
    ]
    plan, searcher = Plan(space=space, current=past[0].params), open_searcher()
    found = [searcher.propose(plan, past, [], number=17, seed=seed)["fit.way"] for seed in range(40)]
    assert found.count("broken") < 10


def test_a_sequence_lies_evenly_wherever_it_ends() -> None:
    """By number alone: who goes on, or makes several at once, goes on with the sequence. Each choice has its share."""
    plan = Plan(space=SPACE, current={"fit.rate": 1.0, "fit.depth": 3, "fit.lags": ()}, sampler="qmc", seed=7)
    trials = tried(plan, 65)[1:]
    assert tried(plan, 65, tried(plan, 30))[1:] == trials
    rates = np.sort([math.log(trial.params["fit.rate"] / 1e-3) / math.log(300) for trial in trials])
    assert np.abs(rates - (np.arange(64) + 0.5) / 64).max() < 1.1 / 64  # chance alone would be 0.1 off
    assert {depth: sum(t.params["fit.depth"] == depth for t in trials) for depth in (2, 4, 6, 8)} == dict.fromkeys(
        (2, 4, 6, 8), 16
    )
    places = [LAGS.place(trial.params["fit.lags"]) for trial in trials]
    assert all(abs(places.count(place) - 64 / 5) <= 2 for place in range(5))
    assert tried(replace(plan, seed=8), 4) != tried(plan, 4)


@pytest.mark.parametrize(
    ("known", "shares"),
    [
        (Number(low=1, high=100, is_whole=True, log=True), {0.0: 1, 0.999999: 100}),
        (Number(low=1, high=3, is_whole=True), {0.0: 1, 0.34: 2, 0.999999: 3}),
        (Number(low=0.0, high=1.0, is_whole=False, step=0.25), {0.0: 0.0, 0.5: 0.5, 0.999999: 1.0}),
        (Number(low=0.0, high=1.0, is_whole=False, step=0.3), {0.0: 0.0, 0.999999: 0.9}),
        (Number(low=-2.0, high=2.0, is_whole=False), {0.0: -2.0, 0.5: 0.0}),
    ],
)
def test_a_share_of_a_range_is_a_value_of_it(known: Number, shares: dict[float, float]) -> None:
    """Both ends are tried; steps begin at the lower one."""
    for share, value in shares.items():
        assert known.at(share) == pytest.approx(value)
        assert type(known.at(share)) is (int if known.is_whole else float)
