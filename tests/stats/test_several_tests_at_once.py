"""Holm and Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from kairos.errors import UsageError
from kairos.stats.holm import benjamini_hochberg, holm


def test_holm_steps_down() -> None:
    """The smallest p-value is multiplied by k, the next by k - 1, and adjusted values never fall."""
    assert holm([0.02, 0.001, 0.9, 0.02]).tolist() == pytest.approx([0.06, 0.004, 0.9, 0.06])
    assert holm([]).tolist() == []


def test_benjamini_hochberg_agrees_with_scipy() -> None:
    """Same adjusted values as ``scipy.stats.false_discovery_control``."""
    p = np.random.default_rng(0).uniform(size=40) ** 2
    assert benjamini_hochberg(p).tolist() == pytest.approx(distributions.false_discovery_control(p).tolist())


def test_what_is_no_p_value_is_refused() -> None:
    """Values outside [0, 1] are an error, not a silent clip."""
    with pytest.raises(UsageError, match="outside"):
        holm([0.5, 1.5])
