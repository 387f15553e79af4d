"""Losses and policies: what a project can ask for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from kairos.errors import SettingsError, ShapeMismatch, UsageError
from kairos.gates.losses import LOSSES, loss_named
from kairos.gates.policy import GatePolicy, Margin

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


def test_an_unknown_loss_names_the_nearest() -> None:
    """A typo is answered with the right spelling."""
    with pytest.raises(SettingsError, match="Did you mean 'absolute_error'"):
        loss_named("absolut_error")
    assert loss_named("zero_one") is LOSSES["zero_one"]


def test_margins_are_shares_or_amounts() -> None:
    """``1%`` is of the baseline's loss, a bare number is in the loss's unit."""
    assert Margin.parse("1%").resolve(200.0) == pytest.approx(2.0)
    assert Margin.parse("0.5").resolve(200.0) == 0.5
    assert Margin.parse(0.5) == Margin(kind="absolute", value=0.5)
    for wrong in ("one", "-1%", "nan"):
        with pytest.raises(SettingsError, match="margin"):
            Margin.parse(wrong)


def test_policies_that_ask_for_nonsense_are_refused_and_others_survive_json() -> None:
    """Each field is checked where it is written; a good policy comes back equal."""
    for wrong in ({"alpha": 0.0}, {"alpha": 0.5}, {"require": "better"}, {"min_rows": 1}, {"floor": math.inf}):
        with pytest.raises(SettingsError):
            GatePolicy(loss="absolute_error", **wrong)
    policy = GatePolicy(loss="zero_one", slices=("season", "city"), floor=0.3, margin=Margin.parse("2%"))
    assert GatePolicy.from_plain(policy.plain()) == policy
