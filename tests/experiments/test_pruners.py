"""What stops a trial early decides as Optuna's own pruners do, without a study of Optuna's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kairos.adapters.optuna import is_hopeless as is_far_behind
from kairos.errors import UsageError
from kairos.experiments.halving import is_hopeless as is_halved
from kairos.experiments.space import Choices, Space
from kairos.experiments.study import Plan, Pruner, check_plan
from kairos.pipeline.reporting import Past, Watch

STUDY = "s801e5375c8"
Judge = Callable[[Watch, Sequence[Past], Any], bool]


def curves(seed: int, trials: int, steps: int) -> list[list[float]]:
    """Losses that fall at different rates and cross; a few are no number."""
    random = np.random.default_rng(seed)
    at = np.arange(steps)
    found = [
        random.normal(3, 1) * np.exp(-at / random.uniform(3, 40)) + random.normal(0, 0.1, steps) for _ in range(trials)
    ]
    for curve in found[1:]:
        curve[random.random(steps) < 0.01] = math.nan
    return [curve.tolist() for curve in found]


def ends(judge: Judge, way: str, told: Sequence[Sequence[float]]) -> list[int]:
    """Where each of some trials, made one after the other, was stopped or came to its end."""
    past: list[Past] = []
    for number, curve in enumerate(told):
        watch = Watch(judge="", way=way, study=STUDY, number=number)
        for step in range(len(curve)):
            own = list(enumerate(curve[: step + 1]))
            if past and judge(watch, past, own):
                past.append(Past(number, own, is_finished=False))
                break
        else:
            past.append(Past(number, own))
    return [len(each.curve) for each in past]


def ends_in_optuna(pruner: optuna.pruners.BasePruner, told: Sequence[Sequence[float]]) -> list[int]:
    """The same, by a study of its own."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=STUDY, pruner=pruner)
    found = []
    for curve in told:
        trial = study.ask()
        for step, loss in enumerate(curve):
            trial.report(loss, step)
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                is_pruned = trial.should_prune()
            if is_pruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, 1.0)
        found.append(step + 1)
    return found


@pytest.mark.parametrize(
    ("way", "judge", "pruner"),
    [
        ("median", is_far_behind, lambda steps: optuna.pruners.MedianPruner(n_startup_trials=5)),
        ("percentile:25", is_far_behind, lambda steps: optuna.pruners.PercentilePruner(25.0, n_startup_trials=5)),
        ("successive-halving", is_halved, lambda steps: optuna.pruners.SuccessiveHalvingPruner(min_resource=1)),
        ("hyperband", is_halved, lambda steps: optuna.pruners.HyperbandPruner(max_resource=steps)),
    ],
)
@given(seed=some.integers(0, 2**32), trials=some.integers(2, 12), steps=some.sampled_from([1, 2, 5, 20, 130]))
@settings(max_examples=12, deadline=None)
def test_a_trial_is_stopped_where_optuna_would_stop_it(
    way: str, judge: Judge, pruner: Callable[[int], Any], seed: int, trials: int, steps: int
) -> None:
    """At the same step, whatever the curves do. (Left to find out how long a way is, it would forget the first one.)"""
    told = curves(seed, trials, steps)
    assert ends(judge, way, told) == ends_in_optuna(pruner(steps), told)


def test_halving_lets_a_quarter_go_on_and_hyperband_leaves_some_alone() -> None:
    """Of many trials that differ from the first step on; nobody is stopped before one came to its end."""
    told = [[float(loss)] * 70 for loss in np.random.default_rng(0).permutation(64)]
    halved, banded = ends(is_halved, "successive-halving", told), ends(is_halved, "hyperband", told)
    assert set(halved) <= {2, 5, 17, 65, 70}  # rungs at 1, 4, 16 and 64 steps
    assert halved[0] == banded[0] == 70
    assert halved.count(2) > 32
    best = int(np.argmin([curve[0] for curve in told]))
    assert halved[best] == 70
    assert sum(banded) > sum(halved)
    watch = Watch(judge="", way="hyperband", study=STUDY, number=1)
    assert not is_halved(watch, [Past(0, [(0, 1.0), (1, 1.0)], is_finished=False)], [(0, 9.0), (1, 9.0)])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("median", Pruner(way="median")),
        ("percentile", Pruner(way="percentile", percent=25.0)),
        ("percentile:7.5", Pruner(way="percentile", percent=7.5)),
        ("hyperbant", "There is no such pruner.*Did you mean 'hyperband'"),
        ("percentile:0", "percentile cannot be so"),
        ("percentile:x", "percentile cannot be so"),
        ("median:20", "median cannot be so"),
    ],
)
def test_what_is_typed_names_a_pruner(text: str, found: object) -> None:
    """Or is refused before anything runs."""
    if isinstance(found, Pruner):
        assert Pruner.parse(text) == found
        return
    space = Space({"fit.fast": Choices(values=(False, True))})
    with pytest.raises(UsageError, match=str(found)):
        check_plan(Plan(space=space, current={"fit.fast": True}, pruner=text))
