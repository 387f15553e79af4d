"""Known troubles of any strength are named first, and where there is none nothing is accused."""

from __future__ import annotations

import pytest

from benchmarks.decisions.causes import draw, is_named_first, seen
from kairos.testing.troubles import TROUBLES, Trouble

RUNS = 20


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_known_trouble_is_named_first(trouble: Trouble) -> None:
    """In at least 17 of 20 streams of half to one and a half times the usual strength; no trouble: in all of them."""
    right = sum(is_named_first(trouble, seen(draw(trouble, seed))) for seed in range(RUNS))
    assert right >= (RUNS if trouble == "none" else 17)
