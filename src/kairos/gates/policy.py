"""What a project asks of a challenger before it may replace the champion. Loads no numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kairos.errors import SettingsError
from kairos.gates.margin import Margin
from kairos.gates.metrics import Better, Metric, metric_named
from kairos.values import Json, plain, unplain

__all__ = ["GROUP_MEASURES", "GatePolicy", "Margin", "MetricRule", "OwnMetric", "Require"]

Require = Literal["superior", "non_inferior"]

GROUP_MEASURES = ("selection_rate", "true_positive_rate", "false_positive_rate", "error", "mean_prediction")
"""By what groups of rows may be compared."""

_MARGIN = Margin()
_RESERVE = 0.1
"""All that are judged on one holdout beyond those planned share this part of alpha, on top of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """A metric that the project brings: a function of truth and prediction that gives one number."""

    function: str
    """``FILE.py:NAME``, relative to the project's folder."""
    better: Better = "lower"
    """Which way is better."""

    def __post_init__(self) -> None:
        file, _, name = self.function.rpartition(":")
        if not file.endswith(".py") or not name.isidentifier():
            raise SettingsError("A metric's function cannot be found so.", given=self.function, accepted="FILE.py:NAME")
        _among("A metric cannot be better so.", self.better, ("lower", "higher"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """What is asked of one metric."""

    metric: str
    """A name of ``kairos.gates.metrics``, or of one of the policy's own."""
    margin: Margin = _MARGIN
    """How much worse still counts as "not worse"."""
    require: Require = "non_inferior"
    """``superior``: proven better; ``non_inferior``: proven not worse by more than the margin."""
    floor: float | None = None
    """The worst value that is acceptable, whatever it is compared with; ``None`` for no such limit."""

    def __post_init__(self) -> None:
        _among("A gate asks for something unknown.", self.require, ("superior", "non_inferior"))
        if self.floor is not None and not math.isfinite(self.floor):
            raise SettingsError(
                "A gate's floor is not a number.", given=self.floor, accepted="a finite number, or none"
            )

    @classmethod
    def from_plain(cls, value: Json) -> MetricRule:
        """Undoes ``kairos.values.plain``."""
        return cls(**{**value, "margin": Margin.from_plain(value["margin"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """What is asked of a challenger."""

    loss: str
    """Name of the model's loss per row, as in ``kairos.gates.losses``; lower is better."""
    metric: str | None = None
    """What is judged first; ``None``: the mean loss."""
    alpha: float = 0.05
    """Chance of each kind of false proof, in (0, 0.5)."""
    margin: Margin = _MARGIN
    """How much worse still counts as "not worse", on the whole and on each slice."""
    require: Require = "superior"
    """``superior`` for a change by choice, ``non_inferior`` for a scheduled refresh."""
    min_rows: int = 100
    """Below this many rows the verdict is ``hold``."""
    slices: tuple[str, ...] = ()
    """Columns on whose every level the challenger must not be proven worse by more than the margin."""
    floor: float | None = None
    """The worst value that is acceptable, whatever it is compared with; ``None`` for no such limit."""
    more: tuple[MetricRule, ...] = ()
    """Further metrics, each with its own margin."""
    own: Mapping[str, OwnMetric] = field(default_factory=dict)
    """Metrics that the project brings, by name."""
    protected: tuple[str, ...] = ()
    """``COLUMN`` or ``COLUMN=LEVEL``: on each of these slices the challenger has to be proven not worse."""
    threshold: float = 0.5
    """From which probability on an answer counts as class 1."""
    largest_loss: float | None = None
    """The largest loss that a row can have, if there is one: few rows are then judged without any approximation."""
    planned_versions: int = 1
    """How many versions are planned to be judged on one holdout; they share alpha."""
    discover: bool = True
    """Whether to search the inputs for slices that got worse; they are told and stop nothing."""
    groups: tuple[str, ...] = ()
    """Columns between whose levels differences of treatment are told."""
    group_limits: Mapping[str, float] = field(default_factory=dict)
    """The largest difference between two groups that is acceptable, by measure; see ``GROUP_MEASURES``."""
    bias_limit: Margin | None = None
    """How far the mean prediction may be off the mean truth; a share is one of the mean truth."""
    checks: str | None = None
    """A file of the project with functions ``test_...(predict, rows)`` that a version has to pass."""
    max_latency_ms: float | None = None
    """The longest that a prediction of one row may take, in milliseconds."""
    max_size_mb: float | None = None
    """The largest package, in megabytes (10^6 bytes)."""

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 0.5:
            raise SettingsError("A gate's alpha is out of range.", given=self.alpha, accepted="a number in (0, 0.5)")
        if self.min_rows < 2:
            raise SettingsError("A gate needs at least two rows.", given=self.min_rows, accepted="2 or more")
        if self.planned_versions < 1:
            raise SettingsError("A gate is planned for no version.", given=self.planned_versions, accepted="1 or more")
        if not 0.0 < self.threshold < 1.0:
            raise SettingsError("A threshold is no share.", given=self.threshold, accepted="above 0 and below 1")
        for name in ("largest_loss", "max_latency_ms", "max_size_mb"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SettingsError(f"A gate's {name} is no limit.", given=value, accepted="a number above 0")
        for measure, limit in self.group_limits.items():
            _among("Groups are not compared by that.", measure, GROUP_MEASURES)
            if not (math.isfinite(limit) and limit >= 0):
                raise SettingsError(f"The group limit of {measure} is no limit.", given=limit, accepted="0 or more")
        for rule in self.rules:
            self.known(rule.metric)
        names = [rule.metric for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError("A gate judges a metric twice.", given=twice[0], accepted="each metric once")

    @property
    def primary(self) -> MetricRule:
        """What is asked of the metric that is judged first."""
        name = self.metric or self.loss
        return MetricRule(metric=name, margin=self.margin, require=self.require, floor=self.floor)

    @property
    def rules(self) -> tuple[MetricRule, ...]:
        """What is asked of each metric, the first one first."""
        return (self.primary, *self.more)

    @property
    def loss_margin(self) -> Margin:
        """How much more of the model's loss still counts as not worse, whichever metric is judged first."""
        rules = [rule for rule in self.rules if rule.metric == self.loss]
        return rules[0].margin if rules else _MARGIN

    def known(self, metric: str) -> Metric:
        """The metric of that name.

        Raises:
            SettingsError: neither the gates nor this policy know it.
        """
        if metric not in self.own:
            return metric_named(metric)
        title = metric.replace("_", " ")
        return Metric(name=metric, title=title, better=self.own[metric].better, kind="function")

    def alpha_of(self, rank: int) -> float:
        """Alpha for the ``rank``-th version that is judged on one holdout, from 1 on.

        Those that were planned share alpha evenly. Those beyond share a tenth of it on top, each later one less: all
        together err with a chance of at most ``1.1 alpha``, however many there are.

        >>> policy = GatePolicy(loss="absolute_error", planned_versions=2)
        >>> [round(policy.alpha_of(rank), 5) for rank in (1, 2, 3, 4)]
        [0.025, 0.025, 0.0025, 0.00083]
        """
        beyond = rank - self.planned_versions
        return self.alpha / self.planned_versions if beyond <= 0 else _RESERVE * self.alpha / (beyond * (beyond + 1))

    def plain(self) -> Json:
        """The policy as JSON holds it."""
        return plain(self)

    @classmethod
    def from_plain(cls, value: Json) -> GatePolicy:
        """Undoes ``plain``; what an older format lacks is as it was then."""
        fields: dict[str, Any] = dict(unplain(value))
        fields["margin"] = Margin.from_plain(fields["margin"])
        fields["own"] = {name: OwnMetric(**one) for name, one in fields.get("own", {}).items()}
        fields["more"] = tuple(MetricRule.from_plain(rule) for rule in fields.get("more", ()))
        if fields.get("bias_limit") is not None:
            fields["bias_limit"] = Margin.from_plain(fields["bias_limit"])
        for name in ("slices", "protected", "groups"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**fields)


def _among(complaint: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise SettingsError(complaint, given=word, accepted=", ".join(words))
