"""The decorators leave functions as they are and read what the signature says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kairos.errors import GraphError, UsageError
from kairos.pipeline.declare import REQUIRED, find_spec, model, source, step
from kairos.values import Window


def test_a_decorated_function_behaves_as_if_it_were_not() -> None:
    """A step can be called in a unit test like any function."""

    @step
    def doubled(rentals: int, *, times: int = 2) -> int:
        """Doubles."""
        return rentals * times

    assert doubled(4) == 8
    assert doubled(4, times=3) == 12
    assert doubled.__doc__ == "Doubles."


def test_positional_parameters_are_inputs_and_keyword_only_ones_are_params() -> None:
    """The signature is the whole declaration."""

    @step(cpus=2)
    def joined(left: int, right: int, *, how: str = "inner", by: str) -> int:
        return left + right + len(how + by)

    spec = find_spec(joined)
    assert spec is not None
    assert (spec.name, spec.kind, spec.inputs, spec.limits.cpus) == ("joined", "step", ("left", "right"), 2)
    assert dict(spec.params) == {"how": "inner", "by": REQUIRED}
    assert repr(spec.params["by"]) == "REQUIRED"


def test_a_param_named_seed_gets_the_seed() -> None:
    """``seed`` is no param; the decorator's value wins over the signature's."""

    @step(seed=7)
    def one(*, seed: int = 3) -> int:
        return seed

    @model(target="users", drop="id")
    def two(*, seed: int = 3) -> int:
        return seed

    first, second = find_spec(one), find_spec(two)
    assert first is not None
    assert second is not None
    assert (first.seed, first.takes_seed, dict(first.params)) == (7, True, {})
    assert (second.seed, second.target, second.drop) == (3, "users", ("id",))


def test_a_source_takes_a_window() -> None:
    """A source is called with the window by hand, too."""

    @source(every="7d", files=["data/x.csv"], settles_after="1d")
    def rentals(window: Window) -> float:
        return window.days

    spec = find_spec(rentals)
    assert spec is not None
    assert (spec.takes_window, spec.inputs, spec.every, spec.files) == (True, (), timedelta(days=7), ("data/x.csv",))
    assert rentals(Window(datetime(2011, 1, 1, tzinfo=UTC), datetime(2011, 1, 3, tzinfo=UTC))) == 2.0


def test_undecorated_things_have_no_spec() -> None:
    """Anything else in a module is left alone."""
    assert find_spec(len) is None
    assert find_spec(3) is None


def test_star_parameters_are_refused() -> None:
    """What a step reads must be known before it runs."""
    with pytest.raises(GraphError, match=r"Step 'loose' has the parameter '\*rest', so its inputs and params cannot"):

        @step
        def loose(*rest: int) -> int:
            return len(rest)


def test_a_positional_default_is_refused_with_the_fix() -> None:
    """The message says where the star goes."""
    with pytest.raises(GraphError, match=r"Put '\*' before it: def lagged\(\.\.\., \*, lag=3\)"):

        @step
        def lagged(rentals: int, lag: int = 3) -> int:
            return rentals + lag


def test_a_source_has_no_upstream() -> None:
    """A source with other positional parameters is a step."""
    with pytest.raises(GraphError, match="may have one positional parameter, 'window'"):

        @source
        def rentals(other: int) -> int:
            return other


def test_options_are_checked() -> None:
    """Zero processors, an unreadable length and a positional option are refused."""
    with pytest.raises(UsageError, match="whole number of processors"):
        step(cpus=0)
    with pytest.raises(UsageError, match="A length of time cannot be read"):
        source(every="a week")
    with pytest.raises(UsageError, match="takes its options by name"):
        model("users")  # type: ignore[call-overload]
    with pytest.raises(GraphError, match="takes a function"):
        step(lambda: 1)
