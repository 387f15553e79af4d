"""How good are estimates of quality before the labels come, and a rate whose labels are late?

Run: ``python -m benchmarks.decisions.before_labels``. Made-up worlds by default. With ``KAIROS_NANNYML`` naming the
folder of an unpacked wheel of NannyML 0.13.1, also its data: car loan (synthetic), used cars (synthetic), and
employment in Massachusetts (real), which are Apache-2.0 and not ours to ship.

Estimates: of the mean loss of a stretch without any label. *First*: as rows like these lost on the holdout. *Second*:
learnt on holdout rows drawn to look like those of now. *Constant*: as on the holdout. *Weighted*: the holdout's
losses, weighted. *Inside*: how often the realised loss is in the joint interval. *Flagged*: how often it says not to
rely on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.decisions.report import Row, main, share
from kairos.gates.losses import Loss, loss_named
from kairos.monitor.estimate import Estimator, LabelledRows, NewRows
from kairos.monitor.learners import domain_chances
from kairos.stats.arrival import arrival_chances, arrival_curve_of_labelled, count_arrivals
from kairos.stats.calibration import fit_calibrator, fit_isotonic
from kairos.stats.confidence import confidence_threshold, expected_confusion
from kairos.stats.powered import powered_mean
from kairos.stats.shift import shift_weights

__all__ = ["late_labels", "simulate"]

Floats = NDArray[np.float64]
DAY_S = 86400.0
MOST_REFERENCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Inputs, predictions and truths of consecutive rows."""

    inputs: Floats
    is_category: tuple[bool, ...]
    prediction: Floats
    label: Floats

    def part(self, start: int, end: int, step: int = 1) -> Rows:
        """Some of them."""
        return Rows(
            inputs=self.inputs[start:end:step],
            is_category=self.is_category,
            prediction=self.prediction[start:end:step],
            label=self.label[start:end:step],
        )


