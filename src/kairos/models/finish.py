"""Finishing a model: what a ``@model`` step returned becomes a package. Runs in the engine's worker process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kairos.gates.loss_names import CHANCE_LOSSES
from kairos.models.arrays import is_free, like
from kairos.models.asked import check_classes, lead_target, method_of, output_of, target_names, tells_classes
from kairos.models.baseline import simple_answer, simple_baseline
from kairos.models.baselines.choosing import Series, fit_baselines
from kairos.models.compiling.apart import apart
from kairos.models.compiling.prove import COMPILER, can_compile, compile_model
from kairos.models.foreign import Foreign, Untried, adopt, check_answers
from kairos.models.frames import column_names, read_column, select, take_rows
from kairos.models.importance import input_importances
from kairos.models.learn import Learn, prepared, row_weights
from kairos.models.libraries import libraries_of
from kairos.models.options import ModelOptions
from kairos.models.outputs import answers_a_row, beside_lead, leads
from kairos.models.package import write_package
from kairos.models.ports import FinishRequest
from kairos.models.profile import Profile
from kairos.models.ranked import by_lists
from kairos.models.reference import Judged, known_truth, reference_losses
from kairos.models.runner import make_runner
from kairos.models.sealing import seal, typical
from kairos.models.spec import Method, PackageSpec
from kairos.models.spread import spread_data, spread_frame
from kairos.models.training import TrainingData, fit, latest_time, training_data, training_table
from kairos.values import Json, plain

__all__ = ["FinishModel", "ModelOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishModel:
    """Fits if need be, checks for leakage, and writes the package; can be pickled, so that a worker can call it."""

    settings: Mapping[str, ModelOptions] = field(default_factory=dict)
    """By model name."""
    learn: Mapping[str, Learn] = field(default_factory=dict)
    """By model name: how its training table is changed; the others learn from what the pipeline gives."""

    def __call__(self, request: FinishRequest) -> Path:
        """Returns the package's folder, below the request's ``workdir``.

        Raises:
            PackageError: the step returned no estimator, or one that cannot be packaged or served.
            DataRefused: features give the target away, or the target is not a finite number in every row.
        """
        model, options = self._options(request.step)
        target, targets = target_names(options, request)
        table = training_table(request.inputs, target, step=request.step)
        told, (table, lists) = table, by_lists(table, options.rank_within, step=request.step)
        keys = options.keys
        drop = tuple(dict.fromkeys((*request.drop, *options.drop)))
        returned = adopt(request.returned, step=request.step, allow_pickle=options.allow_pickle)
        data = training_data(
            table,
            returned,
            step=request.step,
            target=target,
            keys=keys,
            drop=[d for d in drop if d not in keys],
            targets=targets,
            loss=options.loss,
        )
        spread = data if isinstance(returned, Untried) else spread_data(data, step=request.step)
        method_of(returned, data, options.loss, step=request.step)
        learn = self.learn.get(model, Learn())
        half = learn.half_life_days
        weights = None if half is None else row_weights(table, options.time, half, step=request.step)
        estimator = fit(returned, spread, seed=request.seed, weights=weights, lists=lists)
        method = method_of(estimator, data, options.loss, step=request.step)
        if isinstance(estimator, Untried):
            estimator, data = estimator.bound(data, step=request.step)
            spread = data
        check_classes(estimator, data, request.step)
        form, signature, own = seal(
            estimator, data, spread, method, output_of(estimator, data, options), step=request.step
        )
        spec = PackageSpec(
            model=model,
            target=target,
            targets=targets,
            time=options.time,
            entity=options.entity,
            rank_within=options.rank_within,
            item=options.item,
            loss=options.loss,
            signature=signature,
            form=form,
            method=method,
            train_until=latest_time(table, options.time),
            train_rows=len(data.target),
            seed=request.seed,
            baseline=None if data.outputs else simple_baseline(data.target, options.loss),
            baselines=simple_answer(data.target, options.loss, data.outputs) if data.outputs else (),
            libraries=libraries_of(estimator, data.kind, has_arrays=spread is not data),
            params=dict(request.params),
        )
        runner = make_runner(estimator, signature=signature, form=form, method=method)
        if isinstance(estimator, Foreign):
            is_chance = options.loss in CHANCE_LOSSES or tells_classes(data)
            check_answers(estimator, runner, data.arrays, is_chance=is_chance, step=request.step)
        importances = input_importances(runner, data.arrays, seed=request.seed or 0)
        holdout = request.inputs.get("holdout") if learn.artifact is None else None
        unseen = _unseen(holdout, data, told, is_spread=spread is not data)
        truth = None if unseen is None else known_truth(holdout, targets or (target,), data.outputs)
        judged = Judged(table=table if unseen is None else holdout, truth=truth, is_holdout=unseen is not None)
        profile = _profile(estimator, data, spread.features, method, unseen, importances, judged, options)
        compilation, compiled = compile_model(
            estimator,
            runner if spread is data else make_runner(estimator, signature=own, form=form, method=method),
            signature=own,
            form=form,
            method=method,
            train=spread.arrays,
            holdout=None if unseen is None else _read_like(unseen, spread),
        )
        folder = request.workdir / "package"
        write_package(
            folder,
            estimator,
            spec=spec,
            profile=profile,
            lineage=request.lineage,
            example={column.name: typical(column, profile.columns[column.name]) for column in signature.columns},
            allow_pickle=options.allow_pickle,
            compilation=compilation,
            compiled=apart(compiled),
            baselines=fit_baselines(
                table,
                data.columns,
                data.target,
                data.outputs,
                loss=options.loss,
                asked=options.baselines,
                series=Series(time=options.time, entity=options.entity, delay_s=options.label_delay_s),
                lists=None if lists is None else lists.of_row,
            ),
        )
        return folder

    def also(self, step: str) -> Sequence[str]:
        """The artifact whose rows are put below the training table, if there is one."""
        learn = self.learn.get(self._options(step)[0])
        return () if learn is None or learn.artifact is None else (learn.artifact,)

    def prepare(
        self, step: str, target: str | None, inputs: Mapping[str, Any], also: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The inputs with the training table that the model is to learn from.

        Raises:
            DataRefused: the table has no time, or the rows to put below it are not like its own.
            PackageError: no input is a table with the target.
        """
        model, options = self._options(step)
        learn, goal = self.learn.get(model), options.target or target
        if learn is None or goal is None:
            return inputs
        return prepared(learn, inputs, also, target=goal, time=options.time, step=step)

    def facts(self, step: str) -> Json:
        """What a package depends on beside its request: its model's settings, and whether models are compiled here."""
        model, options = self._options(step)
        learn = {"learn": plain(self.learn[model])} if model in self.learn else {}
        compiler = {"compiler": COMPILER} if can_compile() else {}
        told: dict[str, Json] = plain(options)
        if not options.targets:
            del told["targets"]  # so that what was made before there could be several is found again
        for name in ("rank_within", "item", "slices"):
            if not told[name]:
                del told[name]  # the same
        return {"model": model, **told, **learn, **compiler}

    def _options(self, step: str) -> tuple[str, ModelOptions]:
        for model, options in self.settings.items():
            if (options.step or model) == step:
                return model, options
        return step, ModelOptions()


