"""What everything that predicts promises, as tests."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import numpy as np

from kairos.models.ports import Runner

__all__ = ["RunnerContract"]

Columns = Mapping[str, np.ndarray[Any, Any]]


class RunnerContract:
    """Subclass it under a name that begins with ``Test``, with two fixtures.

    ``runner`` is the runner; ``columns`` are ten or more rows that it accepts, as ``Signature.parse_rows`` gives them.
    """

    def test_it_gives_one_number_a_row(self, runner: Runner, columns: Columns) -> None:
        """Shape (n,), float64."""
        rows = len(next(iter(columns.values())))
        assert rows >= 10
        answer = runner.predict(columns)
        assert answer.shape == (rows,)
        assert answer.dtype == np.float64

    def test_a_row_is_answered_the_same_whoever_is_beside_it(self, runner: Runner, columns: Columns) -> None:
        """Alone, and in reverse order; requests that are answered together do not change each other."""
        together = runner.predict(columns)
        alone = [runner.predict({name: v[i : i + 1] for name, v in columns.items()})[0] for i in range(len(together))]
        np.testing.assert_allclose(alone, together, rtol=1e-9)
        backwards = runner.predict({name: v[::-1] for name, v in columns.items()})
        np.testing.assert_allclose(backwards[::-1], together, rtol=1e-9)

    def test_columns_are_known_by_name(self, runner: Runner, columns: Columns) -> None:
        """Their order says nothing."""
        turned = dict(reversed(list(columns.items())))
        np.testing.assert_array_equal(runner.predict(turned), runner.predict(columns))

    def test_it_leaves_its_input_alone(self, runner: Runner, columns: Columns) -> None:
        """The same arrays are captured and given to the other version."""
        before = deepcopy(dict(columns))
        runner.predict(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(values, before[name])

    def test_threads_may_ask_at_the_same_time(self, runner: Runner, columns: Columns) -> None:
        """Each gets what it would have got alone."""
        expected = runner.predict(columns)
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(lambda _: runner.predict(columns), range(16)):
                np.testing.assert_array_equal(answer, expected)
