"""A run's other seeds: its models made and measured once more with each, to tell what is due to chance alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from kairos.app.inspecting import Inspector
from kairos.app.noting import Notes
from kairos.app.project import Project
from kairos.app.settings import ModelSettings
from kairos.errors import KairosError, UsageError
from kairos.experiments.ports import SeedRecord
from kairos.experiments.spread import spread_metrics
from kairos.pipeline.result import RunResult, RunStopped, StepEvent
from kairos.pipeline.run import work
from kairos.pipeline.seeds import behind, made_anew, with_seed
from kairos.pipeline.setup import Setup
from kairos.values import Digest, Json, plain

__all__ = ["OtherSeeds", "SeedFailure", "check_seeds", "run_seeds"]

MOST = 1000
_AT_ONCE = 32
"""Seeds that are looked after at once; how many steps run at once is the engine's to say."""
_BEAT_S = 0.1
"""As ``pipeline.work`` waits: Ctrl-C is seen then at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedFailure:
    """Why a seed gave no metrics of some model."""

    nth: int
    """Of the run's seeds, whose first is 1."""
    seeds: Mapping[str, int]
    """By model."""
    step: str | None
    """``None``: no step failed, but its measuring; or it was stopped."""
    type: str
    """The exception's name; ``Stopped``: somebody stopped it."""
    message: str
    traceback: str = ""
    """The user's own."""

    def plain(self) -> dict[str, Json]:
        """A JSON object, without the traceback, which names files of this machine."""
        return {
            "nth": self.nth,
            "seeds": dict(self.seeds),
            "step": self.step,
            "type": self.type,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherSeeds:
    """What came of a run's seeds."""

    seeds: Mapping[str, tuple[SeedRecord, ...]] = field(default_factory=dict)
    """By model, the run's own first; a model of which no other seed could be measured is not there."""
    failures: tuple[SeedFailure, ...] = ()
    is_stopped: bool = False
    logged: Mapping[str, Mapping[int, Json]] = field(default_factory=dict)
    """By model and the seed of its step: what the steps behind it logged that a seed makes anew, if they did."""

    def facts(self) -> dict[str, Json]:
        """What the run's fact tells of it."""
        told: dict[str, Json] = {
            model: [self._plain(model, each) for each in records] for model, records in self.seeds.items()
        }
        failed = [{**each.plain(), **self._logged_by(each)} for each in self.failures]
        return {**({"seeds": told} if told else {}), **({"seeds_failed": failed} if failed else {})}

    def _plain(self, model: str, record: SeedRecord) -> dict[str, Json]:
        told = {name: plain(getattr(record, name)) for name in ("seed", "package", "holdout", "metrics")}
        logged = self.logged.get(model, {}).get(record.seed)
        return {**told, **({"logged": logged} if logged else {})}

    def _logged_by(self, failure: SeedFailure) -> dict[str, Json]:
        each = {model: self.logged.get(model, {}).get(seed) for model, seed in failure.seeds.items()}
        found = {model: logged for model, logged in each.items() if logged}
        return {"logged": found} if found else {}

    def metrics(self) -> dict[str, float]:
        """Beside each metric its mean and standard deviation over the seeds."""
        return {
            name: value for model, each in self.seeds.items() for name, value in spread_metrics(model, each).items()
        }


def check_seeds(project: Project, setup: Setup, count: int) -> None:
    """Refuses several seeds where they would tell nothing.

    Raises:
        UsageError: there are too many, or no model of the run is measured.
    """
    if count > MOST:
        raise UsageError("A run cannot have so many seeds.", given=count, accepted=f"1 to {MOST}")
    models = project.settings.models.values()
    if count > 1 and not any(m.step in setup.settings and _holdout_step(m) in setup.settings for m in models):
        raise UsageError(
            "Several seeds tell how much a model's metrics are due to chance, and this run measures no model.",
            given=f"--seeds {count}",
            hint="Set [model.NAME] step and holdout in kairos.toml, and leave --until out.",
        )


def run_seeds(
    project: Project,
    setup: Setup,
    first: RunResult,
    made: Sequence[tuple[ModelSettings, Digest]],
    metrics: Mapping[str, Mapping[str, float]],
    *,
    count: int,
    notes: Notes,
    on_event: Callable[[StepEvent], None],
) -> OtherSeeds:
    """Makes and measures a run's models with its other seeds, several at once; a failure ends its own seed alone.

    Args:
        project: Whose.
        setup: Of the run.
        first: What came of it.
        made: Its models with their packages.
        metrics: By model.
        count: Seeds, with the run's own.
        notes: Of the run.
        on_event: Told of each step, under a name that says which seed; called by one thread at a time.
    """
    models = [model for model, _ in made]
    steps = {step for model in models for step in (model.step, _holdout_step(model))}
    setups = [
        replace(with_seed(setup, first, nth, steps=steps), engine=notes.another_engine()) for nth in range(1, count)
    ]
    results, is_stopped = _worked(project, setups, count, on_event)
    found: dict[str, list[SeedRecord]] = {model.name: [] for model in models}
    failures: list[SeedFailure] = []
    left = {other.nth_seed: other for other in setups}
    try:
        for other, result in zip(setups, results, strict=True):
            for each in _measured(project, other, result, models):
                if isinstance(each, SeedFailure):
                    failures.append(each)
                else:
                    found[each[0]].append(each[1])
            del left[other.nth_seed]
    except KeyboardInterrupt:
        is_stopped = True
        failures += [_stopped(other, models) for other in left.values()]
    own = {model.name: _record(setup, first, model, package, metrics[model.name]) for model, package in made}
    if is_stopped:
        notes.hear_out()
    logged = _logged(notes, models, [(setup, first), *zip(setups, results, strict=True)])
    return OtherSeeds(
        logged=logged,
        seeds={name: (own[name], *others) for name, others in found.items() if others},
        failures=tuple(failures),
        is_stopped=is_stopped,
    )


def _worked(
    project: Project, setups: Sequence[Setup], count: int, on_event: Callable[[StepEvent], None]
) -> tuple[list[RunResult | KairosError | None], bool]:
    """What became of each; ``None``: it was not begun. And whether somebody stopped them."""
    stop, guard = threading.Event(), threading.Lock()

    def worked(setup: Setup) -> RunResult | KairosError:
        def note(event: StepEvent) -> None:
            if event.step not in setup.given:
                with guard:
                    on_event(replace(event, step=f"{event.step}, seed {setup.nth_seed + 1} of {count}"))

        inspector = Inspector(project, setup.window)
        try:
            return work(
                setup,
                inspect=inspector,
                on_event=note,
                should_stop=lambda: stop.is_set() or project.stopping.is_set(),
            )
        except RunStopped as stopped:
            stop.set()  # the others as well, wherever it was seen first
            return stopped.result
        except KairosError as error:
            return error

    with ThreadPoolExecutor(min(len(setups), _AT_ONCE), "kairos-seed") as pool:
        futures = [pool.submit(worked, setup) for setup in setups]
        while True:
            try:
                if not wait(futures, timeout=_BEAT_S).not_done:
                    break
            except KeyboardInterrupt:
                stop.set()
            if stop.is_set() or project.stopping.is_set():
                stop.set()
                for future in futures:
                    future.cancel()
    return [None if future.cancelled() else future.result() for future in futures], stop.is_set()


def _logged(
    notes: Notes, models: Sequence[ModelSettings], results: Sequence[tuple[Setup, RunResult | KairosError | None]]
) -> dict[str, dict[int, Json]]:
    """By model and seed, the run's own among them: what steps behind the model logged that a seed makes anew."""
    found: dict[str, dict[int, Json]] = {}
    for nth, (setup, result) in enumerate(results):
        if isinstance(result, RunResult):
            anew = made_anew(setup.settings)
            for model in models:
                seed = setup.settings[model.step].seed
                steps = behind(setup.settings, [model.step, _holdout_step(model)]) & anew
                if told := notes.of_seed(model.name, seed, nth, result, steps):
                    found.setdefault(model.name, {})[seed] = told
    return found


def _measured(
    project: Project, setup: Setup, result: RunResult | KairosError | None, models: Sequence[ModelSettings]
) -> Iterator[tuple[str, SeedRecord] | SeedFailure]:
    """The metrics of each model with one seed, or why there are none."""
    from kairos.app.measuring import measure  # loads Polars and scikit-learn

    if not isinstance(result, RunResult):
        yield _stopped(setup, models) if result is None else _failed(setup, models, result)
        return
    outputs = {output.name for step in result.steps for output in step.outputs}
    lacking = []
    for model in models:
        if model.step not in result.models or model.holdout not in outputs:
            lacking.append(model)
            continue
        package = result.models[model.step]
        try:
            metrics = measure(project, model, package, result.plain(), intervals=False).metrics
        except Exception as error:  # whatever an estimator or a table raises; the other seeds are told all the same
            yield _failed(setup, [model], error)
            continue
        yield model.name, _record(setup, result, model, package, metrics)
    if lacking and result.failure is not None:
        failure = result.failure
        yield SeedFailure(
            nth=setup.nth_seed + 1,
            seeds=_seeds(setup, lacking),
            step=failure.step,
            type=failure.type,
            message=failure.message,
            traceback=failure.traceback,
        )


def _record(
    setup: Setup, result: RunResult, model: ModelSettings, package: Digest, metrics: Mapping[str, float]
) -> SeedRecord:
    holdout = result.artifact(model.holdout).digest
    return SeedRecord(seed=setup.settings[model.step].seed, package=package, holdout=holdout, metrics=dict(metrics))


def _failed(setup: Setup, models: Sequence[ModelSettings], error: Exception) -> SeedFailure:
    message = str(error) if isinstance(error, KairosError) else f"{type(error).__name__}: {error}"
    return SeedFailure(
        nth=setup.nth_seed + 1, seeds=_seeds(setup, models), step=None, type=type(error).__name__, message=message
    )


def _stopped(setup: Setup, models: Sequence[ModelSettings]) -> SeedFailure:
    message = "It was stopped by the user."
    return SeedFailure(nth=setup.nth_seed + 1, seeds=_seeds(setup, models), step=None, type="Stopped", message=message)


def _seeds(setup: Setup, models: Sequence[ModelSettings]) -> dict[str, int]:
    return {model.name: setup.settings[model.step].seed for model in models}


def _holdout_step(model: ModelSettings) -> str:
    return model.holdout.partition(".")[0]
