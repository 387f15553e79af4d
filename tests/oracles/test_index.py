"""The population stability index beside psi-inference."""

from __future__ import annotations

import pytest

from kairos.stats.psi import psi, psi_test
from tests.oracles.oracle import ask

WINDOWS = [
    ([253, 302, 204, 134, 72, 26, 8], [177, 262, 285, 158, 88, 25, 6]),
    ([1000] * 10, [104, 96, 130, 70, 88, 112, 99, 101, 80, 120]),
]


@pytest.mark.parametrize(("reference", "window"), WINDOWS)
def test_the_index_and_its_p_value_without_tolerance_are_those_of_psi_inference(
    reference: list[int], window: list[int]
) -> None:
    """Their test is of any change at all: ours with a tolerance of nothing."""
    theirs = ask(
        """
        from psi_inference import psi_pvalue, psi_statistic
        index = psi_statistic(np.array(reference), np.array(window))
        answer = [index, psi_pvalue(index, sum(reference), sum(window), len(window))]
        """,
        reference=reference,
        window=window,
    )
    assert psi(reference, window) == pytest.approx(theirs[0], abs=1e-12)
    assert psi_test(reference, window, eps=1e-12).p_value == pytest.approx(theirs[1], rel=1e-6)
