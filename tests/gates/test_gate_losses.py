"""Losses and policies: what a project can ask for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.gates.losses import LOSSES, loss_named
from kairos.gates.metrics import metric_named
from kairos.gates.policy import GatePolicy, Margin, MetricRule, OwnMetric

RNG = np.random.default_rng(0)


def test_means_of_the_losses_are_scikit_learns_metrics() -> None:
    """The same numbers that a data scientist computes in her notebook."""
    y, p = RNG.normal(size=50), RNG.normal(size=50)
    assert LOSSES["absolute_error"](y, p).mean() == pytest.approx(metrics.mean_absolute_error(y, p))
    assert LOSSES["squared_error"](y, p).mean() == pytest.approx(metrics.mean_squared_error(y, p))
    truth, chance = RNG.integers(0, 2, 50), RNG.uniform(size=50)
    assert LOSSES["log_loss"](truth, chance).mean() == pytest.approx(metrics.log_loss(truth, chance))
    classes = RNG.integers(0, 3, 50)
    assert LOSSES["zero_one"](classes, truth).mean() == pytest.approx(metrics.zero_one_loss(classes, truth))
    assert LOSSES["zero_one"](np.array(["a", "b"]), np.array(["a", "c"])).tolist() == [0.0, 1.0]


def test_a_sure_mistake_is_expensive_but_finite() -> None:
    """A probability of 0 for what happened does not make the mean infinite."""
    assert math.isfinite(LOSSES["log_loss"](np.array([1.0, 0.0]), np.array([0.0, 1.0])).max())
    with pytest.raises(UsageError, match="log_loss"):
        LOSSES["log_loss"](np.array([1.0]), np.array([1.5]))
    with pytest.raises(ShapeMismatch):
        LOSSES["zero_one"](np.array([1, 2]), np.array([1]))


def test_a_pinball_loss_is_that_of_scikit_learn_and_least_at_its_quantile() -> None:
    """Named after its quantile; what is no share is refused."""
    y, p = RNG.gamma(2.0, size=400), RNG.gamma(2.0, size=400)
    loss = loss_named("pinball:0.9")
    assert loss(y, p).mean() == pytest.approx(metrics.mean_pinball_loss(y, p, alpha=0.9))
    best = min(np.linspace(0, 8, 400), key=lambda value: float(loss(y, np.full(400, value)).mean()))
    assert best == pytest.approx(np.quantile(y, 0.9), abs=0.1)
    for wrong in ("pinball:", "pinball:2", "pinball:much"):
        with pytest.raises(SettingsError, match=r"such as pinball:0\.9"):
            loss_named(wrong)


def test_an_unknown_loss_or_metric_names_the_nearest() -> None:
    """A typo is answered with the right spelling."""
    with pytest.raises(SettingsError, match="Did you mean 'absolute_error'"):
        loss_named("absolut_error")
    assert loss_named("zero_one") is LOSSES["zero_one"]
    with pytest.raises(SettingsError, match="Did you mean 'precision'"):
        metric_named("precison")
    with pytest.raises(SettingsError, match="function of your own"):
        metric_named("xyz")
    assert metric_named("pinball:0.9").title == "mean pinball loss at 0.9"


def test_margins_are_shares_or_amounts() -> None:
    """``1%`` is of the champion's value, a bare number is in the metric's unit."""
    assert Margin.parse("1%").resolve(200.0) == pytest.approx(2.0)
    assert Margin.parse("0.5").resolve(200.0) == 0.5
    assert Margin.parse(0.5) == Margin(kind="absolute", value=0.5)
    assert (str(Margin.parse("1%")), str(Margin.parse(0.5))) == ("1 %", "0.5")
    for wrong in ("one", "-1%", "nan"):
        with pytest.raises(SettingsError, match="margin"):
            Margin.parse(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 0.5},
        {"require": "better"},
        {"min_rows": 1},
        {"floor": math.inf},
        {"planned_versions": 0},
        {"threshold": 1.0},
        {"max_size_mb": 0.0},
        {"max_latency_ms": math.nan},
        {"largest_loss": -1.0},
        {"metric": "f2"},
        {"more": (MetricRule(metric="absolute_error"),)},
        {"more": (MetricRule(metric="f2"),)},
        {"group_limits": {"height": 1.0}},
        {"group_limits": {"error": -1.0}},
    ],
    ids=str,
)
def test_policies_that_ask_for_nonsense_are_refused(wrong: dict[str, Any]) -> None:
    """Each field is checked where it is written."""
    with pytest.raises(SettingsError):
        GatePolicy(loss="absolute_error", **wrong)


def test_a_metric_of_ones_own_is_found_by_file_and_name() -> None:
    """And the policy then knows it."""
    policy = GatePolicy(
        loss="absolute_error", metric="net_cost", own={"net_cost": OwnMetric(function="m.py:cost", better="higher")}
    )
    assert policy.known("net_cost").title == "net cost"
    assert policy.known("net_cost").better == "higher"
    for wrong in ("cost", "m.py", "m.txt:cost", "m.py:a b"):
        with pytest.raises(SettingsError, match=r"FILE\.py:NAME"):
            OwnMetric(function=wrong)
    with pytest.raises(SettingsError):
        OwnMetric(function="m.py:cost", better="up")  # type: ignore[arg-type]


def test_the_margin_of_the_loss_is_known_whatever_is_judged_first() -> None:
    """A rollout compares losses, also where the gate judges F1 by another margin."""
    f1 = GatePolicy(loss="log_loss", metric="f1", margin=Margin.parse(0.02))
    assert GatePolicy(loss="log_loss", margin=Margin.parse("3%")).loss_margin == Margin.parse("3%")
    assert f1.loss_margin == Margin.parse("1%")
    assert replace(f1, more=(MetricRule(metric="log_loss", margin=Margin.parse("2%")),)).loss_margin == Margin.parse(
        "2%"
    )


def test_a_policy_survives_json() -> None:
    """Whatever it asks."""
    policy = GatePolicy(
        loss="zero_one",
        metric="f1",
        slices=("season", "city"),
        protected=("city=b",),
        groups=("sex",),
        group_limits={"error": 0.1},
        floor=0.3,
        margin=Margin.parse("2%"),
        bias_limit=Margin.parse(0.1),
        own={"cost": OwnMetric(function="m.py:cost")},
        more=(MetricRule(metric="cost"), MetricRule(metric="auc", margin=Margin.parse(0.01), require="superior")),
    )
    assert GatePolicy.from_plain(policy.plain()) == policy


def test_losses_of_several_numbers_are_one_number_a_row() -> None:
    """Means over targets and quantiles; of chances of classes what scikit-learn says."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 50)
    chances = random.dirichlet(np.ones(3), 50)
    assert LOSSES["log_loss"](truth, chances).mean() == pytest.approx(metrics.log_loss(truth, chances))
    assert LOSSES["brier"](truth, chances).mean() == pytest.approx(
        metrics.brier_score_loss(truth, chances, scale_by_half=False)
    )
    two = np.column_stack([1 - chances[:, 0], chances[:, 0]])
    np.testing.assert_allclose(LOSSES["brier"](truth == 0, two), LOSSES["brier"](truth == 0, two[:, 1]))
    assert LOSSES["zero_one"](truth, chances).mean() == np.mean(chances.argmax(axis=1) != truth)
    y, p = random.normal(size=(50, 2)), random.normal(size=(50, 2))
    assert LOSSES["absolute_error"](y, p).mean() == pytest.approx(metrics.mean_absolute_error(y, p))
    assert LOSSES["squared_error"](y, p).shape == (50,)
    both = loss_named("pinball:0.1,0.9")(y[:, 0], p)
    each = [metrics.mean_pinball_loss(y[:, 0], p[:, at], alpha=q) for at, q in enumerate((0.1, 0.9))]
    assert both.mean() == pytest.approx(np.mean(each))
    for name, bad in (("log_loss", np.array([3, 0])), ("brier", np.array([0.5, 0.0]))):
        with pytest.raises(UsageError, match="the place of the true class"):
            LOSSES[name](bad, chances[:2])
    with pytest.raises(ShapeMismatch):
        loss_named("pinball:0.1,0.9")(y[:, 0], p[:, 0])
    for name in (*LOSSES, "pinball:0.1,0.9"):
        assert loss_named(name)(np.empty(0), np.empty(0)).shape == (0,), name
    with pytest.raises(SettingsError, match="ascending"):
        loss_named("pinball:0.9,0.1")
