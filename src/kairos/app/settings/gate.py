"""``[model.NAME.gate]``."""

from __future__ import annotations

from functools import partial
from typing import cast

from kairos.app.settings.margins import read_margin
from kairos.app.toml import Reader
from kairos.gates.loss_names import check_loss_name
from kairos.gates.margin import Margin
from kairos.gates.metrics import Better
from kairos.gates.policy import GROUP_MEASURES, GatePolicy, MetricRule, OwnMetric, Require

__all__ = ["read_gate", "read_loss"]

_REQUIRE = ("superior", "non_inferior")


def read_gate(reader: Reader, loss: str, slices: tuple[str, ...]) -> GatePolicy:
    """What the project asks of a challenger before production."""
    default = GatePolicy(loss=loss)
    bias = reader.raw("bias_limit", None)
    policy = GatePolicy(
        loss=loss,
        slices=slices,
        metric=reader.optional_text("metric"),
        alpha=reader.number("alpha", default.alpha),
        margin=read_margin(reader, "margin", default.margin),
        require=_require(reader, default.require),
        min_rows=reader.whole("min_rows", default.min_rows),
        floor=reader.optional_number("floor"),
        own=_own(reader),
        more=_more(reader),
        protected=reader.texts("protected"),
        threshold=reader.number("threshold", default.threshold),
        largest_loss=reader.optional_number("largest_loss"),
        planned_versions=reader.whole("planned_versions", default.planned_versions),
        discover=reader.flag("discover", default=default.discover),
        groups=reader.texts("groups"),
        group_limits=_limits(reader.table("group_limits")),
        bias_limit=None if bias is None else reader.parsed("bias_limit", Margin.parse, bias),
        checks=reader.optional_text("checks"),
        max_latency_ms=reader.optional_number("max_latency_ms"),
        max_size_mb=reader.optional_number("max_size_mb"),
    )
    reader.done()
    return policy


def _require(reader: Reader, default: Require) -> Require:
    return cast("Require", reader.choice("require", _REQUIRE, default))


def _own(reader: Reader) -> dict[str, OwnMetric]:
    """``[model.NAME.gate.functions]``: ``cost = { function = "metrics.py:cost", better = "lower" }``."""
    found = {}
    functions = reader.table("functions")
    for name in functions.names():
        table = functions.table(name)
        function = table.text("function")
        better = cast("Better", table.choice("better", ("lower", "higher"), "lower"))
        found[name] = table.parsed("function", partial(_own_metric, better), function)
        table.done()
    return found


def _own_metric(better: Better, function: str) -> OwnMetric:
    return OwnMetric(function=function, better=better)


def _more(reader: Reader) -> tuple[MetricRule, ...]:
    """``[model.NAME.gate.metrics]``: ``rmse = "2%"``, or ``auc = { margin = 0.01, floor = 0.7 }``."""
    metrics = reader.table("metrics")
    rules = []
    for name in metrics.names():
        value = metrics.raw(name, None)
        if not isinstance(value, dict):
            rules.append(MetricRule(metric=name, margin=metrics.parsed(name, Margin.parse, value)))
            continue
        table = Reader(value, metrics.name(name))
        rules.append(
            MetricRule(
                metric=name,
                margin=read_margin(table, "margin", Margin()),
                require=_require(table, "non_inferior"),
                floor=table.optional_number("floor"),
            )
        )
        table.done()
    return tuple(rules)


def _limits(table: Reader) -> dict[str, float]:
    """``[model.NAME.gate.group_limits]``: ``selection_rate = 0.1``."""
    found = {name: limit for name in GROUP_MEASURES if (limit := table.optional_number(name)) is not None}
    table.done()
    return found


def read_loss(reader: Reader) -> str:
    """The name of the model's loss, if there is such a loss."""
    name = reader.text("loss", "absolute_error")
    reader.parsed("loss", check_loss_name, name)
    return name
