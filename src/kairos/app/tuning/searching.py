"""A search from its question to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from importlib.metadata import entry_points

from kairos.app.project import Project
from kairos.app.tuning.events import Event, Prepares, Tuned
from kairos.app.tuning.opening import model_called, open_question, read_space
from kairos.app.tuning.question import ByStep
from kairos.app.tuning.search import Search
from kairos.app.tuning.window import Chosen, choose_window
from kairos.errors import AdapterMissing
from kairos.experiments.study import Plan, Sampler, Searcher
from kairos.pipeline.code import Reached
from kairos.values import Window

__all__ = ["tune"]


def tune(
    project: Project,
    name: str,
    *,
    trials: int,
    window: Window | None = None,
    params: ByStep | None = None,
    spaces: Sequence[str] = (),
    sampler: Sampler = "tpe",
    pruner: str = "median",
    prune_after: int = 0,
    seed: int = 0,
    workers: int = 1,
    time_limit: timedelta | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Tuned:
    """Searches params of a model, and judges the best on rows that the search never saw.

    Args:
        project: Whose.
        name: Of the model.
        trials: So many in all, with those that the study has already; the first are the current params.
        window: Of the runs that are compared at the end; ``None``: as ``choose_window`` has it.
        params: What the whole study has other than by default, by step.
        spaces: Ranges; none: as the settings or the declarations say.
        sampler: How to search.
        pruner: What stops a trial early, as ``Pruner.parse`` reads it.
        prune_after: Not before this step of its own count.
        seed: Of the search.
        workers: Trials at once.
        time_limit: After it no trial begins; those that run are waited for.
        on_event: Told how it gets on.

    Raises:
        UsageError: something typed is not accepted; nothing ran.
        AdapterMissing: Optuna is not installed; nothing ran.
        StepFailed: the model cannot be made with its current params.
        KeyboardInterrupt: somebody stopped it; what is over is kept.
    """
    searcher = _searcher()
    model = model_called(project, name)
    base = params or {}

    def settle(plan: Plan, reached: Mapping[str, Reached]) -> Window:
        known = None if window is None else Chosen(window=window)
        chosen = known or choose_window(project, model, plan, base, reached, trials)
        on_event(Prepares(window=chosen.window, study=chosen.study))
        return chosen.window

    question, before = open_question(
        project,
        model,
        window=settle,
        base=base,
        space=partial(read_space, model=model, spaces=spaces or model.tune),
        plan=partial(Plan, sampler=sampler, pruner=pruner, prune_after=prune_after, seed=seed),
        on_event=on_event,
    )
    with ExitStack() as stack:
        projects = [project, *(stack.enter_context(_beside(project)) for _ in range(workers - 1))]
        claims = project.cache.claims()
        stack.callback(claims.close)
        search = Search(project, question, searcher, claims, projects, trials, time_limit, on_event)
        search.begin(before)
        search.run()
        return search.end(before)


def _beside(project: Project) -> Project:
    """The same project with workers and files of its own, for a trial beside others."""
    beside = Project(
        project.root,
        home=project.home,
        clock=project.clock,
        actor=project.actor,
        workers=1,
        stopping=project.stopping,
    )
    beside.settings = project.settings  # as they were when the search began
    return beside


def _searcher() -> Searcher:
    for entry in entry_points(group="kairos.adapters", name="optuna"):
        try:
            searcher: Searcher = entry.load()()
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kairos"):
                raise
            break
        return searcher
    raise AdapterMissing("A search needs Optuna, which is not installed.", hint="Type: pip install 'kairos-ml[optuna]'")
