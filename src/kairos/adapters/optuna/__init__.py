"""Optuna's samplers and pruners, each asked anew with all that is known: no study of Optuna's own is kept anywhere.

The only folder that imports ``optuna``. A study lives for one question, in memory: its state is the trials in the
ledger, so there is no database to lock, to lose, or to be left with trials that run for ever.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from kairos.experiments.space import Choices, Number, Params, Range
from kairos.experiments.study import Plan, Pruner, Trial
from kairos.pipeline.reporting import Curve, Past, Watch

__all__ = ["OptunaSearcher", "is_hopeless", "open_searcher"]

_STARTUP = 10
"""Trials before TPE looks at what came of others."""
_PATIENCE = 5
"""Trials that nothing is stopped in favour of."""


def open_searcher() -> OptunaSearcher:
    """What the entry point names."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearcher()


class OptunaSearcher:
    """Proposes params; keeps what ``experiments.study.Searcher`` promises."""

    def propose(
        self, plan: Plan, past: Sequence[Trial], running: Sequence[Params], *, number: int, seed: int
    ) -> Params:
        """Params to try next, by the plan's sampler."""
        ranges = plan.space.ranges
        if plan.sampler == "qmc":
            return {
                name: each.at(share) for (name, each), share in zip(ranges.items(), _even(plan, number), strict=True)
            }
        distributions = {name: _distribution(each) for name, each in ranges.items()}
        study = optuna.create_study(sampler=_sampler(plan.sampler, seed))
        if plan.sampler == "tpe":  # the others do not look at them
            study.add_trials([told for each in past if (told := _told(each, ranges, distributions)) is not None])
            study.add_trials([_running(params, ranges, distributions) for params in running if _fits(params, ranges)])
        asked = study.ask(distributions)
        return {name: _from_optuna(each, asked.params[name]) for name, each in ranges.items()}


def is_hopeless(watch: Watch, past: Sequence[Past], own: Curve) -> bool:
    """Whether a trial's best value is worse than the median of what others had reported up to the same step.

    Args:
        watch: Whose ``way`` is ``median``, or ``percentile:N`` for another part of the best than half.
        past: Other trials; those that were stopped do not count.
        own: What the trial reported.
    """
    percent = Pruner.parse(watch.way).percent
    pruner = optuna.pruners.PercentilePruner(percent, n_startup_trials=_PATIENCE)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(pruner=pruner)
    done = [each.curve for each in past if each.is_finished]
    study.add_trials([create_trial(value=0.0, intermediate_values=dict(curve)) for curve in done])
    trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(own))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of values none of which is a number: such a trial has no hope
        return bool(pruner.prune(study, trial))


def _even(plan: Plan, number: int) -> list[float]:
    """A point of a scrambled Sobol sequence, in [0, 1) for each param: whatever its length, they lie evenly."""
    from scipy.stats import qmc  # which takes half a second to load

    points = qmc.Sobol(len(plan.space.ranges), scramble=True, seed=plan.seed)
    if number > 1:
        points.fast_forward(number - 1)
    return [float(share) for share in points.random(1)[0]]


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # constant_liar was one for long
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=False, constant_liar=True)


def _distribution(known: Range) -> BaseDistribution:
    """Choices are told by their places: Optuna knows no lists, and takes ``1`` for ``True``.

    So are numbers in steps: its sums are not ours to the last digit, and the same number would be tried twice.
    """
    if isinstance(known, Choices):
        return CategoricalDistribution(range(known.count))
    if known.step is not None:
        return IntDistribution(0, (known.count or 1) - 1)
    if known.is_whole:
        return IntDistribution(int(known.low), int(known.high), log=known.log)
    return FloatDistribution(known.low, known.high, log=known.log)


def _from_optuna(known: Range, value: Any) -> Any:
    if _is_told_by_place(known):
        return known.value(int(value))
    assert isinstance(known, Number)
    return int(value) if known.is_whole else float(value)


def _in_optuna(known: Range, value: Any) -> Any:
    return known.place(value) if _is_told_by_place(known) else value


def _is_told_by_place(known: Range) -> bool:
    return isinstance(known, Choices) or known.step is not None


def _fits(params: Params, ranges: Mapping[str, Range]) -> bool:
    """Whether all are in their ranges: the current ones need not be, and Optuna takes no others."""
    for name, known in ranges.items():
        value = params[name]
        if isinstance(known, Choices) or known.step is not None:
            if known.place(value) is None:
                return False
        elif isinstance(value, bool) or not isinstance(value, int | float) or not known.low <= value <= known.high:
            return False
    return True


def _told(trial: Trial, ranges: Any, distributions: dict[str, BaseDistribution]) -> FrozenTrial | None:
    if not _fits(trial.params, ranges):
        return None
    curve = next(iter(trial.curves.values()), ())
    params = {name: _in_optuna(known, trial.params[name]) for name, known in ranges.items()}
    if trial.state == "failed" or trial.value is None:  # worse than all others: who forgets it, tries its like again
        return create_trial(state=TrialState.PRUNED, params=params, distributions=distributions)
    if trial.state == "pruned":
        return create_trial(
            state=TrialState.PRUNED,
            value=trial.value,
            params=params,
            distributions=distributions,
            intermediate_values=dict(curve),
        )
    return create_trial(value=trial.value, params=params, distributions=distributions)


def _running(params: Params, ranges: Any, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    told = {name: _in_optuna(known, params[name]) for name, known in ranges.items()}
    return create_trial(state=TrialState.RUNNING, params=told, distributions=distributions)