def _unseen(holdout: Any, data: TrainingData, table: Any, *, is_spread: bool) -> Any:
    """What the estimator gets of the step's holdout, if it has rows and is not what the model learnt from."""
    names = list(data.columns)
    if holdout is None or holdout is table or not set(names) <= set(column_names(holdout)) or not len(holdout):
        return None
    return spread_frame(holdout, names) if is_spread else select(holdout, names)


def _read_like(frame: Any, data: TrainingData) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a frame as those of training, also where all its arrays happen to be of one length."""
    return {name: like(read_column(frame, name).values, column.shape) for name, column in data.columns.items()}


def _profile(
    estimator: Any,
    data: TrainingData,
    features: Any,
    method: Method,
    unseen: Any,
    importances: Mapping[str, float],
    judged: Judged,
    options: ModelOptions,
) -> Profile:
    if unseen is None:
        judged, rows = judged.evenly(data.target, options)
    frame = take_rows(features, rows) if unseen is None else unseen
    answer = answers_a_row(np.asarray(getattr(estimator, method)(frame)), len(frame), data.outputs)
    on = "train" if unseen is None else "holdout"
    return Profile.fit(
        {name: (column.kind, column.values) for name, column in data.columns.items()},
        shapes={name: column.shape for name, column in data.columns.items() if is_free(column.shape)},
        target=lead_target(data),
        prediction=leads(data.outputs, answer),
        prediction_on=on,
        importances=importances,
        outputs=beside_lead(data.outputs, answer),
        losses=reference_losses(judged, answer, options),
    )
