"""The mix of labels under label shift, beside QuaPy."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.stats.labelshift import bbse, em_mix
from tests.oracles.oracle import ask

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("classes", [2, 4])
def test_maximum_likelihood_is_that_of_quapy(classes: int) -> None:
    """Its EMQ on the same calibrated probabilities, from the same mix before; it stops at 1e-6."""
    posteriors = RNG.dirichlet(np.ones(classes), size=500)
    before = RNG.dirichlet(np.full(classes, 5.0))
    theirs = ask(
        """
        from quapy.method.aggregative import EMQ
        answer, _ = EMQ.EM(np.array(before), np.array(posteriors), epsilon=1e-8)
        """,
        before=before,
        posteriors=posteriors,
    )
    assert em_mix(posteriors, before) == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_counting_put_right_is_that_of_quapy(classes: int) -> None:
    """Its adjusted count solves the same equations, written by class instead of by share of all rows."""
    rates = 0.2 / classes + 0.8 * np.eye(classes)  # predicted, given the true class
    before, after = RNG.dirichlet(np.full(classes, 5.0)), RNG.dirichlet(np.full(classes, 5.0))
    theirs = ask(
        """
        from quapy.method.aggregative import ACC
        answer = ACC.solve_adjustment(np.array(rates), np.array(counted), method="inversion", solver="minimize")
        """,
        rates=rates,
        counted=rates @ after,
    )
    shares = bbse(rates * before, rates @ after)[1]
    assert shares == pytest.approx(theirs, abs=1e-4)
    assert shares == pytest.approx(after)
