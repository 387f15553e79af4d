"""What a metric is over the seeds of one run: a mean and a standard deviation, kept as metrics beside the plain one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kairos.experiments.baselines import is_baseline_metric
from kairos.experiments.ports import SeedRecord

__all__ = ["Spread", "metrics_text", "spread_metrics", "spreads_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of one metric, in its unit."""

    seeds: int
    mean: float
    sd: float | None
    """With ``seeds - 1``; ``None``: all seeds gave the same, so nothing is known of chance."""

    def __str__(self) -> str:
        """In words.

        >>> str(Spread(seeds=5, mean=41.0, sd=0.25)), str(Spread(seeds=3, mean=41.0, sd=None))
        ('over 5 seeds 41 on average, sd 0.25', 'all 3 seeds the same')
        """
        if self.sd is None:
            return f"all {self.seeds} seeds the same"
        return f"over {self.seeds} seeds {self.mean:.4g} on average, sd {self.sd:.2g}"


def spread_metrics(model: str, seeds: Sequence[SeedRecord]) -> dict[str, float]:
    """Means and standard deviations over seeds, such as ``demand.absolute_error.mean``, and their number.

    Without standard deviation where all seeds gave the same: 0 would say that there is no chance, when nothing asked
    for it. A baseline's are left out. Nothing is told where a target is called ``mean`` or ``sd``: the names
    are that one's.

    Args:
        model: Its name.
        seeds: What each gave, the run's own first.
    """
    own = seeds[0].metrics
    if any(f"{name}.{end}" in own for name in own for end in ("mean", "sd")):
        return {}
    told: dict[str, float] = {f"{model}.seeds": float(len(seeds))}
    for name in own:
        values = [each.metrics[name] for each in seeds if name in each.metrics]
        if is_baseline_metric(name) or len(values) < len(seeds) or not all(map(math.isfinite, values)):
            continue
        told[f"{name}.mean"] = mean = math.fsum(values) / len(values)
        if len(set(values)) > 1:
            told[f"{name}.sd"] = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return told


def spreads_of(metrics: Mapping[str, float]) -> tuple[dict[str, float], dict[str, Spread]]:
    """A run's metrics without those that ``spread_metrics`` put beside them, and these by the metric they are of."""
    spreads: dict[str, Spread] = {}
    beside = set[str]()
    for name in metrics:
        seeds = metrics.get(f"{name.partition('.')[0]}.seeds")
        if seeds is None or f"{name}.mean" not in metrics:
            continue
        mean, sd = metrics[f"{name}.mean"], metrics.get(f"{name}.sd")
        spreads[name] = Spread(seeds=int(seeds), mean=mean, sd=sd)
        beside |= {f"{name.partition('.')[0]}.seeds", f"{name}.mean", f"{name}.sd"}
    return {name: value for name, value in metrics.items() if name not in beside}, spreads


def metrics_text(metrics: Mapping[str, float], *, baselines: bool = True) -> str:
    """A run's metrics in one line.

    >>> metrics_text({"m.mae": 41.5, "m.mae.mean": 41.0, "m.mae.sd": 0.25, "m.seeds": 5.0})
    'm.mae 41.5 (over 5 seeds 41 on average, sd 0.25)'
    """
    plain, spreads = spreads_of(metrics)
    return ", ".join(
        f"{name} {value:.4g}" + (f" ({spreads[name]})" if name in spreads else "")
        for name, value in plain.items()
        if baselines or not is_baseline_metric(name)
    )
