"""What everything that predicts promises, as tests."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
import pytest

from kairos.models.ports import Runner

__all__ = ["RunnerContract"]

Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]

_MANY = 1000
"""Rows of a large request."""


class RunnerContract:
    """Subclass it under a name that begins with ``Test``, with two fixtures.

    ``runner`` is the runner; ``columns`` are ten or more rows that it accepts, as ``Signature.parse_rows`` gives them.

    Two more may be given: ``expected``, what the model itself answers to these rows, and ``nullable``, names of columns
    in which a value may be missing. ``tolerance`` is the largest difference between answers to one row, as a share of
    the largest answer: sums in another order are others in the last digits.
    """

    tolerance: ClassVar[float] = 1e-9

    @pytest.fixture
    def expected(self) -> Array | None:
        """What the model itself answers; ``None`` if nobody knows."""
        return None

    @pytest.fixture
    def nullable(self) -> Collection[str]:
        """Columns in which a value may be missing."""
        return ()

    def test_it_answers_as_the_model_does(self, runner: Runner, columns: Columns, expected: Array | None) -> None:
        """To the rows that it was trained on."""
        if expected is None:
            pytest.skip("The fixture 'expected' does not say what the model answers.")
        self._same(runner.predict(columns), _paired(expected, _count(columns)))

    def test_it_gives_one_number_a_row_or_as_many_for_each(self, runner: Runner, columns: Columns) -> None:
        """Shape (n,), or (n, numbers) of several outputs, float64; of no rows, of one, and of many."""
        numbers = runner.predict(columns).shape[1:]
        assert len(numbers) <= 1
        rows = _count(columns)
        assert rows >= 10
        places = np.arange(_MANY) % rows
        for wanted in (np.arange(rows), places[:0], places[:1], places):
            answer = runner.predict(_taken(columns, wanted))
            assert answer.shape == (*wanted.shape, *numbers)
            assert answer.dtype == np.float64

    def test_a_row_is_answered_the_same_whoever_is_beside_it(self, runner: Runner, columns: Columns) -> None:
        """Alone, in reverse order, among many; requests that are answered together do not change each other."""
        together = runner.predict(columns)
        places = np.arange(len(together))
        alone = [runner.predict(_taken(columns, places[i : i + 1]))[0] for i in places]
        self._same(np.array(alone), together)
        self._same(runner.predict(_taken(columns, places[::-1]))[::-1], together)
        many = np.arange(_MANY) % len(together)
        self._same(runner.predict(_taken(columns, many)), together[many])

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

    def test_its_answers_stay_as_they_are(self, runner: Runner, columns: Columns) -> None:
        """The next request is not answered in the memory of the last one."""
        first = runner.predict(columns)
        kept = first.copy()
        runner.predict(_taken(columns, np.arange(_count(columns))[::-1]))
        np.testing.assert_array_equal(first, kept)

    def test_a_missing_value_is_answered(self, runner: Runner, columns: Columns, nullable: Collection[str]) -> None:
        """Wherever one may be missing, in one row and in all; the rows beside it are answered as before."""
        before = runner.predict(columns)
        for name in nullable:
            values = columns[name].astype(np.float64 if columns[name].dtype.kind in "iuf" else np.object_)
            none: Any = np.nan if values.dtype.kind == "f" else None
            one, every = values.copy(), values.copy()
            one[0], every[:] = none, none
            self._same(runner.predict({**columns, name: one})[1:], before[1:])
            assert not np.isinf(runner.predict({**columns, name: every})).any()

    def test_it_does_not_warn(self, runner: Runner, columns: Columns) -> None:
        """A warning on each request fills a log, and says nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for size in (1, _count(columns)):
                runner.predict(_taken(columns, np.arange(size)))

    def test_threads_may_ask_at_the_same_time(self, runner: Runner, columns: Columns) -> None:
        """For other rows each; each gets what it would have got alone."""
        rows = _count(columns)
        asked = [_taken(columns, np.roll(np.arange(rows), turn)[: rows - turn % 3]) for turn in range(16)]
        expected = [runner.predict(each) for each in asked]
        with ThreadPoolExecutor(4) as pool:
            for answer, alone in zip(pool.map(runner.predict, asked), expected, strict=True):
                self._same(answer, alone)

    def _same(self, answers: Array, others: Array) -> None:
        largest = float(np.max(np.abs(others), initial=0.0, where=np.isfinite(others)))
        np.testing.assert_allclose(answers, others, rtol=0.0, atol=self.tolerance * largest)


def _paired(expected: Array, rows: int) -> Array:
    """One number a row, or a row of them; a single column is one number a row."""
    return np.ravel(expected) if np.size(expected) == rows else np.asarray(expected)


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _taken(columns: Columns, places: Array) -> dict[str, Array]:
    return {name: values[places] for name, values in columns.items()}
