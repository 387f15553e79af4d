"""Adjusted p-values beside statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from kairos.stats.holm import benjamini_hochberg, holm
from tests.oracles.oracle import ask


def test_adjusted_p_values_are_those_of_statsmodels() -> None:
    """Holm and Benjamini-Hochberg, ties and a zero included."""
    p = np.random.default_rng(1).uniform(size=60) ** 3
    p[:5] = [0.0, 0.01, 0.01, 1.0, 0.01]
    theirs = ask(
        """
        from statsmodels.stats.multitest import multipletests
        answer = {method: multipletests(p, method=method)[1] for method in ("holm", "fdr_bh")}
        """,
        p=p,
    )
    assert holm(p) == pytest.approx(theirs["holm"], abs=1e-14)
    assert benjamini_hochberg(p) == pytest.approx(theirs["fdr_bh"], abs=1e-14)