def simulate(runs: int) -> list[Row]:
    """The figures; ``runs`` replications of made-up worlds, a fiftieth of them for estimates."""
    rows = list(late_labels(runs))
    for change in ("none", "inputs", "noise"):
        rows += _estimates(f"made up, change of {change}", *_world(change, max(3, runs // 50)))
    folder = os.environ.get("KAIROS_NANNYML")
    if folder:
        for case, reference, stretches, loss in _nannyml(Path(folder) / "nannyml/datasets/data"):
            rows += _estimates(case, reference, stretches, loss)
        for name, reference, served, stretches, classes in _served_classes(Path(folder) / "nannyml/datasets/data"):
            rows += _accuracy(name, reference, served, stretches, classes)
    return rows


def _accuracy(
    case: str, reference: Rows, served: Floats, stretches: list[Rows], classes: list[Floats]
) -> Iterator[Row]:
    """The share of right classes, by CBPE, PAPE, thresholded confidence, and weights, and as on the holdout."""
    step = -(-reference.label.size // MOST_REFERENCE)
    known, days = reference.part(0, reference.label.size, step), np.arange(-(-reference.label.size // step))
    chance_of = fit_calibrator(reference.prediction, reference.label)
    right = (served == reference.label).astype(float)
    surest = confidence_threshold(_confidence(reference.prediction), float(right.mean()))
    errors = []
    for new, said in zip(stretches, classes, strict=True):
        part = new.part(0, new.label.size, -(-new.label.size // MOST_REFERENCE))
        chances = domain_chances(
            known.inputs, part.inputs, days, np.arange(part.label.size), is_category=known.is_category
        )
        weights = shift_weights(*chances).weights
        adapted = fit_isotonic(known.prediction, known.label, weights=weights)
        found = (
            expected_confusion(chance_of(new.prediction), said).accuracy,
            expected_confusion(adapted(new.prediction), said).accuracy,
            float((_confidence(new.prediction) >= surest).mean()),
            float(np.average(right[::step], weights=weights)),
            float(right.mean()),
        )
        errors.append(np.abs(np.array(found) - (said == new.label).mean()))
    names = ("CBPE", "PAPE", "confidence threshold", "weighted", "constant")
    for who, error in zip(names, np.mean(errors, axis=0), strict=True):
        yield Row(table="accuracy", case=case, who=who, figure="mean absolute error", value=f"{error:.4f}")


def _confidence(chance: Floats) -> Floats:
    return np.maximum(chance, 1 - chance)


def late_labels(runs: int) -> Iterator[Row]:
    """S14: three in ten are positive, and their labels take ten times as long."""
    random = np.random.default_rng(14)
    corrected, naive, covered = [], [], 0
    for _ in range(runs):
        ages = random.uniform(1, 60, size=2500) * DAY_S
        positive = random.random(ages.size) < 0.3
        delays = random.exponential(np.where(positive, 10.0, 1.0)) * DAY_S
        delays = np.where(delays <= ages, delays, np.nan)
        chances = np.ones(ages.size)
        for label in (True, False):
            mine = positive == label
            curve = arrival_curve_of_labelled(count_arrivals(delays[mine], ages[mine]))
            chances[mine] = arrival_chances(curve, ages[mine])
        young = ages < 7 * DAY_S
        observed = np.where(np.isnan(delays), np.nan, positive.astype(float))[young]
        usable = np.isnan(observed) | (chances[young] > 0)
        found = powered_mean(observed[usable], np.where(np.isnan(observed), 1.0, chances[young])[usable])
        corrected.append(found.mean)
        naive.append(float(np.nanmean(observed)))
        covered += found.lower <= 0.3 <= found.upper
    case = "a rate of 0.3, labels of the last week"
    yield Row(
        table="labels of one class are late (S14)",
        case=case,
        who="those that are there",
        figure="simulated",
        value=f"{np.mean(naive):.3f}",
    )
    yield Row(
        table="labels of one class are late (S14)",
        case=case,
        who="corrected",
        figure="simulated",
        value=f"{np.mean(corrected):.3f}",
    )
    yield Row(
        table="labels of one class are late (S14)",
        case=case,
        who="corrected",
        figure="inside 95 %",
        value=share(covered / runs, runs),
    )


def _estimates(case: str, reference: Rows, stretches: list[Rows], loss: Loss) -> Iterator[Row]:
    step = -(-reference.label.size // MOST_REFERENCE)
    known = reference.part(0, reference.label.size, step)
    days = np.arange(known.label.size) * 60 // known.label.size
    held = LabelledRows(
        inputs=known.inputs,
        is_category=known.is_category,
        prediction=known.prediction,
        label=known.label,
        days=days,
    )
    estimator = Estimator(held, loss)
    constant = float(loss(reference.label, reference.prediction).mean())
    errors, inside, flagged = [], 0, 0
    for new in stretches:
        n = new.label.size
        waiting = NewRows(
            inputs=new.inputs,
            prediction=new.prediction,
            label=np.full(n, np.nan),
            chances=np.zeros(n),
            days=np.arange(n) * 7 // n,
        )
        found, realised = estimator.estimate(waiting), float(loss(new.label, new.prediction).mean())
        errors.append([abs(value - realised) for value in (*found.methods.values(), constant)])
        inside += found.lower <= realised <= found.upper
        flagged += bool(found.flags)
    names = ("first", "second", "weighted", "constant")
    for who, error in zip(names, np.mean(errors, axis=0), strict=True):
        yield Row(table="before the labels", case=case, who=who, figure="mean absolute error", value=f"{error:.4g}")
    many = f"{inside} of {len(stretches)}", f"{flagged} of {len(stretches)}"
    yield Row(table="before the labels", case=case, who="joint", figure="inside", value=many[0])
    yield Row(table="before the labels", case=case, who="joint", figure="flagged", value=many[1])


def _world(change: str, stretches: int) -> tuple[Rows, list[Rows], Loss]:
    """Errors are larger where the first input is large: inputs move there, or all errors grow, which no input shows."""
    random = np.random.default_rng(1)

    def draw(n: int, mean: float, noise: float) -> Rows:
        x = np.column_stack([random.normal(mean, 1, size=n), random.normal(size=n)])
        error = noise * (2 + np.maximum(x[:, 0], -1)) * random.normal(size=n)
        return Rows(inputs=x, is_category=(False, False), prediction=10 * x[:, 1], label=10 * x[:, 1] + error)

    mean, noise = (0.7 if change == "inputs" else 0.0), (1.5 if change == "noise" else 1.0)
    return draw(1440, 0.0, 1.0), [draw(240, mean, noise) for _ in range(stretches)], loss_named("absolute_error")


def _nannyml(folder: Path) -> Iterator[tuple[str, Rows, list[Rows], Loss]]:
    loan = ["car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car"]
    loan += ["size_of_downpayment", "driver_tenure"]
    old = pl.read_csv(folder / "synthetic_car_loan_reference.csv")
    new = pl.read_csv(folder / "synthetic_car_loan_analysis.csv").join(
        pl.read_csv(folder / "synthetic_car_loan_analysis_target.csv"), on="id"
    )
    score = pl.col("y_pred_proba").clip(0.005, 0.995)
    before, after = (_read(each.with_columns(score), loan, "y_pred_proba", "repaid", old) for each in (old, new))
    yield "car loan, log loss, stretches of 5,000", before, _cut(after, 5000), loss_named("log_loss")
    few = before.part(0, 3000)
    yield (
        "car loan, squared error, holdout of 3,000, stretches of 500",
        few,
        _cut(after, 500),
        loss_named("squared_error"),
    )

    cars = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
    old = pl.read_csv(folder / "regression_synthetic_reference.csv")
    new = pl.read_csv(folder / "regression_synthetic_analysis.csv")
    new = new.with_columns(pl.read_csv(folder / "regression_synthetic_analysis_targets.csv")["y_true"])
    before, after = (_read(each, cars, "y_pred", "y_true", old) for each in (old, new))
    yield "used cars, absolute error, stretches of 6,000", before, _cut(after, 6000), loss_named("absolute_error")

    old = pl.read_parquet(folder / "employment_MA_reference.pq")
    target = pl.read_parquet(folder / "employment_MA_analysis_target.pq")
    new = pl.read_parquet(folder / "employment_MA_analysis.pq")
    new = new.with_columns(target[target.columns[-1]])
    inputs = [
        name
        for name in old.columns
        if name not in ("id", "timestamp", "year", "employed", "prediction", "predicted_probability")
    ]
    label, chance = target.columns[-1], "predicted_probability"
    before, after = (_read(each, inputs, chance, label, old) for each in (old, new))
    yield "employment, squared error, stretches of 20,000", before, _cut(after, 20_000), loss_named("squared_error")


def _served_classes(folder: Path) -> Iterator[tuple[str, Rows, Floats, list[Rows], list[Floats]]]:
    """The same data with the class that was served."""
    files = {
        "car loan, stretches of 5,000": (5_000, "synthetic_car_loan_{}.csv", "y_pred"),
        "employment, stretches of 20,000": (20_000, "employment_MA_{}.pq", "prediction"),
    }
    parts = {case: (before, after) for case, before, after, _ in _nannyml(folder)}
    for name, (length, file, column) in files.items():
        read = pl.read_csv if file.endswith("csv") else pl.read_parquet
        served = [
            read(folder / file.format(part))[column].cast(pl.Float64).to_numpy() for part in ("reference", "analysis")
        ]
        before, after = next(both for case, both in parts.items() if case.startswith(name.partition(",")[0]))
        said = [served[1][start : start + length] for start in range(0, length * len(after), length)]
        yield name, before, served[0], after, said


def _read(table: pl.DataFrame, inputs: list[str], prediction: str, label: str, reference: pl.DataFrame) -> Rows:
    columns, is_category = [], []
    for name in inputs:
        is_category.append(not table.schema[name].is_numeric())
        if is_category[-1]:
            levels = {level: float(n) for n, level in enumerate(sorted(set(reference[name].cast(pl.String).to_list())))}
            text = table[name].cast(pl.String)
            columns.append(text.replace_strict(levels, default=np.nan, return_dtype=pl.Float64).to_numpy())
        else:
            columns.append(table[name].cast(pl.Float64).to_numpy())
    return Rows(
        inputs=np.column_stack(columns),
        is_category=tuple(is_category),
        prediction=table[prediction].cast(pl.Float64).to_numpy(),
        label=table[label].cast(pl.Float64).to_numpy(),
    )


def _cut(rows: Rows, length: int) -> list[Rows]:
    return [rows.part(start, start + length) for start in range(0, rows.label.size - length + 1, length)]


if __name__ == "__main__":
    raise SystemExit(main("estimates before the labels", simulate, runs=2_000))
